"""B6, B7: meter samples: each stored once, at once, and read again as registers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from csms.ocpp import timestamps
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import MeterSample
from csms.station.charge_logs.rules import Measures, Register, bounded_register, measures, moment
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction
from csms.station.information import Station
from csms.store import Work

REGISTERS_MAX: Final = 100_000
"""Readings of one charge taken into account; more than a sample a second for a day."""


_Seen = tuple[datetime, Sequence[Any]]


@dataclass(slots=True)
class Sample:
    """The values of one moment, as sent."""

    measured_at: datetime
    context: str | None
    sampled_values: Sequence[Any]
    measures: Measures


def read_samples(meter_values: object, received_at: datetime, meter_start_wh: float | None) -> list[Sample]:
    """The samples of an OCPP MeterValue list; sets without any value are left out. Never raises."""
    samples = []
    for one in meter_values if isinstance(meter_values, list) else []:
        values = one.get("sampledValue") if isinstance(one, dict) else None
        if not isinstance(values, list) or not values:
            continue
        reading = timestamps.read(one.get("timestamp"))
        measured_at = moment(None if reading is None else reading.at, received_at).at
        samples.append(Sample(measured_at, _context(values), values, measures(values, meter_start_wh)))
    return samples


def _context(values: list[Any]) -> str | None:
    first = values[0]
    context = first.get("context") if isinstance(first, dict) else None
    return context if isinstance(context, str) else None


async def new_of_charge(work: Work, charge: Transaction, samples: Sequence[Sample]) -> list[Sample]:
    """The samples of a charge that are not stored yet."""
    newest_at = charge.last_sample_at
    if newest_at is None:
        return _without(samples, [])
    latest_at = charge.latest_at(work.now)
    doubtful = {one.measured_at for one in samples if not newest_at < one.measured_at <= latest_at}
    if not doubtful:
        return _without(samples, [])
    return _without(samples, await _stored(work, doubtful, col(MeterSample.charge_log_id) == charge.id))


async def new_outside(work: Work, station: ConnectedStation, number: int, samples: Sequence[Sample]) -> list[Sample]:
    """The samples outside of any charge that are not stored yet."""
    newest_at = station.recall(OpenTransactions).outside_sample_at.get(number)
    doubtful = {one.measured_at for one in samples if newest_at is None or one.measured_at <= newest_at}
    if not doubtful:
        return _without(samples, [])
    is_here = (col(MeterSample.station_id) == station.id) & (col(MeterSample.charge_point_number) == number)
    return _without(samples, await _stored(work, doubtful, is_here & col(MeterSample.charge_log_id).is_(None)))


async def _stored(work: Work, times: Collection[datetime], are_meant: ColumnElement[bool]) -> list[_Seen]:
    query = select(MeterSample.measured_at, MeterSample.sampled_values)
    rows = await work.session.exec(query.where(are_meant, col(MeterSample.measured_at).in_(times)))
    return [(at, values) for at, values in rows]


def _without(samples: Sequence[Sample], stored: list[_Seen]) -> list[Sample]:
    """Leave out repeats: of the same time and the same values."""
    known, new = list(stored), list[Sample]()
    for one in samples:
        seen = (one.measured_at, one.sampled_values)
        if seen not in known:
            known.append(seen)
            new.append(one)
    return new


def store_samples(
    work: Work, station: ConnectedStation | Station, number: int, charge_log_id: int | None, samples: Iterable[Sample]
) -> None:
    """Note the samples' rows, of a charge or of none."""
    for one in samples:
        work.insert(
            MeterSample,
            organisation_id=station.organisation_id,
            station_id=station.id,
            charge_point_number=number,
            charge_log_id=charge_log_id,
            measured_at=one.measured_at,
            received_at=work.now,
            context=one.context,
            sampled_values=one.sampled_values,
            energy_wh=one.measures.energy_wh,
            power_w=one.measures.power_w,
            soc_percent=one.measures.soc_percent,
        )


def first_register(samples: Iterable[Sample]) -> tuple[datetime, int] | None:
    """The register at the begin of a charge if the samples tell it, else the earliest, and when that was measured."""
    told = [one for one in samples if one.measures.energy_wh is not None]
    told = [one for one in told if one.measures.begin_wh is not None] or told
    found = [(one.measured_at, one.measures.begin_wh, one.measures.energy_wh or 0) for one in told]
    if not found:
        return None
    at, register_wh = min((at, register_wh if begin_wh is None else begin_wh) for at, begin_wh, register_wh in found)
    return at, bounded_register(round(register_wh))


def registers(samples: Iterable[Sample]) -> list[Register]:
    """The samples' readings of the import register, younger than all that are stored."""
    later = 2**63
    return [
        Register(one.measured_at, one.measures.energy_wh, later + index)
        for index, one in enumerate(samples)
        if one.measures.energy_wh is not None
    ]


async def registers_of(work: Work, charge_log_id: int) -> list[Register]:
    """The stored readings of a charge's import register."""
    query = (
        select(MeterSample.measured_at, MeterSample.energy_wh, MeterSample.id)
        .where(MeterSample.charge_log_id == charge_log_id, col(MeterSample.energy_wh).is_not(None))
        .order_by(col(MeterSample.measured_at))
        .limit(REGISTERS_MAX)
    )
    rows = await work.session.exec(query)
    return [Register(at, register_wh, row_id) for at, register_wh, row_id in rows if register_wh is not None]
