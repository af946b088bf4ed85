"""F2: sends deliveries: leased before, noted after, the network in between outside of any transaction.

A worker that dies between sending and noting leaves a delivery that looks unsent; when its lease is over it is sent
again with the same id (`webhook-id`, `Message-ID`), by which the receiver knows the repetition.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import structlog
from prometheus_client import Counter
from sqlmodel import col, select, update

from csms import mail, webhooks
from csms.fleet.escalation.escalations import HELD_FOR_S_MAX, silenced
from csms.fleet.escalation.model import Delivery, DeliveryAttempt, Escalation, EscalationRule
from csms.fleet.escalation.rules import (
    ATTEMPTS_MAX,
    AttemptResult,
    Channel,
    DeliveryState,
    EscalationState,
    Kind,
    next_attempt,
)
from csms.fleet.escalation.service import add_all_clear, webhook_secret
from csms.runtime import Runtime
from csms.station.errors import Resolution, StationError
from csms.station.maintenance_windows import MaintenanceWindow
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

LEASE_S = 120
"""Longer than any try to send may take."""
AT_ONCE = 20
OVER = "not sent any more: what it tells of is over"
SWITCHED_OFF = "not sent any more: the rule was switched off"
HELD = "not sent yet: a maintenance window is active"
ATTEMPTS = Counter("csms_delivery_attempts", "Tries to send alarms to people and systems", ["channel", "result"])
GIVEN_UP = Counter("csms_deliveries_given_up", "Alarms that did not reach a recipient, for good", ["channel"])


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that is ours to send for LEASE_S."""

    id: int
    number: int
    """Which attempt this is, from 1."""
    channel: Channel
    target: str
    subject: str
    text: str
    kind: Kind
    payload: dict[str, Any]
    secret: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; `is_final`: trying again is useless."""

    is_sent: bool
    detail: str
    is_final: bool = False


async def lease_due(work: Work, secret_key: bytes, limit: int = AT_ONCE) -> list[Leased]:
    """Take deliveries that are due, or whose sender was lost, and note that an attempt starts."""
    query = (
        select(Delivery)
        .where(
            col(Delivery.state).in_((DeliveryState.DUE, DeliveryState.SENDING)), Delivery.next_attempt_at <= work.now
        )
        .order_by(col(Delivery.next_attempt_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    leased = []
    for delivery in (await work.session.exec(query)).all():
        if delivery.state is DeliveryState.SENDING:
            await _note_lost(work, delivery)
        if delivery.attempts >= ATTEMPTS_MAX:
            await _fail(work, delivery, "its last attempt was lost")
            continue
        if delivery.attempts > 0 and not await _is_still_to_be_sent(work, delivery):
            continue
        leased.append(await _lease(work, delivery, secret_key))
    return leased


async def _is_still_to_be_sent(work: Work, delivery: Delivery) -> bool:
    """Look again at what could not be sent: much may have changed meanwhile. Notes why it is not sent, or not yet."""
    rule = await work.session.get(EscalationRule, delivery.rule_id)
    if delivery.kind is not Kind.TEST and rule is not None and not rule.is_active:
        await _fail(work, delivery, SWITCHED_OFF)
        return False
    if delivery.kind is not Kind.ALERT:
        return True
    is_open = (
        select(Escalation.id)
        .join(StationError, col(StationError.id) == Escalation.error_id)
        .where(col(Escalation.message_id) == delivery.message_id, col(StationError.resolved_at).is_(None))
        .limit(1)
    )
    window = select(MaintenanceWindow.id).where(MaintenanceWindow.station_id == StationError.station_id)
    is_loud = is_open.where(~window.where(*silenced(work)).correlate(StationError).exists())
    if (await work.session.exec(is_open)).first() is None:
        await _fail(work, delivery, OVER)
        return False
    if (await work.session.exec(is_loud)).first() is None:
        delivery.next_attempt_at, delivery.problem = work.now + timedelta(seconds=HELD_FOR_S_MAX), HELD
        return False
    return True


async def _lease(work: Work, delivery: Delivery, secret_key: bytes) -> Leased:
    delivery.state = DeliveryState.SENDING
    delivery.attempts += 1
    delivery.next_attempt_at = work.now + timedelta(seconds=LEASE_S)
    work.session.add(
        DeliveryAttempt(
            organisation_id=delivery.organisation_id,
            delivery_id=delivery.id,
            number=delivery.attempts,
            started_at=work.now,
            result=AttemptResult.STARTED,
        )
    )
    rule = None
    if delivery.channel is Channel.WEBHOOK:
        rule = await work.session.get(EscalationRule, delivery.rule_id)
    return Leased(
        id=delivery.id,
        number=delivery.attempts,
        channel=delivery.channel,
        target=delivery.target,
        subject=delivery.subject,
        text=delivery.text,
        kind=delivery.kind,
        payload=delivery.payload,
        secret=webhook_secret(rule, secret_key) if rule else None,
    )


async def _note_lost(work: Work, delivery: Delivery) -> None:
    await work.session.exec(
        update(DeliveryAttempt)
        .where(
            col(DeliveryAttempt.delivery_id) == delivery.id,
            col(DeliveryAttempt.result) == AttemptResult.STARTED,
        )
        .values(
            result=AttemptResult.LOST,
            ended_at=work.now,
            detail="the sender ended before it could note the result; the message may have arrived",
        )
    )


async def send(runtime: Runtime, leased: Leased) -> Outcome:
    """Try once. Never raises for what a receiver or the network does."""
    try:
        if leased.channel is Channel.EMAIL:
            return await _send_mail(runtime, leased)
        return await _call_webhook(runtime, leased)
    except Exception as error:  # one bad delivery must not keep back the others
        log.exception("delivery failed", delivery_id=leased.id)
        return Outcome(is_sent=False, detail=f"internal error: {type(error).__name__}")


async def _send_mail(runtime: Runtime, leased: Leased) -> Outcome:
    if runtime.mailer is None:
        return Outcome(is_sent=False, detail="no mail server is set; set CSMS_SMTP_HOST")
    domain = runtime.settings.mail_sender.rpartition("@")[2]
    message = mail.Mail(
        to=leased.target, subject=leased.subject, text=leased.text, message_id=f"<escalation-{leased.id}@{domain}>"
    )
    result = await runtime.mailer.send(message)
    if isinstance(result, mail.Sent):
        return Outcome(is_sent=True, detail=f"the mail server took it as {result.message_id}")
    return Outcome(is_sent=False, detail=result.reason, is_final=result.permanent)


async def _call_webhook(runtime: Runtime, leased: Leased) -> Outcome:
    if leased.secret is None:
        return Outcome(is_sent=False, detail="the rule was deleted", is_final=True)
    result = await webhooks.deliver(
        runtime.http,
        leased.target,
        orjson.dumps(leased.payload),
        secret=leased.secret,
        delivery_id=str(leased.id),
        event=f"escalation.{leased.kind.value}",
        timestamp=runtime.clock(),
        allowed_hosts=runtime.settings.webhook_allowed_hosts,
    )
    if isinstance(result, webhooks.Sent):
        return Outcome(is_sent=True, detail=f"HTTP {result.status}")
    return Outcome(is_sent=False, detail=result.reason, is_final=result.permanent)


async def record(work: Work, leased: Leased, outcome: Outcome) -> None:
    """Note how an attempt ended, and what that means for its delivery and its escalations."""
    ATTEMPTS.labels(leased.channel.value, "sent" if outcome.is_sent else "failed").inc()
    await work.session.exec(
        update(DeliveryAttempt)
        .where(col(DeliveryAttempt.delivery_id) == leased.id, col(DeliveryAttempt.number) == leased.number)
        .values(
            result=AttemptResult.SENT if outcome.is_sent else AttemptResult.FAILED,
            ended_at=work.now,
            detail=outcome.detail,
        )
    )
    delivery = await _locked(work, leased.id)
    if delivery is None or delivery.state not in (DeliveryState.DUE, DeliveryState.SENDING):
        return
    if outcome.is_sent:
        await _succeed(work, delivery)
        return
    if delivery.attempts != leased.number:
        return  # our lease ran out, and another sender is at it
    again_at = next_attempt(leased.number, work.now, is_final=outcome.is_final)
    if again_at is None:
        await _fail(work, delivery, outcome.detail)
        return
    delivery.state, delivery.next_attempt_at, delivery.problem = DeliveryState.DUE, again_at, outcome.detail


async def _locked(work: Work, delivery_id: int) -> Delivery | None:
    """The delivery, with all of its message locked: whether all have failed is seen by exactly one."""
    message_id = select(Delivery.message_id).where(Delivery.id == delivery_id).scalar_subquery()
    query = select(Delivery).where(Delivery.message_id == message_id).order_by(col(Delivery.id)).with_for_update()
    rows = (await work.session.exec(query)).all()
    return next((row for row in rows if row.id == delivery_id), None)


async def _succeed(work: Work, delivery: Delivery) -> None:
    delivery.state, delivery.sent_at, delivery.problem = DeliveryState.SENT, work.now, None
    _tell(work, delivery)
    is_ours = (
        col(Escalation.message_id) == delivery.message_id,
        col(Escalation.state) == EscalationState.DUE,
    )
    resolved = (
        select(Escalation)
        .join(StationError, col(StationError.id) == Escalation.error_id)
        .where(
            *is_ours,
            Escalation.kind == Kind.ALERT,
            col(StationError.resolved_at).is_not(None),
            StationError.resolution != Resolution.DISPLACED,
        )
    )
    ended_meanwhile = (await work.session.exec(resolved)).all()
    await work.session.exec(update(Escalation).where(*is_ours).values(state=EscalationState.SENT, ended_at=work.now))
    for alert in ended_meanwhile:
        await add_all_clear(work, alert)


async def _fail(work: Work, delivery: Delivery, problem: str) -> None:
    delivery.state, delivery.problem = DeliveryState.FAILED, problem
    reason = problem
    if problem not in (OVER, SWITCHED_OFF):
        reason = f"not delivered: {problem}"
        GIVEN_UP.labels(delivery.channel.value).inc()
        log.warning("a message was given up", delivery_id=delivery.id, rule=delivery.rule_name, problem=problem)
    _tell(work, delivery)
    await work.session.flush()
    others = select(Delivery.id).where(
        Delivery.message_id == delivery.message_id, Delivery.state != DeliveryState.FAILED
    )
    if (await work.session.exec(others)).first() is None:
        await work.session.exec(
            update(Escalation)
            .where(col(Escalation.message_id) == delivery.message_id, col(Escalation.state) == EscalationState.DUE)
            .values(state=EscalationState.FAILED, reason=reason[:500], ended_at=work.now)
        )


def _tell(work: Work, delivery: Delivery) -> None:
    work.emit(
        Fact(
            kind=f"delivery_{delivery.state.value}",
            organisation_id=delivery.organisation_id,
            data={
                "delivery_id": str(delivery.id),
                "rule_id": str(delivery.rule_id),
                "kind": delivery.kind.value,
                "error_count": delivery.error_count,
                "attempts": delivery.attempts,
            },
        )
    )
