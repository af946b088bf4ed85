"""S3: marks what a whole report of a station's messages did not name."""

from csms.outbox import Consumer, Event
from csms.station.display_messages.ocpp import TOLD
from csms.station.display_messages.service import forget_untold
from csms.store import Work


async def take_told(work: Work, event: Event) -> None:
    """The report is stored; what it left out is gone."""
    if event.station_id is not None:
        await forget_untold(work, event.station_id, int(event.data["request_id"]))


CONSUMERS = (Consumer("display_messages.told", frozenset({TOLD}), take_told),)
