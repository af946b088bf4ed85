"""S25: profiles end with their charge and with their validity; old history is forgotten."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, update
from sqlmodel import col, select

from csms.ids import new_id
from csms.outbox import Event
from csms.station.charge_logs import ChargeLog
from csms.station.charging_profiles.model import (
    INSTALLED,
    ChargingLimit,
    ChargingProfile,
    CompositeSchedule,
    PriorityCharge,
    ProfileReport,
    ProfileState,
)
from csms.station.charging_profiles.rules.profile import WHOLE_STATION, Purpose
from csms.station.charging_profiles.service.known import transaction_of
from csms.station.charging_profiles.service.storing import START_WAIT
from csms.store import Work

ANSWER_WAIT: Final = timedelta(minutes=15)
"""A profile that was sent and of which nothing was heard for so long is uncertain."""
ROWS_PER_RUN: Final = 1000


async def _charge_of(work: Work, event: Event) -> ChargeLog | None:
    log_id = event.data.get("charge_log_id")
    return await work.session.get(ChargeLog, int(log_id)) if isinstance(log_id, str) and log_id.isdigit() else None


async def charge_ended(work: Work, event: Event) -> None:
    """A profile for one charge ends with it (1.6, 3.13.1; 2.0.1 K01.FR.27)."""
    log = await _charge_of(work, event)
    if log is None:
        return
    await work.session.exec(
        update(ChargingProfile)
        .where(
            col(ChargingProfile.station_id) == log.station_id,
            col(ChargingProfile.transaction_id) == transaction_of(log),
            col(ChargingProfile.state).in_(INSTALLED),
        )
        .values(state=ProfileState.ENDED, state_at=work.now, reason="the charge has ended")
    )


async def charge_started(work: Work, event: Event) -> None:
    """A profile that came with a remote start is for the charge that now begins."""
    log = await _charge_of(work, event)
    if log is None:
        return
    query = select(ChargingProfile).where(
        ChargingProfile.station_id == log.station_id,
        ChargingProfile.purpose == Purpose.TRANSACTION,
        col(ChargingProfile.transaction_id).is_(None),
        col(ChargingProfile.state).in_(INSTALLED),
        col(ChargingProfile.charge_point_number).in_((log.charge_point_number, WHOLE_STATION)),
        ChargingProfile.state_at >= log.received_at - START_WAIT,
    )
    for row in await work.session.exec(query):
        row.transaction_id, row.charge_point_number = transaction_of(log), log.charge_point_number


async def end_overdue(work: Work) -> int:
    """Settle what time alone decides; returns how many rows changed."""
    row, now = ChargingProfile, work.now
    is_installed = col(row.state).in_(INSTALLED)
    rules = (
        (is_installed & (col(row.valid_to) <= now), ProfileState.ENDED, "its validity is over"),
        (
            is_installed
            & (col(row.purpose) == Purpose.TRANSACTION)
            & col(row.transaction_id).is_(None)
            & (col(row.state_at) < now - START_WAIT),
            ProfileState.ENDED,
            "no charge began with it",
        ),
        (
            (col(row.state) == ProfileState.SENT) & (col(row.state_at) < now - ANSWER_WAIT),
            ProfileState.UNCERTAIN,
            "no answer was stored; refresh the list, or send it again",
        ),
    )
    count = 0
    for condition, state, reason in rules:
        found = await work.session.exec(update(row).where(condition).values(state=state, state_at=now, reason=reason))
        count += found.rowcount
    return count


async def forget_old(work: Work, before: datetime) -> int:
    """Delete profiles that ended before that time; returns how many there were."""
    ids = (
        select(ChargingProfile.id)
        .where(col(ChargingProfile.state).notin_(INSTALLED), ChargingProfile.state_at < before)
        .limit(ROWS_PER_RUN)
    )
    found = await work.session.exec(delete(ChargingProfile).where(col(ChargingProfile.id).in_(ids)))
    return found.rowcount


async def forget_station(work: Work, station_id: int) -> None:
    """Remove what a deleted station leaves behind."""
    for table in (ChargingProfile, ChargingLimit, CompositeSchedule, PriorityCharge, ProfileReport):
        await work.session.exec(delete(table).where(col(table.station_id) == station_id))


def new_request_id() -> int:
    """A request id that no station has seen lately; 31 bits, as stations keep them."""
    return new_id() & 0x7FFF_FFFF
