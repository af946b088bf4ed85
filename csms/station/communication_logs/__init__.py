"""S11, B8: every raw OCPP frame in both directions, and how often stations break the standard."""

from csms.station.communication_logs.api import ExchangeShown, show_exchange
from csms.station.communication_logs.model import Frame, FrameOutcome
from csms.station.communication_logs.service import (
    FrameFilter,
    frames_of,
    get_frame,
    record,
    record_answer_refused,
    record_handled,
)

NEEDS = ("station.information",)
__all__ = [
    "ExchangeShown",
    "Frame",
    "FrameFilter",
    "FrameOutcome",
    "frames_of",
    "get_frame",
    "record",
    "record_answer_refused",
    "record_handled",
    "show_exchange",
]
