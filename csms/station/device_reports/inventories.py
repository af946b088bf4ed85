"""S15: reports of all that a station has of a kind: after a whole one, what it did not name is gone."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from csms.routing import ConnectedStation, Payload
from csms.station.device_reports.rules import is_last, request_number
from csms.station.information import fact_about
from csms.store import Work

_ASKS_FOR_ALL: Final = frozenset({"requestId", "customData"})
"""A request with any other field asks for some only."""
_PROMISES: Final = 8
"""Reports of one kind that a station is expected to send at a time."""


@dataclass(slots=True)
class _Promised:
    """The requests that a connected station has promised to answer with a report, by what they are about."""

    request_ids: defaultdict[str, deque[int]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=_PROMISES))
    )


@dataclass(frozen=True, slots=True)
class Inventory:
    """A kind of thing of which a station can tell all that it has, asked for with a `requestId`, told in parts."""

    told: str
    """The fact that all has been told; its data are the `request_id`."""
    empty: str
    """The status of a station that has none: it sends no report."""

    def answered(self, work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
        """The station said whether it will report."""
        request_id, word = request_number(request), answer.get("status")
        if request_id is None or not set(request) <= _ASKS_FOR_ALL:
            return
        if word == self.empty:
            self._tell(work, station, request_id)
        elif word == "Accepted":
            promised = station.recall(_Promised).request_ids[self.told]
            work.after_commit(lambda: promised.append(request_id))

    def part_noted(self, work: Work, station: ConnectedStation, payload: Payload) -> None:
        """A part is stored; if it is the last of a report of everything, the fact follows."""
        request_id = request_number(payload)
        is_promised = request_id in station.recall(_Promised).request_ids[self.told]
        if request_id is not None and is_promised and is_last(payload):
            self._tell(work, station, request_id)

    def _tell(self, work: Work, station: ConnectedStation, request_id: int) -> None:
        work.emit(fact_about(station, self.told, {"request_id": request_id}))
