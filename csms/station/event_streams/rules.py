"""B2: periodic event streams as OCPP 2.1 writes them (N11 to N16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.reading import natural_of

Payload = dict[str, Any]

STREAMS_MAX: Final = 64
"""Open streams of one station; the next is rejected."""
VALUES_MAX: Final = 1000
"""Values of one message that are kept."""
VALUE_CHARS_MAX: Final = 2500
NUMBER_MAX: Final = 2**31 - 1
OFFSET_S_MAX: Final = 31 * 86400


class StreamState(StrEnum):
    """Whether a stream flows."""

    OPEN = "open"
    CLOSED = "closed"
    """By the station, or it no longer names it."""
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a ConstantStreamData object says."""

    number: int
    monitor_number: int
    interval_s: int | None
    values_count: int | None


def read_stream(data: object) -> Stream | None:
    """None for what is no stream."""
    if not isinstance(data, dict):
        return None
    number, monitor, params = whole(data.get("id")), whole(data.get("variableMonitoringId")), data.get("params")
    if number is None or monitor is None:
        return None
    paced = params if isinstance(params, dict) else {}
    return Stream(number, monitor, whole(paced.get("interval")), whole(paced.get("values")))


def whole(value: object) -> int | None:
    return natural_of(value, NUMBER_MAX)


def read_streams(payload: Payload) -> Sequence[Stream]:
    """The streams of a GetPeriodicEventStream answer."""
    told = payload.get("constantStreamData")
    read = (read_stream(one) for one in (told if isinstance(told, list) else ()))
    return [one for one in read if one is not None][:STREAMS_MAX]


def values_in(payload: Payload, received_at: datetime) -> list[dict[str, str]]:
    """The values of a NotifyPeriodicEventStream, each with its time: `basetime` and an offset in seconds."""
    reading = timestamps.read(payload.get("basetime"))
    base = received_at if reading is None else reading.at
    data = payload.get("data")
    elements = data if isinstance(data, list) else []
    return [
        {"at": timestamps.write(base + _offset(one.get("t"))), "value": str(one.get("v"))[:VALUE_CHARS_MAX]}
        for one in elements[:VALUES_MAX]
        if isinstance(one, dict)
    ]


def _offset(seconds: object) -> timedelta:
    """NaN and what lies beyond a month is rubbish: the time of the base then."""
    if isinstance(seconds, int | float) and -OFFSET_S_MAX <= seconds <= OFFSET_S_MAX:
        return timedelta(seconds=float(seconds))
    return timedelta()
