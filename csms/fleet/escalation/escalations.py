"""F2: escalations whose time has come: looked at again, grouped, limited, and put into messages.

Everything here is set-based, because a network that fails makes ten thousand of them due at once. One unit of
work handles one rule, whose row is locked: several workers may run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import case
from sqlmodel import col, func, or_, select, update

from csms.fleet.escalation.model import Delivery, Escalation, EscalationRule
from csms.fleet.escalation.rules import EscalationState, Kind, held_reason, limit_reason, share_out
from csms.fleet.escalation.service import add_deliveries
from csms.fleet.escalation.texts import ENTRIES_SHOWN_MAX, Entry, Letter, subject_of, text_of
from csms.ids import new_id
from csms.station.errors import Severity, StationError
from csms.station.information import Station
from csms.station.maintenance_windows import MaintenanceWindow
from csms.store import Work

HELD_FOR_S_MAX = 300
"""How long a window holds an escalation before it is looked at again, in case news of the window is late."""
HOUR = timedelta(hours=1)


async def due_rules(work: Work) -> Sequence[int]:
    """The rules with escalations whose time has come."""
    return (await work.session.exec(select(Escalation.rule_id).where(*_due(work)).distinct())).all()


async def escalate_rule(work: Work, rule_id: int, public_url: str) -> None:
    """Look again at what is due by this rule, and put what is still to be told into messages."""
    query = select(EscalationRule).where(EscalationRule.id == rule_id).with_for_update()
    rule = (await work.session.exec(query)).first()
    if rule is None or not rule.is_active:
        await _drop(work, rule_id, "the rule was switched off" if rule else "the rule was deleted")
        return
    await _drop_of_deleted(work, rule)
    await _drop_resolved(work, rule)
    await _hold_for_windows(work, rule)
    for kind in (Kind.ALERT, Kind.ALL_CLEAR):
        await _tell(work, rule, kind, public_url)


def _due(work: Work, *conditions: Any) -> list[Any]:
    return [Escalation.state == EscalationState.WAITING, Escalation.due_at <= work.now, *conditions]


async def _drop(work: Work, rule_id: int, reason: str) -> None:
    await work.session.exec(
        update(Escalation)
        .where(*_due(work, Escalation.rule_id == rule_id))
        .values(state=EscalationState.CANCELLED, reason=reason, ended_at=work.now)
        .execution_options(synchronize_session=False)
    )


async def _drop_of_deleted(work: Work, rule: EscalationRule) -> None:
    """Of a station that was deleted meanwhile nobody can be told anything."""
    is_there = select(Station.id).where(Station.id == Escalation.station_id).exists()
    await work.session.exec(
        update(Escalation)
        .where(*_due(work, Escalation.rule_id == rule.id), ~is_there)
        .values(state=EscalationState.CANCELLED, reason="the station was deleted", ended_at=work.now)
        .execution_options(synchronize_session=False)
    )


async def _drop_resolved(work: Work, rule: EscalationRule) -> None:
    """The news that an error was resolved may still be on its way; the error itself knows better."""
    resolved = select(StationError.id).where(col(StationError.resolved_at).is_not(None))
    await work.session.exec(
        update(Escalation)
        .where(
            *_due(work, Escalation.rule_id == rule.id, Escalation.kind == Kind.ALERT),
            col(Escalation.error_id).in_(resolved),
        )
        .values(state=EscalationState.CANCELLED, reason="resolved before anybody had to be told", ended_at=work.now)
    )


def silenced(work: Work) -> list[Any]:
    """Which windows silence which errors of the same station now."""
    window = MaintenanceWindow
    number = col(window.charge_point_number)
    return [
        window.starts_at <= work.now,
        window.ends_at > work.now,
        col(window.cancelled_at).is_(None),
        or_(number.is_(None), number == StationError.charge_point_number),
    ]


async def _hold_for_windows(work: Work, rule: EscalationRule) -> None:
    """A window may have begun while the error was pending: nobody is told before it is over."""
    window = MaintenanceWindow
    query = (
        select(Escalation, window)
        .join(StationError, col(StationError.id) == Escalation.error_id)
        .join(window, col(window.station_id) == Escalation.station_id)
        .where(*_due(work, Escalation.rule_id == rule.id, Escalation.kind == Kind.ALERT), *silenced(work))
        .order_by(col(window.ends_at))
    )
    for escalation, active in (await work.session.exec(query)).all():  # of several, the last to end comes last
        escalation.window_id = active.id
        escalation.reason = held_reason(active.ends_at)
        escalation.due_at = min(active.ends_at, work.now + timedelta(seconds=HELD_FOR_S_MAX))
    await work.session.flush()


@dataclass(frozen=True, slots=True)
class _Allowance:
    """How many messages the rule may still send, and when the next place is free."""

    left: int
    free_at: datetime


async def _allowance(work: Work, rule: EscalationRule, kind: Kind) -> _Allowance:
    """An all-clear goes where there is room beside the alerts; it takes the place of none."""
    counted = (Kind.ALERT,) if kind is Kind.ALERT else (Kind.ALERT, Kind.ALL_CLEAR)
    query = select(func.count(func.distinct(Delivery.message_id)), func.min(Delivery.created_at)).where(
        Delivery.rule_id == rule.id, col(Delivery.kind).in_(counted), Delivery.created_at > work.now - HOUR
    )
    count, oldest = (await work.session.exec(query)).one()
    return _Allowance(rule.messages_per_hour_max - count, (oldest or work.now) + HOUR)


async def _tell(work: Work, rule: EscalationRule, kind: Kind, public_url: str) -> None:
    groups = await _ripe_groups(work, rule, kind)
    if not groups:
        return
    allowance = await _allowance(work, rule, kind)
    messages = share_out(groups, allowance.left)
    if not messages:
        await _note_limit(work, rule, kind, allowance)
    for number, message in enumerate(messages, 1):
        is_last = number == allowance.left
        # The last message takes all that is left, without naming thousands of groups.
        keys = message if len(message) == 1 else None
        await _send(work, rule, kind, keys, public_url, limit_free_at=allowance.free_at if is_last else None)


async def _ripe_groups(work: Work, rule: EscalationRule, kind: Kind) -> list[str]:
    """Keys of the groups that have gathered long enough, the oldest first."""
    first_due_at = func.min(Escalation.due_at)
    query = (
        select(Escalation.group_key, first_due_at)
        .where(*_due(work, Escalation.rule_id == rule.id, Escalation.kind == kind))
        .group_by(col(Escalation.group_key))
        .having(first_due_at <= work.now - timedelta(seconds=rule.roll_up_s))
        .order_by(first_due_at)
    )
    return [key for key, _ in await work.session.exec(query)]


async def _note_limit(work: Work, rule: EscalationRule, kind: Kind, allowance: _Allowance) -> None:
    reason = limit_reason(rule.messages_per_hour_max, allowance.free_at)
    await work.session.exec(
        update(Escalation)
        .where(
            *_due(work, Escalation.rule_id == rule.id, Escalation.kind == kind),
            or_(col(Escalation.reason).is_(None), col(Escalation.reason) != reason),
        )
        .values(reason=reason)
        .execution_options(synchronize_session=False)
    )


async def _send(
    work: Work,
    rule: EscalationRule,
    kind: Kind,
    keys: Sequence[str] | None,
    public_url: str,
    *,
    limit_free_at: datetime | None,
) -> None:
    """Put what is due (in these groups) into one message, with a delivery for each recipient."""
    message_id = new_id()
    conditions = _due(work, Escalation.rule_id == rule.id, Escalation.kind == kind)
    if keys is not None:
        conditions.append(col(Escalation.group_key).in_(keys))
    taken = await work.session.exec(
        update(Escalation)
        .where(*conditions)
        .values(state=EscalationState.DUE, message_id=message_id, reason=None)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount == 0:
        return
    letter = await _letter(work, rule, kind, message_id, public_url, limit_free_at=limit_free_at)
    add_deliveries(
        work,
        rule,
        message_id=message_id,
        kind=kind,
        subject=subject_of(letter, rule.language),
        text=text_of(letter, rule.language, rule.time_zone),
        payload=_payload(rule, kind, letter),
        error_count=letter.error_count,
    )


async def _letter(
    work: Work,
    rule: EscalationRule,
    kind: Kind,
    message_id: int,
    public_url: str,
    *,
    limit_free_at: datetime | None,
) -> Letter:
    counts = select(func.count(), func.count(func.distinct(Escalation.station_id))).where(
        Escalation.message_id == message_id
    )
    error_count, station_count = (await work.session.exec(counts)).one()
    by_severity = case({Severity.CRITICAL: 0, Severity.ERROR: 1}, value=col(StationError.severity), else_=2)
    query = (
        select(StationError, Station)
        .join(Escalation, col(Escalation.error_id) == StationError.id)
        .join(Station, col(Station.id) == StationError.station_id)
        .where(Escalation.message_id == message_id)
        .order_by(by_severity, col(StationError.raised_at), col(StationError.id))
        .limit(ENTRIES_SHOWN_MAX)
    )
    rows = (await work.session.exec(query)).all()
    return Letter(
        rule_name=rule.name,
        is_all_clear=kind is Kind.ALL_CLEAR,
        entries=[_entry(error, station, public_url) for error, station in rows],
        error_count=error_count,
        station_count=station_count,
        hold_off_s=rule.hold_off_s,
        now=work.now,
        limit_free_at=limit_free_at,
    )


def _entry(error: StationError, station: Station, public_url: str) -> Entry:
    place = [station.address, " ".join(part for part in (station.postal_code, station.city) if part)]
    return Entry(
        error_id=error.id,
        station=station.identity,
        station_name=station.name,
        site=station.site,
        place=", ".join(part for part in place if part) or None,
        charge_point_number=error.charge_point_number,
        code=error.code,
        vendor_code=error.vendor_code,
        info=error.info,
        severity=error.severity.value,
        source=error.source.value,
        since=error.raised_at,
        resolved_at=error.resolved_at,
        repeat_count=error.repeat_count,
        url=f"{public_url.rstrip('/')}/api/v1/stations/{quote(station.identity, safe='')}/errors/{error.id}",
    )


def _payload(rule: EscalationRule, kind: Kind, letter: Letter) -> dict[str, Any]:
    """The webhook's body: the same news as the text, for machines."""
    return {
        "type": f"escalation.{kind.value}",
        "timestamp": letter.now.isoformat(),
        "data": {
            "rule": {"id": str(rule.id), "name": rule.name},
            "error_count": letter.error_count,
            "station_count": letter.station_count,
            "errors": [_shown(entry) for entry in letter.entries],
            "limit_reached_until": letter.limit_free_at.isoformat() if letter.limit_free_at else None,
        },
    }


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "id": str(entry.error_id),
        "station_id": entry.station,
        "station_name": entry.station_name,
        "site": entry.site,
        "charge_point_number": entry.charge_point_number,
        "source": entry.source,
        "code": entry.code,
        "vendor_code": entry.vendor_code,
        "info": entry.info,
        "severity": entry.severity,
        "raised_at": entry.since.isoformat(),
        "resolved_at": entry.resolved_at.isoformat() if entry.resolved_at else None,
        "repeat_count": entry.repeat_count,
        "url": entry.url,
    }
