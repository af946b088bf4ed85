"""S6: why charges end, in one vocabulary: the words of 1.6 and those that 2.x adds."""

from collections.abc import Mapping
from typing import Final

LOCAL: Final = "Local"
"""What a stop without a reason means (1.6, 6.45; 2.0.1, 3.70)."""
_SAME: Final[Mapping[str, str]] = {"ImmediateReset": "HardReset"}
_IMPLIED: Final[Mapping[str, str]] = {
    "Deauthorized": "DeAuthorized",
    "EnergyLimitReached": "EnergyLimitReached",
    "EVCommunicationLost": "EVDisconnected",
    "EVDeparted": "EVDisconnected",
    "RemoteStop": "Remote",
    "ResetCommand": "SoftReset",
    "SoCLimitReached": "SOCLimitReached",
    "TimeLimitReached": "TimeLimitReached",
    "UnlockCommand": "UnlockCommand",
}


def stop_reason(stopped_reason: str | None, trigger_reason: str | None) -> str:
    """The reason that a 2.x station means; where it gives none, what made it tell says more than «Local»."""
    if stopped_reason is not None:
        return _SAME.get(stopped_reason, stopped_reason)
    return _IMPLIED.get(trigger_reason or "", LOCAL)
