"""B8: reads single values of payloads that may break their schema; never raises."""

from typing import Any, Final

TEXT_CHARS_MAX: Final = 1024


def text_of(value: object, chars_max: int = TEXT_CHARS_MAX) -> str | None:
    """A text as far as it is stored; None for nothing."""
    return None if value is None or value == "" else str(value)[:chars_max]


def int32_of(value: object) -> int | None:
    """An integer as OCPP has them; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**31) <= value < 2**31 else None


def status_info_of(payload: dict[str, Any]) -> str | None:
    """What 2.x explains of a status, in words if there are any."""
    info = payload.get("statusInfo")
    if not isinstance(info, dict):
        return None
    return text_of(info.get("additionalInfo")) or text_of(info.get("reasonCode"))
