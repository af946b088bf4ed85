"""F4: which part of the map is asked for, and in which few words the public is told what a charge point does."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EARTH_RADIUS_M: Final = 6_371_008.8
RADIUS_M_MAX: Final = 1_000_000.0
_BBOX_NUMBERS: Final = 4
_LONGITUDE_MAX: Final = 180
_LATITUDE_MAX: Final = 90


class PublicState(StrEnum):
    """Whether a driver may charge there now."""

    AVAILABLE = "available"
    OCCUPIED = "occupied"
    OUT_OF_ORDER = "out_of_order"
    UNKNOWN = "unknown"


_OUT_OF_ORDER: Final = ("unavailable", "faulted")


def public_state(status: str, *, is_online: bool, is_station_working: bool) -> PublicState:
    """The state of a charge point: `status` as the datasheet has it; nothing is known of an offline station."""
    if not is_online:
        return PublicState.UNKNOWN
    if not is_station_working or status in _OUT_OF_ORDER:
        return PublicState.OUT_OF_ORDER
    if status in ("available", "unknown"):
        return PublicState(status)
    return PublicState.OCCUPIED


def best_state(states: Iterable[PublicState]) -> PublicState:
    """The state of a whole station: the best that one of its charge points has."""
    found = set(states)
    return next((state for state in PublicState if state in found), PublicState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in degrees (RFC 7946 5); west of east unless it crosses the antimeridian (5.2)."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, latitude: float, longitude: float) -> bool:
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


@dataclass(frozen=True, slots=True)
class Circle:
    """A radius around a point; distances on the sphere (haversine), right to half a percent."""

    latitude: float
    longitude: float
    radius_m: float

    def holds(self, latitude: float, longitude: float) -> bool:
        return distance_m(self.latitude, self.longitude, latitude, longitude) <= self.radius_m


def distance_m(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance between two points given in degrees."""
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half_phi = (other_phi - phi) / 2
    half_lambda = math.radians(other_longitude - longitude) / 2
    chord = math.sin(half_phi) ** 2 + math.cos(phi) * math.cos(other_phi) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def read_box(text: str) -> Box | None:
    """`west,south,east,north` in degrees; None if it is no box."""
    numbers = _numbers(text, _BBOX_NUMBERS)
    if numbers is None:
        return None
    west, south, east, north = numbers
    is_box = south <= north and all(
        _is_point(latitude, longitude) for latitude, longitude in ((south, west), (north, east))
    )
    return Box(west, south, east, north) if is_box else None


def read_point(text: str) -> tuple[float, float] | None:
    """`latitude,longitude` in degrees; None if it is no point."""
    numbers = _numbers(text, 2)
    if numbers is None or not _is_point(*numbers):
        return None
    return numbers[0], numbers[1]


def _numbers(text: str, count: int) -> list[float] | None:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _is_point(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= _LATITUDE_MAX and abs(longitude) <= _LONGITUDE_MAX


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (RFC 9110 13.1.2; weak comparison)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
