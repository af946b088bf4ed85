"""S24: what stations said about updates and publications, one row for each word about each."""

from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import col, select

from csms.routing import ConnectedStation
from csms.station.firmware.model import FirmwareStatus
from csms.station.information import Station
from csms.store import Work

STATUSES_MAX: Final = 50
"""Different words about one thing; the standard has far fewer."""


async def keep_status(
    work: Work,
    station: ConnectedStation,
    about_id: int | None,
    action: str,
    *,
    status: str,
    request_id: int | None,
    info: str | None,
) -> None:
    """Note it; what a station can only repeat does not grow."""
    about = col(FirmwareStatus.about_id)
    query = select(FirmwareStatus).where(
        FirmwareStatus.station_id == station.id,
        about.is_(None) if about_id is None else about == about_id,
    )
    rows = (await work.session.exec(query.limit(STATUSES_MAX))).all()
    known = next((one for one in rows if (one.action, one.status) == (action, status)), None)
    values: dict[str, Any] = {"last_at": work.now, "request_id": request_id, "info": info}
    if known is not None:
        work.change(FirmwareStatus, known.id, **values, count=known.count + 1)
        return
    if len(rows) >= STATUSES_MAX:  # words of its own invention: the oldest gives way
        oldest = min(rows, key=lambda one: one.last_at)
        work.change(FirmwareStatus, oldest.id, **values, action=action, status=status, first_at=work.now, count=1)
        return
    work.insert(
        FirmwareStatus,
        organisation_id=station.organisation_id,
        station_id=station.id,
        about_id=about_id,
        action=action,
        status=status,
        request_id=request_id,
        info=info,
        first_at=work.now,
        last_at=work.now,
        count=1,
    )


async def statuses_of(work: Work, station: Station, about_id: int | None) -> Sequence[FirmwareStatus]:
    """What the station said about that update or publication, or (None) about what nobody asked for."""
    about = col(FirmwareStatus.about_id)
    query = select(FirmwareStatus).where(
        FirmwareStatus.station_id == station.id, about.is_(None) if about_id is None else about == about_id
    )
    return (await work.session.exec(query.order_by(col(FirmwareStatus.first_at), col(FirmwareStatus.id)))).all()
