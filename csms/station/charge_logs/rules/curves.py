"""S6: a charge's course, as a chart shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from csms.station.charge_logs.rules.energy import Register, Tally, without_spikes
from csms.station.charge_logs.rules.quantities import Measures


@dataclass(frozen=True, slots=True)
class Point:
    """The state of a charge at one moment: energy since the start, power, state of charge."""

    at: datetime
    energy_wh: float | None
    power_w: float | None
    soc_percent: float | None


def curve(start: Register, samples: Iterable[tuple[datetime, Measures]], stop: Register | None = None) -> list[Point]:
    """Points in the order of time; power that was not sent is taken from the energy between two readings.

    Readings that stick out are left out, as from the energy.
    """
    tally = Tally.of(start)
    points = []
    in_order = sorted(samples, key=lambda sample: sample[0])
    told = [
        Register(at, read.energy_wh, place) for place, (at, read) in enumerate(in_order) if read.energy_wh is not None
    ]
    registers = {one.order: one for one in without_spikes(start, told if stop is None else [*told, stop])}
    for place, (at, read) in enumerate(in_order):
        energy_wh, power_w = None, read.power_w
        if (register := registers.get(place)) is not None:
            before_wh, elapsed_s = tally.total_wh, (at - tally.last_at).total_seconds()
            energy_wh = tally.add(register)
            if power_w is None and elapsed_s > 0:
                power_w = (energy_wh - before_wh) * 3600 / elapsed_s
        points.append(Point(at, energy_wh, power_w, read.soc_percent))
    return points


def thinned(points: Sequence[Point], points_max: int) -> list[Point]:
    """At most `points_max` (4 or more) of the points: both ends, and the highest and lowest power in between."""
    if len(points) <= points_max:
        return list(points)
    inner = points[1:-1]
    buckets = (points_max - 2) // 2
    kept = [points[0]]
    for index in range(buckets):
        bucket = inner[index * len(inner) // buckets : (index + 1) * len(inner) // buckets]
        ends = {min(bucket, key=_power), max(bucket, key=_power)}
        kept.extend(sorted(ends, key=lambda point: point.at))
    return [*kept, points[-1]]


def _power(point: Point) -> float:
    return -1.0 if point.power_w is None else point.power_w
