"""B3: sends commands and keeps the command log; every command ends in exactly one outcome."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.calls import Answered, Disconnected, Expired, Offline, Order, Outcome, Refused, TimedOut
from csms.config import Settings
from csms.exceptions import Conflict, Invalid, NotFound
from csms.ids import id_at
from csms.ocpp import schema
from csms.ocpp.actions import ACTIONS, Action, to_station
from csms.ocpp.confidential import MASK, redacted, scrubbed, secret_values
from csms.ocpp.versions import Version
from csms.rights import SYSTEM, Caller
from csms.routing import Registration, check_sent
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeLog, ChargeState, get_charge_log
from csms.station.commands import guards, rules
from csms.station.commands.model import Command, CommandOutcome
from csms.station.information import Station, get_station
from csms.station.tokens import Token, TokenKind, id_token, token_key
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

TIMEOUT_S_MAX: Final = 300.0
_SWEEP_MARGIN_S: Final = 60.0
_LOST: Final = "the process that sent it ended before the outcome was known; the station may have acted"

REMOTE_START_IDS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Start:
    """A charge that an operator wants to begin."""

    charge_point_number: int
    token: str
    kind: TokenKind | None = None
    """None: as it is registered; a token that is not is the operator's own."""


_running: set[asyncio.Task[Command]] = set()
"""Commands under way: the event loop itself keeps only weak references to tasks."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A command that is stored and may go out: with its secrets, which the row does not have."""

    command: Command
    identity: str
    order: Order
    guards: Sequence[guards.Prepared]


def version_of(station: Station) -> Version:
    """The version it spoke last; 1.6 for one that never connected."""
    try:
        return Version(station.protocol or Version.V16)
    except ValueError:
        return Version.V16


def known_action(version: Version, name: str) -> Action:
    """Raises NotFound for what no CSMS sends in that version, saying what there is."""
    action = ACTIONS[version].get(name)
    if action is not None and action.is_to_station:
        return action
    why = "is sent by stations only" if action is not None else "does not exist"
    names = ", ".join(one.name for one in to_station(version))
    raise NotFound(f"{name[:64]} {why} in {version}; what can be sent: {names}")


def check_request(version: Version, action: str, payload: Any) -> None:
    """Raises Invalid with the place of the first breach: `body` and the JSON pointer to the field."""
    breach = schema.check(version, action, "request", payload)
    if breach is not None:
        raise Invalid(f"{action}: {breach}", place=f"body{breach.place}")


async def send(
    runtime: Runtime, caller: Caller, identity: str, action: str, payload: Any, *, timeout_s: float | None = None
) -> Command:
    """Send a command and wait for its outcome, which is in the row that comes back.

    The request is committed before it leaves and the outcome is stored even when the caller goes away meanwhile.
    Raises NotFound (station, action), Invalid (payload), Conflict (the station may not be sent it now).
    """
    wait_s = min(timeout_s or runtime.settings.call_timeout_s, TIMEOUT_S_MAX)
    async with runtime.store.reading(caller) as work:
        version = _checked(await get_station(work, identity), action, payload)
    guarded = await guards.prepare(runtime, version, action, payload)
    async with runtime.store.writing(caller) as work:
        sent = await _prepare(work, runtime.settings, identity, action, payload, timeout_s=wait_s, guarded=guarded)
    task = asyncio.create_task(_carry_out(runtime, caller, sent), name=f"command {sent.command.id}")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


async def wish(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    say: Callable[[Version], rules.Wish],
    *,
    timeout_s: float | None = None,
) -> Command:
    """Send what an operator wants in the words of the version that the station speaks.

    Raises Conflict where that version has none, and what `send` raises.
    """
    async with runtime.store.reading(caller) as work:
        version = version_of(await get_station(work, identity))
    try:
        said = say(version)
    except rules.CannotSay as error:
        raise Conflict(str(error)) from error
    return await send(runtime, caller, identity, said.action, said.payload, timeout_s=timeout_s)


async def start_charge(
    runtime: Runtime, caller: Caller, identity: str, start: Start, *, timeout_s: float | None = None
) -> Command:
    """Ask the station to begin a charge. Raises Conflict for a charge point or a token that is out of the question."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        token = await _registered(work, station, start.token)
    kind = start.kind or (TokenKind.CENTRAL if token is None else token.kind)
    remote_start_id = 1 + secrets.randbelow(REMOTE_START_IDS)

    def say(version: Version) -> rules.Wish:
        written = id_token(start.token, kind, is_21=version is Version.V21)
        return rules.start(version, start.charge_point_number, written, remote_start_id)

    return await wish(runtime, caller, identity, say, timeout_s=timeout_s)


async def _registered(work: Work, station: Station, uid: str) -> Token | None:
    query = select(Token).where(Token.organisation_id == station.organisation_id, Token.uid_key == token_key(uid))
    return (await work.session.exec(query)).first()


async def about_charge(
    runtime: Runtime,
    caller: Caller,
    charge_log_id: int,
    say: Callable[[Version, str], rules.Wish],
    *,
    must_run: bool = True,
    timeout_s: float | None = None,
) -> tuple[Command, str]:
    """Tell or ask a charge's station something about it; returns the command and the station's identity.

    Raises NotFound, and Conflict for a charge that has ended if it must run.
    """
    async with runtime.store.reading(caller) as work:
        charge = await get_charge_log(work, charge_log_id)
        if must_run and charge.state is not ChargeState.RUNNING:
            raise Conflict("this charge has ended already")
        identity = (await work.session.get_one(Station, charge.station_id)).identity

    def said(version: Version) -> rules.Wish:
        return say(version, charge.transaction_id)

    return await wish(runtime, caller, identity, said, timeout_s=timeout_s), identity


async def charges_begun_by(work: Work, station_id: int, commands: Sequence[Command]) -> dict[int, int]:
    """The charge logs that remote starts led to (2.x), by the command's id; accepted ones may lead to none."""
    starts = {one.request.get("remoteStartId"): one.id for one in commands if one.action == "RequestStartTransaction"}
    if not starts:
        return {}
    query = select(ChargeLog.remote_start_id, ChargeLog.id).where(
        ChargeLog.station_id == station_id, col(ChargeLog.remote_start_id).in_(starts)
    )
    return {starts[number]: log_id for number, log_id in await work.session.exec(query)}


def _checked(station: Station, action: str, payload: Any) -> Version:
    version = version_of(station)
    known_action(version, action)
    check_request(version, action, payload)
    return version


async def _prepare(
    work: Work,
    settings: Settings,
    identity: str,
    action: str,
    payload: Any,
    *,
    timeout_s: float,
    guarded: Sequence[guards.Prepared],
) -> _Sent:
    station = await get_station(work, identity)
    version = _checked(station, action, payload)
    check_sent(settings, version, action, payload)
    _refuse_if_forbidden(station, action)
    caller = work.actor
    command = Command(
        organisation_id=station.organisation_id,
        station_id=station.id,
        action=action,
        request=redacted(action, payload),
        timeout_s=timeout_s,
        sent_at=work.now,
        deadline_at=work.now + timedelta(seconds=2 * timeout_s + _SWEEP_MARGIN_S),
        sent_by_kind=caller.kind,
        sent_by_id=caller.id,
        sent_by=caller.name,
    )
    work.session.add(command)
    await work.session.flush()
    for one in guarded:
        await one.guard.begin(work, command, station, payload, one.value)
    return _Sent(command, station.identity, Order(command.id, action, payload, timeout_s), guarded)


def _refuse_if_forbidden(station: Station, action: str) -> None:
    if station.registration is Registration.REJECTED:
        raise Conflict("the station is rejected and must not be sent anything; accept it first")
    if station.registration is Registration.PENDING and action in rules.NOT_WHILE_PENDING:
        raise Conflict(f"the station waits to be accepted; {action} may be sent when it is")


async def _carry_out(runtime: Runtime, caller: Caller, sent: _Sent) -> Command:
    outcome = await _call(runtime, sent)
    async with runtime.store.writing(caller) as work:
        command = await work.session.get_one(Command, sent.command.id)
        _settle(command, outcome, secret_values(sent.order.action, sent.order.payload))
        command.answered_at = work.now
        for one in sent.guards:
            await one.guard.end(work, command, sent.order.payload)
        work.emit(_ended(command, sent.identity))
    return command


async def _call(runtime: Runtime, sent: _Sent) -> Outcome | None:
    """None when the way to the station failed, so that nobody knows whether the call left."""
    try:
        return await runtime.calls.call(sent.identity, sent.order)
    except Exception:  # the command must end, whatever went wrong
        log.exception("call failed", station=sent.identity, action=sent.order.action, command_id=sent.command.id)
        return None


def _settle(command: Command, outcome: Outcome | None, secrets: Sequence[str]) -> None:
    """Write the outcome into the row, without the secrets of request and answer."""
    command.reason = None
    match outcome:
        case Answered(payload):
            command.outcome = CommandOutcome.ANSWERED
            command.payload = _without(redacted(command.action, payload), secrets)
        case Refused(code, description, details):
            command.outcome = CommandOutcome.REFUSED
            command.error = _without({"code": code, "description": description, "details": details}, secrets)
        case TimedOut(timeout_s):
            command.outcome = CommandOutcome.TIMED_OUT
            command.reason = f"no answer within {timeout_s:g} s; the station may have acted all the same"
        case Offline(reason):
            command.outcome, command.reason = CommandOutcome.OFFLINE, reason
        case Disconnected(reason):
            command.outcome, command.reason = CommandOutcome.DISCONNECTED, reason
        case Expired(reason):
            command.outcome, command.reason = CommandOutcome.EXPIRED, reason
        case None:
            command.outcome, command.reason = CommandOutcome.UNKNOWN, "the way to the station failed; it may have acted"


def _without(value: Any, secrets: Sequence[str]) -> Any:
    """The value with every text scrubbed of the request's secrets, which stations like to repeat."""
    if isinstance(value, str):
        return scrubbed(value, secrets)
    if isinstance(value, list):
        return [_without(item, secrets) for item in value]
    if isinstance(value, dict):
        return {scrubbed(name, secrets): _without(item, secrets) for name, item in value.items()}
    return MASK if str(value) in secrets else value


def _ended(command: Command, identity: str) -> Fact:
    return Fact(
        kind="command_ended",
        organisation_id=command.organisation_id,
        station_id=command.station_id,
        station=identity,
        data={"command_id": str(command.id), "action": command.action, "outcome": command.outcome.value},
    )


@dataclass(frozen=True, slots=True)
class CommandFilter:
    """Which commands; an empty set is all."""

    actions: frozenset[str] = frozenset()
    outcomes: frozenset[CommandOutcome] = frozenset()


def commands_of(
    station: Station,
    wanted: CommandFilter = CommandFilter(),
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> SelectOfScalar[Command]:
    """The station's commands sent from `start` to before `end`, to be paged."""
    query = select(Command).where(Command.station_id == station.id)
    if wanted.actions:
        query = query.where(col(Command.action).in_(wanted.actions))
    if wanted.outcomes:
        query = query.where(col(Command.outcome).in_(wanted.outcomes))
    if start is not None:
        query = query.where(col(Command.id) >= id_at(start))
    if end is not None:
        query = query.where(col(Command.id) < id_at(end))
    return query


async def get_command(work: Work, station: Station, command_id: int) -> Command:
    """Raises NotFound, also for another station's command."""
    query = select(Command).where(Command.station_id == station.id, Command.id == command_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"{station.identity} has no command {command_id}; GET its commands lists them")
    return found


async def close_lost(runtime: Runtime) -> None:
    """Close commands whose process died (ROBUSTNESS: every command ends in exactly one outcome)."""
    async with runtime.store.writing(SYSTEM) as work:
        await work.session.exec(
            update(Command)
            .where(col(Command.outcome) == CommandOutcome.WAITING, col(Command.deadline_at) < work.now)
            .values(outcome=CommandOutcome.UNKNOWN, reason=_LOST, answered_at=work.now)
        )
