"""S17, S24: what stations say about uploads, updates and publications: one row for each word about each of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeVar

from sqlmodel import col, select

from csms.routing import ConnectedStation
from csms.station.file_transfers.model import StatusTold
from csms.station.information import Station
from csms.store import Work

STATUSES_MAX: Final = 50
"""Different words about one thing; the standard has far fewer."""
StatusT = TypeVar("StatusT", bound=StatusTold)


@dataclass(frozen=True, slots=True)
class Said:
    """A status notification."""

    action: str
    status: str
    request_id: int | None
    info: str | None


async def keep_status(
    work: Work, station: ConnectedStation, table: type[StatusT], said: Said, **about: int | None
) -> None:
    """Note it in the feature's table; `about` is the column that names the thing, None for what nobody asked for.

    What a station can only repeat does not grow.
    """
    query = select(table).where(table.station_id == station.id).filter_by(**about).limit(STATUSES_MAX)
    rows = (await work.session.exec(query)).all()
    known = next((one for one in rows if (one.action, one.status) == (said.action, said.status)), None)
    if known is not None:
        values = {"last_at": work.now, "request_id": said.request_id, "info": said.info}
        work.change(table, known.id, **values, count=known.count + 1)
        return
    new = asdict(said) | {"first_at": work.now, "last_at": work.now, "count": 1}
    if len(rows) >= STATUSES_MAX:  # words of its own invention: the oldest gives way
        work.change(table, min(rows, key=lambda one: one.last_at).id, **new)
        return
    work.insert(table, organisation_id=station.organisation_id, station_id=station.id, **about, **new)


async def statuses_of(work: Work, station: Station, table: type[StatusT], **about: int | None) -> Sequence[StatusT]:
    """What the station said about that thing, or (None) about what nobody asked for; a few rows."""
    query = select(table).where(table.station_id == station.id).filter_by(**about)
    return (await work.session.exec(query.order_by(col(table.first_at), col(table.id)))).all()
