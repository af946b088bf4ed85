"""B10: from the password that is sent to the one that holds: answer, login or operator decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, check_may_manage
from csms.station.information import (
    Station,
    check_identity,
    hashes_for,
    hashes_in_thread,
    is_made_here,
    password_fault,
    set_password_hashes,
)
from csms.station.passwords.model import PasswordChange
from csms.station.passwords.rules import OPEN, TAKEN, ChangeState, new_passwords, verdict
from csms.store import Fact, Work

CANDIDATES_MAX = 3
"""New passwords of one station that may hold at a time: each login tries all of them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new password that may hold beside the old one."""

    change_id: int
    password_hash: str
    state: ChangeState
    due_at: datetime

    def is_decided_by_old(self, now: datetime) -> bool:
        """Whether a login with the old password shows that the station has not taken this one."""
        return self.state is ChangeState.UNKNOWN or (self.state is ChangeState.SENDING and self.due_at <= now)


async def candidates_of(work: Work, station_ids: Sequence[int]) -> dict[int, list[Candidate]]:
    """The new passwords that may hold, by station: one query for all of them."""
    query = select(PasswordChange).where(
        col(PasswordChange.station_id).in_(station_ids), col(PasswordChange.password_hash).is_not(None)
    )
    found: dict[int, list[Candidate]] = {}
    for row in await work.session.exec(query.order_by(col(PasswordChange.id))):
        if row.password_hash is not None:
            candidate = Candidate(row.id, row.password_hash, row.state, row.due_at)
            found.setdefault(row.station_id, []).append(candidate)
    return found


# --- sending ----------------------------------------------------------------------------------------------------


async def prepare(runtime: Runtime, version: Version, action: str, payload: Payload) -> str:
    """The hash of the password that the request sets. Raises Invalid for one that no station can have."""
    passwords = new_passwords(action, payload)
    if len(passwords) != 1:
        raise Invalid(f"{action} must set the password once, and to a text", place="body")
    fault = password_fault(passwords[0], version)
    if fault is not None:
        raise Invalid(f"the new password: {fault}", place="body")
    if is_made_here(passwords[0]):
        return hashes_for(passwords[0], runtime.secret_key, is_generated=True)[0]
    return (await hashes_in_thread(passwords[0], runtime.secret_key))[0]


async def begin(work: Work, command: Command, station: Station, password_hash: str) -> None:
    """Let the new password hold beside the old one, before it leaves.

    Raises Conflict while another change is under way, or after too many of which nobody knows the outcome; Forbidden
    for who may not manage stations.
    """
    check_may_manage(work.actor, "changing the password with which a station logs in")
    check_identity(station.identity, max(station.security_profile, 1))
    rows = await _open_rows(work, station.id)
    for row in rows:
        if row.state is ChangeState.SENDING:
            if row.due_at > work.now:
                raise Conflict("a change of this station's password is under way; wait for its outcome")
            row.state, row.reason = ChangeState.UNKNOWN, "the process that sent it ended before the answer"
    if len(rows) >= CANDIDATES_MAX:
        raise Conflict(
            f"{len(rows)} changes of this password have no known outcome; wait until the station has logged in, or set "
            f"the password it has with PUT /api/v1/stations/{station.identity}/password"
        )
    await work.session.flush()
    work.session.add(
        PasswordChange(
            organisation_id=station.organisation_id,
            station_id=station.id,
            command_id=command.id,
            state=ChangeState.SENDING,
            password_hash=password_hash,
            requested_at=work.now,
            requested_by=work.actor.name,
            due_at=command.deadline_at,
        )
    )
    await work.session.flush()


async def answered(work: Work, station: ConnectedStation, action: str, answer: Payload) -> None:
    """The station's answer decides, in the unit that stores it and before anybody else hears of it."""
    rows = await _open_rows(work, station.id)
    change = next((row for row in rows if row.state is ChangeState.SENDING), None)
    if change is None:
        return
    state, reason = verdict(action, answer)
    if state is not ChangeState.ACCEPTED:
        kept = change.password_hash if state in OPEN else None
        work.change(
            PasswordChange,
            change.id,
            state=state,
            reason=reason,
            password_hash=kept,
            decided_at=None if state in OPEN else work.now,
        )
        return
    for row in rows:
        if row is not change:
            _note(work, row, ChangeState.OVERTAKEN, "a later change was accepted")
    if await _may_come_without(work, station.id):
        work.change(PasswordChange, change.id, state=ChangeState.WAITING, reason=reason)
        return
    _note(work, change, ChangeState.ACCEPTED, reason)
    work.change(Station, station.id, password_hashes=[change.password_hash])
    work.emit(_changed(station.organisation_id, station.id, station.identity))


def _note(work: Work, row: PasswordChange, state: ChangeState, reason: str) -> None:
    work.change(PasswordChange, row.id, state=state, reason=reason, password_hash=None, decided_at=work.now)


async def _may_come_without(work: Work, station_id: int) -> bool:
    """Profile 0 sends no password: to ask for one at once would keep the station out before it can be raised to 1."""
    station = await work.session.get(Station, station_id)
    return station is not None and station.security_profile == 0 and not station.password_hashes


_ENDS = {
    CommandOutcome.REFUSED: (ChangeState.REFUSED, "the station does not know the message or could not handle it"),
    CommandOutcome.OFFLINE: (ChangeState.NOT_SENT, "the station was not connected"),
    CommandOutcome.EXPIRED: (ChangeState.NOT_SENT, "other commands kept the station busy"),
}


async def end(work: Work, command: Command) -> None:
    """The command has ended; without an answer both passwords go on to hold until the next login."""
    query = select(PasswordChange).where(
        PasswordChange.command_id == command.id, PasswordChange.state == ChangeState.SENDING
    )
    change = (await work.session.exec(query)).first()
    if change is None:
        return
    state, reason = _ENDS.get(command.outcome, (ChangeState.UNKNOWN, command.reason or "the answer could not be read"))
    change.state, change.reason = state, reason
    if state not in OPEN:
        change.password_hash, change.decided_at = None, work.now


# --- deciding ---------------------------------------------------------------------------------------------------


async def decide_by_login(work: Work, station: Station, used: Candidate | None) -> None:
    """The station logged in: with that new password, or (None) with the old one.

    Only the one it used goes on to hold, unless the new one is still on its way or waits for a restart.
    """
    rows = await _open_rows(work, station.id)
    if used is None:
        for row in rows:
            if Candidate(row.id, "", row.state, row.due_at).is_decided_by_old(work.now):
                _close(work, row, ChangeState.REFUSED, "the station logged in with its old password")
        return
    stored = await work.session.get(Station, station.id)
    if stored is None or used.change_id not in {row.id for row in rows}:
        return
    for row in rows:
        if row.id == used.change_id:
            _close(work, row, ChangeState.ACCEPTED, "the station logged in with it")
        else:
            _close(work, row, ChangeState.OVERTAKEN, "the station logged in with another new password")
    stored.password_hashes = [used.password_hash]
    work.emit(_changed(station.organisation_id, station.id, station.identity))


async def set_password(work: Work, station: Station, hashes: list[str] | None) -> None:
    """An operator decides: this password holds from now on and no other (None: none is needed)."""
    set_password_hashes(work, station, hashes)
    for row in await _open_rows(work, station.id):
        _close(work, row, ChangeState.OVERTAKEN, f"the password was set by {work.actor.name}")


def _close(work: Work, row: PasswordChange, state: ChangeState, reason: str) -> None:
    row.state, row.reason, row.password_hash, row.decided_at = state, reason, None, work.now


async def _open_rows(work: Work, station_id: int) -> Sequence[PasswordChange]:
    query = select(PasswordChange).where(
        PasswordChange.station_id == station_id, col(PasswordChange.password_hash).is_not(None)
    )
    return (await work.session.exec(query.order_by(col(PasswordChange.id)))).all()


async def has_password(work: Work, station: Station) -> bool:
    """Whether it has one, or has accepted its first and is yet to come with it."""
    rows = await _open_rows(work, station.id)
    return bool(station.password_hashes) or any(row.state in TAKEN for row in rows)


def changes_query(station: Station) -> SelectOfScalar[PasswordChange]:
    """The station's password changes, to be paged."""
    return select(PasswordChange).where(PasswordChange.station_id == station.id)


async def change_of(work: Work, command: Command) -> PasswordChange:
    """The change that the command carried."""
    query = select(PasswordChange).where(PasswordChange.command_id == command.id)
    return (await work.session.exec(query)).one()


def _changed(organisation_id: int, station_id: int, identity: str) -> Fact:
    return Fact(
        kind="station_changed",
        organisation_id=organisation_id,
        station_id=station_id,
        station=identity,
        data={"changed": ["password"]},
    )
