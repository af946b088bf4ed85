"""B10: network profiles in OCPP's words (2.0.1 B09, B10; 2.1 the same)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.versions import Version

Payload = dict[str, Any]

PRIORITY_COMPONENT: Final = "OCPPCommCtrlr"
PRIORITY_VARIABLE: Final = "NetworkConfigurationPriority"
SLOT_MAX: Final = 1000
TEXT_CHARS_MAX: Final = 2000
_VERSIONS: Final[Mapping[Version, str]] = {Version.V16: "OCPP16", Version.V201: "OCPP20", Version.V21: "OCPP21"}


class Interface(StrEnum):
    """The station's network interface."""

    ANY = "any"
    WIRED0 = "wired0"
    WIRED1 = "wired1"
    WIRED2 = "wired2"
    WIRED3 = "wired3"
    WIRELESS0 = "wireless0"
    WIRELESS1 = "wireless1"
    WIRELESS2 = "wireless2"
    WIRELESS3 = "wireless3"


class ApnAuthentication(StrEnum):
    NONE = "none"
    PAP = "pap"
    CHAP = "chap"
    AUTO = "auto"


class VpnKind(StrEnum):
    IKEV2 = "ikev2"
    IPSEC = "ipsec"
    L2TP = "l2tp"
    PPTP = "pptp"


_VPN_KINDS: Final = {VpnKind.IKEV2: "IKEv2", VpnKind.IPSEC: "IPSec", VpnKind.L2TP: "L2TP", VpnKind.PPTP: "PPTP"}


@dataclass(frozen=True, slots=True)
class Apn:
    """The mobile operator's access point."""

    name: str
    authentication: ApnAuthentication
    user: str | None = None
    password: str | None = None
    sim_pin: int | None = None
    preferred_network: str | None = None
    uses_only_preferred_network: bool | None = None


@dataclass(frozen=True, slots=True)
class Vpn:
    """A virtual private network that the station is to use."""

    kind: VpnKind
    server: str
    user: str
    password: str
    key: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """How the station is to connect."""

    url: str
    security_profile: int
    interface: Interface
    message_timeout_s: int
    apn: Apn | None = None
    vpn: Vpn | None = None


def profile_request(version: Version, slot: int, link: Link) -> Payload:
    """SetNetworkProfile (2.0.1 B09)."""
    data: Payload = {
        "ocppVersion": _VERSIONS[version],
        "ocppTransport": "JSON",
        "ocppCsmsUrl": link.url,
        "messageTimeout": link.message_timeout_s,
        "securityProfile": link.security_profile,
        "ocppInterface": link.interface.value.capitalize(),
    }
    if link.apn is not None:
        data["apn"] = _apn(link.apn)
    if link.vpn is not None:
        data["vpn"] = _vpn(link.vpn)
    return {"configurationSlot": slot, "connectionData": data}


def _apn(apn: Apn) -> Payload:
    fields = {
        "apn": apn.name,
        "apnUserName": apn.user,
        "apnPassword": apn.password,
        "simPin": apn.sim_pin,
        "preferredNetwork": apn.preferred_network,
        "useOnlyPreferredNetwork": apn.uses_only_preferred_network,
        "apnAuthentication": apn.authentication.value.upper(),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _vpn(vpn: Vpn) -> Payload:
    fields = {
        "server": vpn.server,
        "user": vpn.user,
        "group": vpn.group,
        "password": vpn.password,
        "key": vpn.key,
        "type": _VPN_KINDS[vpn.kind],
    }
    return {name: value for name, value in fields.items() if value is not None}


def columns_of(data: Payload) -> Payload:
    """What is kept of a profile that the station accepted: everything but secrets."""
    apn, vpn = data.get("apn"), data.get("vpn")
    return {
        "url": _text(data.get("ocppCsmsUrl")) or "",
        "security_profile": _whole(data.get("securityProfile")),
        "ocpp_version": _text(data.get("ocppVersion")),
        "interface": (_text(data.get("ocppInterface")) or "").lower(),
        "message_timeout_s": _whole(data.get("messageTimeout")),
        "identity": _text(data.get("identity")),
        "apn": _named(apn, name="apn", user="apnUserName", preferred_network="preferredNetwork"),
        "vpn": _named(vpn, kind="type", server="server", user="user", group="group"),
    }


def _named(value: object, **names: str) -> Payload | None:
    return {ours: _text(value.get(theirs)) for ours, theirs in names.items()} if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def priority_request(slots: Sequence[int]) -> Payload:
    """SetVariables of the order in which the station tries its slots (2.0.1 B10.FR.01)."""
    item = {
        "component": {"name": PRIORITY_COMPONENT},
        "variable": {"name": PRIORITY_VARIABLE},
        "attributeValue": ",".join(map(str, slots)),
    }
    return {"setVariableData": [item]}


def priority_query() -> Payload:
    """GetVariables of the same."""
    item = {"component": {"name": PRIORITY_COMPONENT}, "variable": {"name": PRIORITY_VARIABLE}}
    return {"getVariableData": [item]}


def priority_in(answer: Payload) -> list[int] | None:
    """The order that the station told; None if it told none."""
    listed = answer.get("getVariableResult")
    for item in listed if isinstance(listed, list) else ():
        value = item.get("attributeValue") if isinstance(item, dict) else None
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",")]
            slots = [int(part) for part in parts if part.isdecimal() and part.isascii()]
            return slots or None
    return None


def set_status(answer: Payload) -> str:
    """What became of the one variable that was set."""
    listed = answer.get("setVariableResult")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            return str(item.get("attributeStatus"))[:50]
    return "no result"
