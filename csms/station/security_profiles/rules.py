"""B10: when a security profile may be raised, and what answers mean (OCPP 1.6 security whitepaper A05; 2.0.1 A05)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Payload = dict[str, Any]

KEY: Final = "SecurityProfile"
WITH_PASSWORD: Final = (1, 2)
WITH_CERTIFICATE: Final = 3
HIGHEST: Final = 3


class UpgradeState(StrEnum):
    """What became of an upgrade."""

    SENDING = "sending"
    WAITING = "waiting"
    """The station took it, or nobody knows: it may come with either profile until it has come with the new one."""
    DONE = "done"
    """It has come with the new profile; the old one is refused."""
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What this installation offers to stations of higher profiles."""

    has_tls: bool
    has_client_tls: bool
    """TLS ends here, so that stations' certificates are seen."""
    has_authority: bool
    """Somebody is trusted to have issued stations' certificates."""


def obstacle(current: int, wanted: int, *, has_password: bool, identity: str, ready: Readiness) -> str | None:
    """Why the station cannot be raised to that profile, or None."""
    has_login = wanted in WITH_PASSWORD
    obstacles = (
        (wanted == current, f"the station has security profile {current} already"),
        (
            wanted < current,
            f"security profile {current} is only raised over OCPP (A00.FR.005); PATCH the station, change it on site",
        ),
        (
            has_login and not has_password,
            f"security profile {wanted} needs a password; give the station one with POST …/password/change first",
        ),
        (
            has_login and ":" in identity,
            "an identity with a colon cannot log in with a password: HTTP Basic splits there",
        ),
        (
            wanted > 1 and not ready.has_tls,
            f"security profile {wanted} needs TLS here; set CSMS_BROKER_TLS_PORT (docs/operating.md)",
        ),
        (
            wanted == WITH_CERTIFICATE and not ready.has_client_tls,
            "security profile 3 needs the broker's own TLS port; set CSMS_BROKER_TLS_PORT (docs/operating.md)",
        ),
        (
            wanted == WITH_CERTIFICATE and not ready.has_authority,
            "no authority of stations' certificates is trusted; make one, or set CSMS_TLS_CLIENT_CA_FILES",
        ),
    )
    return next((text for is_there, text in obstacles if is_there), None)


def asked_profile(action: str, payload: Payload) -> Any:
    """The security profile that the request asks for; None if it asks for none. The payload may be of any shape."""
    if action == "ChangeConfiguration":
        key = payload.get("key")
        is_it = isinstance(key, str) and key.strip().casefold() == KEY.casefold()
        return payload.get("value") if is_it else None
    data = payload.get("connectionData")
    return data.get("securityProfile") if isinstance(data, dict) else None


def profile_in(value: object) -> int | None:
    """The value as a security profile; None if it is none."""
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    return int(text) if text in ("0", "1", "2", "3") else None


def profile_request_16(profile: int) -> Payload:
    """ChangeConfiguration (1.6 security whitepaper, A05)."""
    return {"key": KEY, "value": str(profile)}


def is_taken(status: object) -> bool | None:
    """Whether the station took the request; None for what is no answer of the standard."""
    if status in ("Accepted", "RebootRequired", "Scheduled"):
        return True
    refusals = (
        "Rejected",
        "Failed",
        "NotSupported",
        "UnknownComponent",
        "UnknownVariable",
        "NotSupportedAttributeType",
    )
    return False if status in refusals else None
