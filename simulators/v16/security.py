"""F5: a 1.6 station's security extension: certificates, profiles, the extended triggers (1.6 security whitepaper)."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simulators.certificates import CSMS_ROOT, MANUFACTURER_ROOT, STATION
from simulators.v16.connector import Connector
from simulators.wire import Endpoint, Payload, Reply

if TYPE_CHECKING:
    from simulators.v16.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}
RECONNECT_S: Final = 1.0
TLS, CLIENT_CERTIFICATE = 2, 3
KINDS: Final = {"CentralSystemRootCertificate": CSMS_ROOT, "ManufacturerRootCertificate": MANUFACTURER_ROOT}

Trigger = Callable[["Station", list[Connector]], None]


def _certificate_signed(station: "Station", payload: Payload) -> Reply:
    reason = station.certificates.take(payload["certificateChain"], station.clock.now())
    if reason is not None:
        station.tell_security("InvalidChargePointCertificate", reason)
        return Reply(REJECTED)
    is_shown = station.configuration.integer("SecurityProfile") == CLIENT_CERTIFICATE
    return Reply(
        ACCEPTED, (lambda: station.spawn(station.reconnect(RECONNECT_S, "new certificate"))) if is_shown else None
    )


def _install(station: "Station", payload: Payload) -> Reply:
    kind = KINDS[payload["certificateType"]]
    return Reply({"status": station.certificates.install(kind, payload["certificate"], station.clock.now())})


def _delete(station: "Station", payload: Payload) -> Reply:
    return Reply({"status": station.certificates.delete(payload["certificateHashData"])})


def _installed(station: "Station", payload: Payload) -> Reply:
    found = station.certificates.listed([KINDS[payload["certificateType"]]])
    hashes = [one["certificateHashData"] for one in found]
    return Reply({"status": "Accepted", "certificateHashData": hashes} if hashes else {"status": "NotFound"})


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "CertificateSigned": _certificate_signed,
    "DeleteCertificate": _delete,
    "GetInstalledCertificateIds": _installed,
    "InstallCertificate": _install,
}


# --- what the station does by itself


async def ask_certificate(station: "Station") -> None:
    """Make a key and ask the CSMS to have it signed."""
    with station.on_network():
        csr = station.certificates.request(station.identity, station.configuration.text("CpoName"))
    await station.send("SignCertificate", {"csr": csr})


def may_raise(station: "Station", value: str) -> bool:
    """Whether this security profile can be used: never a weaker one, and only with what it needs (A05)."""
    wanted, now = int(value), station.configuration.integer("SecurityProfile")
    has_root = any(kind == CSMS_ROOT for kind, _ in station.certificates.roots)
    has_own = STATION in station.certificates.chains
    is_ready = (wanted < TLS or has_root) and (wanted != CLIENT_CERTIFICATE or has_own)
    return now <= wanted <= CLIENT_CERTIFICATE and is_ready


def secured(station: "Station") -> Endpoint:
    """Where to connect by the security profile: TLS from 2 on, our own certificate instead of a password at 3."""
    profile, endpoint = station.configuration.integer("SecurityProfile"), station.endpoint
    url = station.profile_urls.get(profile, endpoint.url)
    if profile >= TLS and url.startswith("ws:"):
        url = f"wss:{url.removeprefix('ws:')}"
    endpoint = replace(endpoint, url=url)
    if endpoint.tls is not None or not url.startswith("wss:"):
        return endpoint
    tls = station.certificates.tls_context(has_client_certificate=profile == CLIENT_CERTIFICATE)
    return replace(endpoint, tls=tls, password=None if profile == CLIENT_CERTIFICATE else endpoint.password)


# --- triggers


def _trigger_log(station: "Station", _connectors: list[Connector]) -> None:
    upload = station.files.upload
    if upload is not None and station.files.is_uploading and upload.order.request_id is not None:
        told = {"status": "Uploading", "requestId": upload.order.request_id}
    else:
        told = {"status": "Idle"}
    station.spawn(station.send("LogStatusNotification", told))


def _trigger_firmware(station: "Station", _connectors: list[Connector]) -> None:
    update = station.files.update
    if update is not None and station.files.is_updating and update.order.request_id is not None:
        told = {"status": update.status, "requestId": update.order.request_id}
    else:
        told = {"status": "Idle"}
    station.spawn(station.send("SignedFirmwareStatusNotification", told))


def _trigger_signing(station: "Station", _connectors: list[Connector]) -> None:
    station.spawn(ask_certificate(station))


EXTENDED_TRIGGERS: dict[str, Trigger] = {
    "FirmwareStatusNotification": _trigger_firmware,
    "LogStatusNotification": _trigger_log,
    "SignChargePointCertificate": _trigger_signing,
}
