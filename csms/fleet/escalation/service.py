"""F2: rules, and what the news of an error means for the escalations of it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import httpx
from sqlmodel import col, select, update

from csms.exceptions import Conflict, Forbidden, Invalid, NotFound
from csms.fleet.escalation.model import Delivery, Escalation, EscalationRule
from csms.fleet.escalation.rules import (
    Channel,
    DeliveryState,
    EscalationState,
    Kind,
    Subject,
    decide,
    group_key,
    matches,
    written,
)
from csms.ids import new_id
from csms.station.errors import Resolution, StationError, began_at
from csms.station.information import Station
from csms.station.maintenance_windows import Span, active_at
from csms.store import Work
from csms.webhooks import is_public

_PENDING = (EscalationState.WAITING, EscalationState.DUE)
RULES_MAX = 200
"""Rules of one organisation: each error is held against all of them."""


# --- rules ------------------------------------------------------------------------------------------------------


async def get_rule(work: Work, rule_id: int, *, to_change: bool = False) -> EscalationRule:
    """Raises NotFound."""
    query = select(EscalationRule).where(EscalationRule.id == rule_id)
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound("there is no such rule; GET /api/v1/escalation-rules lists yours")
    return found


def organisation_of(work: Work) -> int:
    """The caller's organisation. Raises Forbidden for the system itself, which belongs to none."""
    if work.actor.organisation_id is None:
        raise Forbidden("rules belong to an organisation; ask with one of its keys")
    return work.actor.organisation_id


async def add_rule(work: Work, rule: EscalationRule, allowed_hosts: Sequence[str]) -> None:
    """Raises Invalid for a target that does not fit the channel, Conflict when there are too many rules."""
    check_target(rule, allowed_hosts)
    if len((await work.session.exec(select(EscalationRule.id))).all()) >= RULES_MAX:
        raise Conflict(f"there are {RULES_MAX} rules already; delete one, or put several conditions into one rule")
    work.session.add(rule)
    await work.session.flush()


def check_target(rule: EscalationRule, allowed_hosts: Sequence[str]) -> None:
    """Raises Invalid. A host name is resolved and checked at each delivery; here only what can be seen."""
    if rule.channel is Channel.EMAIL:
        if not rule.recipients:
            raise Invalid("an e-mail rule needs at least one address in `recipients`", place="body/recipients")
        if rule.url is not None:
            raise Invalid("an e-mail rule has no `url`; leave it out", place="body/url")
        return
    if rule.recipients:
        raise Invalid("a webhook rule has no `recipients`; leave them out", place="body/recipients")
    if rule.url is None:
        raise Invalid("a webhook rule needs the `url` to call", place="body/url")
    _check_url(rule.url, allowed_hosts)


def _check_url(text: str, allowed_hosts: Sequence[str]) -> None:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise Invalid("this is no URL", place="body/url") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise Invalid("write https://host/path, without user name and password", place="body/url")
    if url.host in allowed_hosts:
        return
    if url.host == "localhost" or not _may_be_public(url.host):
        raise Invalid(
            "webhooks reach public addresses only; an administrator of the installation can allow a host by name "
            "in CSMS_WEBHOOK_ALLOWED_HOSTS",
            place="body/url",
        )


def _may_be_public(host: str) -> bool:
    try:
        return is_public(ip_address(host))
    except ValueError:
        return True  # a name; what it leads to is looked up and checked at each delivery


def webhook_secret(rule: EscalationRule, secret_key: bytes) -> str:
    """What signs the rule's webhooks (Standard Webhooks 1.0); made anew each time and stored nowhere."""
    digest = hmac.new(secret_key, b"escalation webhook:" + rule.secret_salt.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(digest).decode()


def renew_secret(rule: EscalationRule) -> None:
    """The old secret signs nothing any more. Raises Conflict for an e-mail rule."""
    if rule.channel is not Channel.WEBHOOK:
        raise Conflict("only webhook rules have a secret")
    rule.secret_salt = secrets.token_hex(16)


async def delete_rule(work: Work, rule: EscalationRule) -> None:
    """Nobody is told by it any more; what it did stays in the history."""
    waiting = (EscalationState.WAITING, EscalationState.DUE)
    await work.session.exec(
        update(Escalation)
        .where(col(Escalation.rule_id) == rule.id, col(Escalation.state).in_(waiting))
        .values(state=EscalationState.CANCELLED, reason="the rule was deleted", ended_at=work.now)
    )
    unsent = (DeliveryState.DUE, DeliveryState.SENDING)
    await work.session.exec(
        update(Delivery)
        .where(col(Delivery.rule_id) == rule.id, col(Delivery.state).in_(unsent))
        .values(state=DeliveryState.FAILED, problem="the rule was deleted")
    )
    await work.session.delete(rule)


def targets_of(rule: EscalationRule) -> list[str]:
    """Where its messages go: e-mail addresses, each once, or the one URL."""
    return list(dict.fromkeys(rule.recipients)) if rule.channel is Channel.EMAIL else [rule.url or ""]


def add_deliveries(
    work: Work,
    rule: EscalationRule,
    *,
    message_id: int,
    kind: Kind,
    subject: str,
    text: str,
    payload: dict[str, Any],
    error_count: int,
) -> list[Delivery]:
    """One message, due now: a delivery for each recipient."""
    deliveries = [
        Delivery(
            organisation_id=rule.organisation_id,
            message_id=message_id,
            rule_id=rule.id,
            rule_name=rule.name,
            kind=kind,
            channel=rule.channel,
            target=target,
            subject=subject,
            text=text,
            payload=payload,
            error_count=error_count,
            created_at=work.now,
            next_attempt_at=work.now,
        )
        for target in targets_of(rule)
    ]
    work.session.add_all(deliveries)
    return deliveries


def add_test(work: Work, rule: EscalationRule, subject: str, text: str) -> list[Delivery]:
    """A message that says that messages arrive; it goes the way of all others."""
    payload = {
        "type": "escalation.test",
        "timestamp": work.now.isoformat(),
        "data": {"rule": {"id": str(rule.id), "name": rule.name}, "errors": []},
    }
    return add_deliveries(
        work, rule, message_id=new_id(), kind=Kind.TEST, subject=subject, text=text, payload=payload, error_count=0
    )


# --- news of errors and windows ---------------------------------------------------------------------------------


async def open_escalations(work: Work, error_id: int, *, worse_since: datetime | None = None) -> None:
    """An error was raised or got worse: note it for every rule that it concerns and that does not know it yet.

    What got worse outside of any window is news, also of an error that began inside one: it is as if it began then.
    """
    query = select(StationError, Station).join(Station, col(Station.id) == StationError.station_id)
    found = (await work.session.exec(query.where(StationError.id == error_id))).first()
    if found is None:
        return
    error, station = found
    known = await _known(work, error_id)
    rules = [rule for rule in await _rules_for(work, error, station) if _is_news(known.get(rule.id), worse_since)]
    if not rules:
        return
    began = worse_since or began_at(error.source, error.raised_at, error.received_at)
    window = await active_at(work, error.station_id, error.charge_point_number, began)
    for rule in rules:
        earlier = known.get(rule.id)
        if earlier is None:
            _open(work, rule, error, station, began, window)
        elif window is None:
            _open_again(earlier, rule, began, work.now)


async def _known(work: Work, error_id: int) -> dict[int, Escalation]:
    """The alerts of the error, by rule."""
    query = select(Escalation).where(Escalation.error_id == error_id, Escalation.kind == Kind.ALERT)
    return {row.rule_id: row for row in await work.session.exec(query.with_for_update())}


def _is_news(known: Escalation | None, worse_since: datetime | None) -> bool:
    return known is None or (worse_since is not None and known.state is EscalationState.SUPPRESSED)


def _open_again(escalation: Escalation, rule: EscalationRule, began: datetime, now: datetime) -> None:
    """Silent so far, because it began inside a window."""
    escalation.hold_off_until = began + timedelta(seconds=rule.hold_off_s)
    escalation.due_at = max(escalation.hold_off_until, now)
    escalation.state, escalation.reason = EscalationState.WAITING, None
    escalation.window_id = escalation.ended_at = None


async def _rules_for(work: Work, error: StationError, station: Station) -> list[EscalationRule]:
    query = select(EscalationRule).where(
        EscalationRule.organisation_id == error.organisation_id, col(EscalationRule.is_active).is_(True)
    )
    subject = Subject(
        code=error.code,
        vendor_code=error.vendor_code,
        source=error.source.value,
        severity=error.severity.value,
        site=station.site,
        tags=station.tags,
        station=station.identity,
    )
    return [rule for rule in await work.session.exec(query) if matches(rule.conditions, subject)]


def _open(  # noqa: PLR0917  # an error by a rule
    work: Work, rule: EscalationRule, error: StationError, station: Station, began: datetime, window: Span | None
) -> None:
    hold_off_until = began + timedelta(seconds=rule.hold_off_s)
    decision = decide(
        hold_off_until=hold_off_until,
        window_ends_at=window.ends_at if window else None,
        escalates_open_after_window=rule.escalates_open_after_window,
    )
    escalation = Escalation(
        organisation_id=error.organisation_id,
        rule_id=rule.id,
        rule_name=rule.name,
        station_id=error.station_id,
        error_id=error.id,
        kind=Kind.ALERT,
        state=decision.state,
        reason=decision.reason,
        group_key=group_key(
            rule.group_by,
            error_id=error.id,
            station_id=station.id,
            site=station.site,
            imsi=station.imsi,
            iccid=station.iccid,
        ),
        created_at=work.now,
        hold_off_until=hold_off_until,
        due_at=max(decision.due_at, work.now),  # a group gathers from when we know of its first error
        window_id=window.window_id if window else None,
        ended_at=work.now if decision.state is EscalationState.SUPPRESSED else None,
    )
    if error.resolved_at is not None and decision.state is EscalationState.WAITING:
        _cancel(escalation, error.resolved_at, work.now)
    work.session.add(escalation)


def _cancel(escalation: Escalation, resolved_at: datetime, now: datetime) -> None:
    escalation.state = EscalationState.CANCELLED
    escalation.reason = f"resolved at {written(resolved_at)}, before anybody had to be told"
    escalation.ended_at = now


async def close_escalations(work: Work, error_id: int, resolved_at: datetime, resolution: Resolution) -> None:
    """An error was resolved: nobody is told who was not yet; who was told gets the all-clear, if the rule says so."""
    query = select(Escalation).where(Escalation.error_id == error_id, Escalation.kind == Kind.ALERT)
    for escalation in await work.session.exec(query.with_for_update()):
        if escalation.state is EscalationState.WAITING:
            _cancel(escalation, resolved_at, work.now)
        elif escalation.state is EscalationState.SENT and resolution is not Resolution.DISPLACED:
            await add_all_clear(work, escalation)


async def add_all_clear(work: Work, alert: Escalation) -> None:
    """For an alert that was sent (its row locked), once, if its rule wants it."""
    rule = await work.session.get(EscalationRule, alert.rule_id)
    if rule is None or not (rule.is_active and rule.sends_all_clear):
        return
    query = select(Escalation.id).where(
        Escalation.rule_id == rule.id, Escalation.error_id == alert.error_id, Escalation.kind == Kind.ALL_CLEAR
    )
    if (await work.session.exec(query)).first() is not None:
        return
    copied = ("organisation_id", "rule_id", "rule_name", "station_id", "error_id", "group_key")
    work.session.add(
        Escalation(
            **{name: getattr(alert, name) for name in copied},
            kind=Kind.ALL_CLEAR,
            state=EscalationState.WAITING,
            created_at=work.now,
            hold_off_until=work.now,
            due_at=work.now,
        )
    )


async def release_held(work: Work, station_id: int) -> None:
    """A window of the station was changed or is over: look at what windows hold as soon as its hold-off allows."""
    query = select(Escalation).where(
        Escalation.station_id == station_id,
        Escalation.state == EscalationState.WAITING,
        col(Escalation.window_id).is_not(None),
    )
    for escalation in await work.session.exec(query.with_for_update()):
        escalation.due_at = min(escalation.due_at, max(work.now, escalation.hold_off_until))


# --- answers ----------------------------------------------------------------------------------------------------


async def get_delivery(work: Work, delivery_id: int) -> Delivery:
    """Raises NotFound."""
    found = (await work.session.exec(select(Delivery).where(Delivery.id == delivery_id))).first()
    if found is None:
        raise NotFound("there is no such delivery; GET /api/v1/deliveries lists them")
    return found


def why(escalations: Sequence[Escalation]) -> str:
    """In one sentence: who was told of an error, or why nobody was."""
    alerts = [one for one in escalations if one.kind is Kind.ALERT]
    if not alerts:
        return "nobody: no rule that was active when it was raised concerns this error"
    told = [f"«{one.rule_name}»" for one in alerts if one.state is EscalationState.SENT]
    others = [one for one in alerts if one.state is not EscalationState.SENT]
    reasons = "; ".join(f"{one.reason or _usual_reason(one)} (rule «{one.rule_name}»)" for one in others)
    if told:
        return f"told by the rules {', '.join(told)}" + (f"; not by others: {reasons}" if reasons else "")
    lead = "nobody yet" if any(one.state in _PENDING for one in alerts) else "nobody"
    return f"{lead}: {reasons}"


def _usual_reason(escalation: Escalation) -> str:
    if escalation.state is EscalationState.WAITING:
        return f"waits until {written(escalation.due_at)} whether it ends by itself"
    return "the message is on its way"
