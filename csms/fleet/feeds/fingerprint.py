"""F4: what the published stations look like now, as one text a station, made by the database itself.

Comparing these texts tells which stations must be rendered anew. It needs no clock, no counter that every writer
must remember to raise, and no message that could be lost, so that it is right with any number of processes:
what the database says now is what is published now.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, func, type_coerce
from sqlmodel import col, select

from csms.platform.organisations import Organisation
from csms.station.charge_points import ChargePoint, Connector
from csms.station.information import Station
from csms.station.interfaces import InterfaceKind, StationInterface, published_on
from csms.store import Work

FIELD = "\x1f"
LINE = "\x1e"
"""Control characters, which the API lets into no text."""

_STATION = (
    Station.id,
    Station.public_id,
    Station.name,
    Station.address,
    Station.city,
    Station.postal_code,
    Station.country,
    Station.latitude,
    Station.longitude,
    Station.is_online,
    Station.online_since,
    Station.offline_since,
    Station.status,
    Organisation.name,
)
_CHARGE_POINT = (
    ChargePoint.station_id,
    ChargePoint.number,
    ChargePoint.label,
    ChargePoint.evse_id,
    ChargePoint.status,
    ChargePoint.status_received_at,
)
_CONNECTOR = (
    Connector.station_id,
    Connector.charge_point_id,
    Connector.number,
    Connector.plug_type,
    Connector.format,
    Connector.max_power_w,
    Connector.voltage_v,
    Connector.amperage_a,
    Connector.phases,
)


def _lines(columns: tuple[Any, ...], writer: str) -> ColumnElement[str]:
    """All rows as one text; the database's own formatting is faster than joining parts."""
    line = getattr(func, writer)(FIELD.join(["%s"] * len(columns)), *columns)
    return func.aggregate_strings(type_coerce(line, Text), LINE)


async def fingerprint(work: Work) -> tuple[str, ...]:
    """The lines of the stations, of their charge points, and of their connectors; each starts with the station's id.

    Charge points are those of all stations with the switch on, also of those that something else keeps unpublished.
    """
    writer = "printf" if work.session.get_bind().dialect.name == "sqlite" else "format"  # both write NULL as nothing
    switched_on = select(StationInterface.station_id).where(StationInterface.kind == InterfaceKind.GEOJSON)
    queries = (
        select(_lines(_STATION, writer)).where(
            *published_on(InterfaceKind.GEOJSON), Organisation.id == Station.organisation_id
        ),
        select(_lines(_CHARGE_POINT, writer)).where(col(ChargePoint.station_id).in_(switched_on)),
        select(_lines(_CONNECTOR, writer)).where(col(Connector.station_id).in_(switched_on)),
    )
    return tuple([(await work.session.exec(query)).one() or "" for query in queries])


def changed_stations(before: frozenset[str], after: frozenset[str]) -> set[int]:
    """The row ids of the stations with lines that came or went."""
    return {int(line.partition(FIELD)[0]) for line in before ^ after}


def lines_of(texts: tuple[str, ...]) -> frozenset[str]:
    """The texts' lines, all together."""
    return frozenset(line for text in texts for line in text.split(LINE) if line[:1].isdigit())
