"""F1: finding stations by what operators know of them, page by page, and counting the fleet."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from csms.exceptions import Invalid
from csms.routing import Registration
from csms.station.charge_points import ChargePoint, ChargePointStatus
from csms.station.errors import StationError, open_error_counts
from csms.station.information import Station
from csms.store import Work

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Where stations that were never seen stand in an order by time."""
_SEARCHED = (
    Station.identity,
    Station.name,
    Station.serial_number,
    Station.address,
    Station.city,
    Station.postal_code,
    Station.site,
)


@dataclass(frozen=True, slots=True)
class StationFilter:
    """Which stations; every field that is set must fit. `search` looks into what a person may remember."""

    search: str | None = None
    is_online: bool | None = None
    registration: Registration | None = None
    has_open_errors: bool | None = None
    status: Sequence[ChargePointStatus] = ()
    site: str | None = None
    firmware: str | None = None
    vendor: str | None = None
    model: str | None = None
    tag: str | None = None
    is_demo: bool | None = None


class SortBy(StrEnum):
    """What the list may be sorted by; equal ones by identity."""

    IDENTITY = "identity"
    NAME = "name"
    LAST_SEEN = "last_seen_at"
    ONLINE_SINCE = "online_since"
    CREATED = "created_at"


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the list."""

    by: SortBy = SortBy.IDENTITY
    is_descending: bool = False

    @property
    def key(self) -> ColumnElement[Any]:
        """The sort key, never NULL: databases disagree about where NULL stands."""
        column: ColumnElement[Any] = getattr(Station, self.by.value)
        if self.by is SortBy.NAME:
            return func.lower(func.coalesce(column, ""))
        if self.by in (SortBy.LAST_SEEN, SortBy.ONLINE_SINCE):
            return func.coalesce(column, literal(LONG_AGO, column.type))
        return column

    @property
    def is_time(self) -> bool:
        return self.by in (SortBy.LAST_SEEN, SortBy.ONLINE_SINCE, SortBy.CREATED)


def read_order(text: str) -> Order:
    """`name`, or `-name` for descending. Raises Invalid."""
    try:
        return Order(SortBy(text.removeprefix("-")), text.startswith("-"))
    except ValueError:
        known = ", ".join(SortBy)
        raise Invalid(f"sort by one of {known}, with - before it for descending", place="query/sort") from None


def _conditions(wanted: StationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for field in ("is_online", "registration", "site", "vendor", "model", "is_demo"):
        value = getattr(wanted, field)
        if value is not None:
            conditions.append(getattr(Station, field) == value)
    if wanted.firmware is not None:
        conditions.append(col(Station.firmware_version) == wanted.firmware)
    if wanted.search:
        conditions.append(or_(*(col(column).icontains(wanted.search, autoescape=True) for column in _SEARCHED)))
    if wanted.tag is not None:
        needle = orjson.dumps(wanted.tag).decode().lower()
        conditions.append(func.lower(cast(col(Station.tags), Text)).contains(needle, autoescape=True))
    if wanted.status:
        in_state = select(ChargePoint.station_id).where(col(ChargePoint.status).in_(wanted.status))
        conditions.append(col(Station.id).in_(in_state))
    if wanted.has_open_errors is not None:
        with_errors = col(Station.id).in_(_of_open_errors(col(StationError.station_id)))
        conditions.append(with_errors if wanted.has_open_errors else ~with_errors)
    return conditions


def _of_open_errors(wanted: Any) -> SelectOfScalar[Any]:
    """Something of all open errors: few among many, which the index of open ones has by station."""
    return select(wanted).where(col(StationError.resolved_at).is_(None), col(StationError.station_id) > 0)


def _query(wanted: StationFilter, order: Order) -> Select[Station, Any]:
    direction = "desc" if order.is_descending else "asc"
    keys = [getattr(key, direction)() for key in (order.key, col(Station.identity))]
    return select(Station, order.key).where(*_conditions(wanted)).order_by(*keys)


async def list_stations(
    work: Work, wanted: StationFilter, order: Order, limit: int, cursor: str | None
) -> tuple[Sequence[Station], str | None]:
    """One page by keyset, and the cursor of the next. Raises Invalid for a cursor of another order."""
    query = _query(wanted, order)
    if cursor is not None:
        query = query.where(_beyond(order, *_read_cursor(order, cursor)))
    rows = (await work.session.exec(query.limit(limit + 1))).all()
    stations = [station for station, _ in rows[:limit]]
    if len(rows) <= limit:
        return stations, None
    last, key = rows[limit - 1]
    return stations, _write_cursor(order, key, last.identity)


def _beyond(order: Order, key: Any, identity: str) -> ColumnElement[bool]:
    """(key, identity) after the cursor's, spelled out: row values compare differently on the two databases."""
    if order.is_descending:
        return or_(order.key < key, and_(order.key == key, col(Station.identity) < identity))
    return or_(order.key > key, and_(order.key == key, col(Station.identity) > identity))


def _write_cursor(order: Order, key: Any, identity: str) -> str:
    text = key.isoformat() if isinstance(key, datetime) else key
    parts = orjson.dumps([order.by.value, order.is_descending, text, identity])
    return base64.urlsafe_b64encode(parts).decode().rstrip("=")


def _read_cursor(order: Order, cursor: str) -> tuple[Any, str]:
    try:
        by, is_descending, key, identity = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value = datetime.fromisoformat(key).astimezone(UTC) if order.is_time else str(key)
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise Invalid("this cursor was not made here; start again without one", place="query/cursor") from error
    if (by, is_descending) != (order.by.value, order.is_descending):
        raise Invalid("this cursor belongs to another order; start again without one", place="query/cursor")
    return value, str(identity)


@dataclass(frozen=True, slots=True)
class Details:
    """What the list shows beside the station's own row."""

    charge_points: dict[int, list[ChargePoint]]
    open_errors: dict[int, int]


DETAILS_AT_ONCE = 1000


async def details_of(work: Work, stations: Sequence[Station]) -> Details:
    """Charge points and open errors of these stations, a thousand stations a query."""
    charge_points: dict[int, list[ChargePoint]] = {}
    open_errors: dict[int, int] = {}
    for start in range(0, len(stations), DETAILS_AT_ONCE):
        ids = [station.id for station in stations[start : start + DETAILS_AT_ONCE]]
        query = select(ChargePoint).where(col(ChargePoint.station_id).in_(ids)).order_by(col(ChargePoint.number))
        for one in await work.session.exec(query):
            charge_points.setdefault(one.station_id, []).append(one)
        open_errors |= await open_error_counts(work, ids)
    return Details(charge_points, open_errors)


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """The whole fleet in numbers."""

    stations: int
    online: int
    offline: int
    by_registration: dict[Registration, int]
    with_open_errors: int
    charging: int
    charge_points: dict[ChargePointStatus, int]


async def count_fleet(work: Work) -> FleetCounts:
    """Counts over all stations of the caller; online and offline count accepted stations only."""
    stations = await work.session.exec(
        select(Station.registration, Station.is_online, func.count()).group_by(
            col(Station.registration), col(Station.is_online)
        )
    )
    by_registration = dict.fromkeys(Registration, 0)
    accepted = {True: 0, False: 0}
    for registration, is_online, count in stations:
        by_registration[Registration(registration)] += count
        if registration == Registration.ACCEPTED:
            accepted[bool(is_online)] += count
    by_status = dict.fromkeys(ChargePointStatus, 0)
    for status, count in await work.session.exec(
        select(ChargePoint.status, func.count()).group_by(col(ChargePoint.status))
    ):
        by_status[ChargePointStatus(status)] = count
    return FleetCounts(
        stations=sum(by_registration.values()),
        online=accepted[True],
        offline=accepted[False],
        by_registration=by_registration,
        with_open_errors=await _count_with_errors(work),
        charging=by_status[ChargePointStatus.CHARGING],
        charge_points=by_status,
    )


async def _count_with_errors(work: Work) -> int:
    query = _of_open_errors(func.count(func.distinct(col(StationError.station_id))))
    count: int = (await work.session.exec(query)).one()
    return count
