"""S1: what goes with a station that is deleted."""

from sqlmodel import col, delete

from csms.outbox import Consumer, Event
from csms.store import Owned, Work


def goes_with_station(name: str, *tables: type[Owned]) -> Consumer:
    """The consumer that deletes a deleted station's rows of these tables, which have a `station_id`.

    Tables that it does not name are history, and stay for their time.
    """

    async def forget(work: Work, event: Event) -> None:
        for table in tables if event.station_id is not None else ():
            await work.session.exec(delete(table).where(col(table.station_id) == event.station_id))  # type: ignore[attr-defined]  # the docstring asks for it

    return Consumer(name, frozenset({"station_deleted"}), forget)
