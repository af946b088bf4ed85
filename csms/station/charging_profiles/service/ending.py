"""S25: profiles end with their charge and with their validity; old history is forgotten."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, text, update
from sqlmodel import col, select

from csms.ids import new_id
from csms.station.charge_logs import ChargeLog, ChargeState
from csms.station.charging_profiles.model import (
    INSTALLED,
    ChargingProfile,
    ProfileState,
)
from csms.station.charging_profiles.rules.profile import WHOLE_STATION
from csms.station.charging_profiles.service.known import transaction_of
from csms.station.charging_profiles.service.storing import START_WAIT
from csms.store import Work

ANSWER_WAIT: Final = timedelta(minutes=15)
"""A profile that was sent and of which nothing was heard for so long is uncertain."""
ROWS_PER_RUN: Final = 1000
_IS_INSTALLED: Final = text("charging_profile.state IN ('accepted', 'reported')")
_OF_A_CHARGE: Final = text(f"{_IS_INSTALLED} AND charging_profile.purpose = 'transaction'")
_IS_SENT: Final = text("charging_profile.state = 'sent'")
"""Spelt out, so that the partial indexes are used."""


async def end_with_charges(work: Work) -> int:
    """A profile for one charge ends with it (1.6, 3.13.1; 2.0.1 K01.FR.27); returns how many did."""
    row, log = ChargingProfile, ChargeLog
    query = (
        select(row)
        .join(log, (col(log.station_id) == row.station_id) & (col(log.transaction_id) == row.transaction_id))
        .where(_OF_A_CHARGE, log.state != ChargeState.RUNNING)
        .limit(ROWS_PER_RUN)
    )
    found = (await work.session.exec(query)).all()
    for one in found:
        one.state, one.state_at, one.reason = ProfileState.ENDED, work.now, "the charge has ended"
    return len(found)


async def bind_to_charges(work: Work) -> int:
    """A profile that came with a remote start belongs to the charge that then began; returns how many were bound."""
    row = ChargingProfile
    query = select(row).where(_OF_A_CHARGE, col(row.transaction_id).is_(None))
    bound = 0
    for one in (await work.session.exec(query.order_by(col(row.id)).limit(ROWS_PER_RUN))).all():
        log = await _begun_after(work, one)
        if log is not None:
            one.transaction_id, one.charge_point_number = transaction_of(log), log.charge_point_number
            bound += 1
    return bound


async def _begun_after(work: Work, row: ChargingProfile) -> ChargeLog | None:
    """The first charge there since the station agreed to the remote start."""
    query = select(ChargeLog).where(
        ChargeLog.station_id == row.station_id,
        ChargeLog.received_at >= row.state_at,
        ChargeLog.received_at <= row.state_at + START_WAIT,
    )
    if row.charge_point_number != WHOLE_STATION:
        query = query.where(ChargeLog.charge_point_number == row.charge_point_number)
    return (await work.session.exec(query.order_by(col(ChargeLog.id)).limit(1))).first()


async def end_overdue(work: Work) -> int:
    """Settle what time alone decides; returns how many rows changed."""
    row, now = ChargingProfile, work.now
    rules = (
        (and_(_IS_INSTALLED, col(row.valid_to) <= now), ProfileState.ENDED, "its validity is over"),
        (
            and_(_OF_A_CHARGE, col(row.transaction_id).is_(None), col(row.state_at) < now - START_WAIT),
            ProfileState.ENDED,
            "no charge began with it",
        ),
        (
            and_(_IS_SENT, col(row.state_at) < now - ANSWER_WAIT),
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


def new_request_id() -> int:
    """A request id that no station has seen lately; 31 bits, as stations keep them."""
    return new_id() & 0x7FFF_FFFF
