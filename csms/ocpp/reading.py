"""B8: reads single values of payloads that may break their schema; never raises."""

from typing import Any, Final

TEXT_CHARS_MAX: Final = 1024


def text_of(value: object, chars_max: int = TEXT_CHARS_MAX) -> str | None:
    """A text as far as it is stored; None for nothing."""
    return None if value is None or value == "" else str(value)[:chars_max]


def integer_of(value: object) -> int | None:
    """An integer; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def int32_of(value: object) -> int | None:
    """An integer as far as OCPP has them; None for anything else."""
    number = integer_of(value)
    return number if number is not None and -(2**31) <= number < 2**31 else None


def natural_of(value: object, most: int = 2**63 - 1) -> int | None:
    """An integer from 0 to `most`; None for anything else."""
    number = integer_of(value)
    return number if number is not None and 0 <= number <= most else None


def status_info_of(payload: dict[str, Any]) -> str | None:
    """What 2.x explains of a status, in words if there are any."""
    info = payload.get("statusInfo")
    if not isinstance(info, dict):
        return None
    return text_of(info.get("additionalInfo")) or text_of(info.get("reasonCode"))
