"""F5: how far a station has come with its boot, and the waits that no setting of it holds."""

from dataclasses import dataclass
from enum import StrEnum


class BootStatus(StrEnum):
    """RegistrationStatus (OCPP 1.6, 7.36; 2.0.1, 3.66), and the state before the first answer."""

    UNKNOWN = "Unknown"
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits that no setting of the station holds; simulated seconds but for `call_timeout_s`, which is real."""

    call_timeout_s: float = 30.0
    boot_retry_s: float = 60.0
    reboot_s: float = 30.0
    backoff_minimum_s: float = 10.0
    backoff_random_s: float = 10.0
    backoff_doublings: int = 5
