"""B10: ends upgrades that an operator overtook by hand, and forgets those of deleted stations."""

from csms.outbox import Consumer, Event
from csms.station.information import goes_with_station
from csms.station.security_profiles.model import ProfileUpgrade
from csms.station.security_profiles.service import end_overtaken
from csms.store import Work


async def _changed(work: Work, event: Event) -> None:
    if event.station_id is not None and "security_profile" in event.data.get("changed", ()):
        await end_overtaken(work, event.station_id)


CONSUMERS = (
    Consumer("security_profiles.overtaken", frozenset({"station_changed"}), _changed),
    goes_with_station("security_profiles.forget", ProfileUpgrade),
)
