"""F4: a published station as a GeoJSON feature (RFC 7946), without anything that identifies hardware or customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geojson
import orjson

from csms.fleet.feeds.rules import best_state, public_state
from csms.station.charge_points import ChargePoint, Connector
from csms.station.information import Station, StationStatus, are_coordinates


@dataclass(frozen=True, slots=True)
class Rendered:
    """A feature ready to be sent, and where it lies (degrees)."""

    public_id: str
    latitude: float
    longitude: float
    text: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a published station."""

    station: Station
    operator: str
    charge_points: Sequence[ChargePoint]
    connectors: dict[int, list[Connector]]


_NOT_WORKING = (StationStatus.FAULTED, StationStatus.UNAVAILABLE)


def render(published: Published) -> Rendered | None:
    """The station's feature; None if it has no place on a map."""
    station = published.station
    if not are_coordinates(station.latitude, station.longitude):
        return None
    point = geojson.Point((station.longitude, station.latitude))
    feature = geojson.Feature(id=station.public_id, geometry=point, properties=_properties(published))
    if not feature.is_valid:
        return None
    longitude, latitude = point["coordinates"]
    return Rendered(station.public_id, latitude, longitude, orjson.dumps(feature, option=orjson.OPT_UTC_Z))


def _properties(published: Published) -> dict[str, Any]:
    station = published.station
    charge_points = [
        _charge_point(station, one, published.connectors.get(one.id, [])) for one in published.charge_points
    ]
    return {
        "name": station.name,
        "address": station.address,
        "postal_code": station.postal_code,
        "city": station.city,
        "country": station.country,
        "operator": published.operator,
        "state": best_state(one["state"] for one in charge_points),
        "charge_points": charge_points,
        "updated_at": _updated_at(station, published.charge_points),
    }


def _charge_point(station: Station, one: ChargePoint, connectors: Sequence[Connector]) -> dict[str, Any]:
    state = public_state(one.status, is_online=station.is_online, is_station_working=station.status not in _NOT_WORKING)
    return {
        "evse_id": one.evse_id,
        "label": one.label,
        "state": state,
        "connectors": [
            {
                "plug_type": connector.plug_type,
                "format": connector.format,
                "max_power_w": connector.max_power_w,
                "voltage_v": connector.voltage_v,
                "amperage_a": connector.amperage_a,
                "phases": connector.phases,
            }
            for connector in connectors
        ],
    }


def _updated_at(station: Station, charge_points: Sequence[ChargePoint]) -> datetime | None:
    """When its state last changed, by our clock: stations' clocks may be wrong by years."""
    times = [station.online_since, station.offline_since, *(one.status_received_at for one in charge_points)]
    return max((at for at in times if at is not None), default=None)
