"""S17: requests logs, follows their upload to the end, finds and deletes them."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, CsmsError, NotFound
from csms.files import StoredFile, remove_file
from csms.ocpp.reading import TEXT_CHARS_MAX, int32_of, status_info_of, text_of
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.diagnosis import rules
from csms.station.diagnosis.model import Diagnosis, DiagnosisStatus
from csms.station.diagnosis.rules import DiagnosisState, Wish
from csms.station.file_transfers import (
    FileTransfer,
    Said,
    TransferProtocol,
    TransferState,
    close_transfer,
    get_transfer,
    keep_status,
    offer_upload,
    protocol_for,
    shown_location,
    transfers_by_id,
    username_in,
)
from csms.station.information import Station, get_station
from csms.store import Fact, Work

FOREIGN_DAYS: Final = 7
"""How long a request to somebody else's server is followed."""
CLOSES_PER_RUN: Final = 500
_NEVER_SENT: Final = frozenset({CommandOutcome.OFFLINE, CommandOutcome.EXPIRED, CommandOutcome.REFUSED})


async def request_diagnosis(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    wish: Wish,
    *,
    protocol: TransferProtocol | None = None,
    valid_s: int | None = None,
) -> int:
    """Ask the station to upload a log to us; returns the request's id. Its row says what came of it.

    Raises NotFound, and Conflict where its OCPP version has no such log or it may not be sent anything.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        action = _action(wish, station)
        row, payload = await _prepare(work, runtime, station, action, wish, protocol=protocol, valid_s=valid_s)
    try:
        command = await send(runtime, caller, identity, action, payload)
    except CsmsError as error:
        await _not_sent(runtime, row.id, error.detail)
        raise
    if command.outcome is not CommandOutcome.ANSWERED:
        await _not_answered(runtime, row.id, command)
    return row.id


def _action(wish: Wish, station: Station) -> str:
    try:
        return rules.action_for(wish.kind, version_of(station))
    except ValueError as error:
        raise Conflict(str(error)) from error


async def _prepare(
    work: Work,
    runtime: Runtime,
    station: Station,
    action: str,
    wish: Wish,
    *,
    protocol: TransferProtocol | None,
    valid_s: int | None,
) -> tuple[Diagnosis, Payload]:
    settings = runtime.settings
    deadline = work.now + timedelta(seconds=valid_s or settings.file_transfer_hours * 3600)
    transfer, url = offer_upload(
        work,
        runtime,
        station,
        wish.kind,
        protocol=await protocol_for(work, settings, station, protocol),
        bytes_max=settings.diagnosis_bytes_max,
        expires_at=deadline,
    )
    request_id = secrets.randbelow(2**31 - 1) + 1
    row = Diagnosis(
        organisation_id=station.organisation_id,
        station_id=station.id,
        kind=wish.kind,
        action=action,
        request_id=request_id if action == "GetLog" else None,
        transfer_id=transfer.id,
        location=shown_location(url),
        period_start=wish.start,
        period_end=wish.end,
        requested_at=work.now,
        requested_by=work.actor.name,
        deadline_at=deadline,
    )
    work.session.add(row)
    return row, rules.request_of(action, wish, url, request_id)


async def _not_sent(runtime: Runtime, diagnosis_id: int, reason: str) -> None:
    async with runtime.store.writing() as work:
        row = await work.session.get_one(Diagnosis, diagnosis_id)
        await end(work, row, DiagnosisState.FAILED, reason)


async def _not_answered(runtime: Runtime, diagnosis_id: int, command: Command) -> None:
    """Without an answer the station may have acted all the same: then its upload is still welcome."""
    async with runtime.store.writing() as work:
        row = await work.session.get_one(Diagnosis, diagnosis_id)
        if command.outcome in _NEVER_SENT:
            error = command.error or {}
            reason = (
                command.reason or f"the station refused: {error.get('code')} {error.get('description', '')}".strip()
            )
            await end(work, row, DiagnosisState.FAILED, reason[:TEXT_CHARS_MAX])
        elif row.state is DiagnosisState.REQUESTED:
            row.reason = command.reason


async def end(work: Work, row: Diagnosis, state: DiagnosisState, reason: str | None) -> None:
    """Close a request that will bring nothing more, and withdraw its URL."""
    row.state, row.reason, row.ended_at = state, reason, work.now
    if row.transfer_id is not None:
        await close_transfer(work, row.transfer_id)
    station = await work.session.get(Station, row.station_id)
    if station is not None:
        work.emit(changed(row, station.identity))


def changed(row: Diagnosis, identity: str, state: DiagnosisState | None = None) -> Fact:
    return Fact(
        kind="diagnosis_changed",
        organisation_id=row.organisation_id,
        station_id=row.station_id,
        station=identity,
        data={"diagnosis_id": str(row.id), "kind": row.kind.value, "state": (state or row.state).value},
    )


# --- what the station answers and tells; runs in the broker


async def answered(work: Work, station: ConnectedStation, action: str, request: Payload, answer: Payload) -> None:
    """Keep what the station answered, also to a raw command with somebody else's URL."""
    state, reason = rules.after_answer(action, answer)
    location = rules.location_of(action, request)
    row = await _of_location(work, station, location)
    name = text_of(answer.get("filename") or answer.get("fileName"))
    if row is None:
        row = _foreign(work, station, action, request, state=state, reason=reason, name=name)
    elif row.state in (DiagnosisState.REQUESTED, DiagnosisState.ACCEPTED):
        is_over = state is DiagnosisState.REJECTED
        ended_at = work.now if is_over else None
        work.change(Diagnosis, row.id, state=state, reason=reason, file_name=name, ended_at=ended_at)
        if is_over and row.transfer_id is not None:
            work.change(FileTransfer, row.transfer_id, state=TransferState.CLOSED)
        work.emit(changed(row, station.identity, state))
    if answer.get("status") == "AcceptedCanceled" or (action == "GetDiagnostics" and answer.get("fileName")):
        await _cancel_others(work, station, action, row.id)


async def _of_location(work: Work, station: ConnectedStation, location: str) -> Diagnosis | None:
    username = username_in(location)
    transfer = await get_transfer(work, username) if username is not None else None
    if transfer is None or transfer.station_id != station.id:
        return None
    return (await work.session.exec(select(Diagnosis).where(Diagnosis.transfer_id == transfer.id))).first()


def _foreign(
    work: Work,
    station: ConnectedStation,
    action: str,
    request: Payload,
    *,
    state: DiagnosisState,
    reason: str | None,
    name: str | None,
) -> Diagnosis:
    row = Diagnosis(
        organisation_id=station.organisation_id,
        station_id=station.id,
        kind=rules.kind_of(action, request),
        action=action,
        request_id=int32_of(request.get("requestId")),
        location=shown_location(rules.location_of(action, request)),
        state=state,
        reason=reason,
        file_name=name,
        requested_at=work.now,
        requested_by="a raw command",
        deadline_at=work.now + timedelta(days=FOREIGN_DAYS),
        ended_at=work.now if state in rules.ENDED else None,
    )
    work.insert(Diagnosis, **row.model_dump())
    return row


async def _cancel_others(work: Work, station: ConnectedStation, action: str, kept_id: int) -> None:
    """The station gave up an upload for this one; of GetDiagnostics it can tell us only about the newest."""
    query = select(Diagnosis).where(
        Diagnosis.station_id == station.id,
        Diagnosis.action == action,
        col(Diagnosis.ended_at).is_(None),
        Diagnosis.id < kept_id,
        Diagnosis.state != DiagnosisState.REQUESTED,
    )
    for row in await work.session.exec(query):
        reason = "another request took its place"
        work.change(Diagnosis, row.id, state=DiagnosisState.CANCELLED, reason=reason, ended_at=work.now)
        if row.transfer_id is not None:
            work.change(FileTransfer, row.transfer_id, state=TransferState.CLOSED)
        work.emit(changed(row, station.identity, DiagnosisState.CANCELLED))


async def told(work: Work, station: ConnectedStation, action: str, payload: Payload) -> None:
    """DiagnosticsStatusNotification (1.6, 4.4) and LogStatusNotification (1.6 security; 2.0.1 N01): keep and follow."""
    status = str(payload.get("status", ""))[:50]
    request_id = int32_of(payload.get("requestId"))
    row = await _told_of(work, station, action, request_id)
    note = status_info_of(payload)
    said = Said(action, status, request_id, note)
    await keep_status(work, station, DiagnosisStatus, said, diagnosis_id=row.id if row else None)
    if row is None:
        return
    values: dict[str, Any] = {"last_status": status, "last_status_at": work.now}
    has_file = await _has_file(work, row)
    found = rules.after_status(row.state, status, has_file=has_file)
    if found is not None and found[0] is not row.state:
        state, reason = found
        values |= {"state": state, "reason": note or reason}
        if state in rules.ENDED or (state is DiagnosisState.UPLOADED and row.transfer_id is None):
            values["ended_at"] = work.now
        work.emit(changed(row, station.identity, state))
    work.change(Diagnosis, row.id, **values)


async def _told_of(work: Work, station: ConnectedStation, action: str, request_id: int | None) -> Diagnosis | None:
    """The request that a status is about: by its id, or (1.6 GetDiagnostics has none) the newest one."""
    query = select(Diagnosis).where(Diagnosis.station_id == station.id)
    if action == "LogStatusNotification":
        if request_id is None:
            return None
        query = query.where(Diagnosis.request_id == request_id)
    else:
        query = query.where(Diagnosis.action == "GetDiagnostics")
    row = (await work.session.exec(query.order_by(col(Diagnosis.id).desc()).limit(1))).first()
    is_stale = row is not None and row.ended_at is not None and work.now - row.ended_at > timedelta(days=1)
    return None if is_stale else row


async def _has_file(work: Work, row: Diagnosis) -> bool:
    if row.transfer_id is None:
        return False
    found = (await transfers_by_id(work, [row.transfer_id])).get(row.transfer_id)
    return found is not None and found.state is TransferState.COMPLETE


# --- what ends by itself


async def file_came(work: Work, transfer_id: int) -> None:
    """The file of a request is here."""
    row = (await work.session.exec(select(Diagnosis).where(Diagnosis.transfer_id == transfer_id))).first()
    if row is not None and row.state is not DiagnosisState.RECEIVED:
        await end(work, row, DiagnosisState.RECEIVED, None)


async def close_overdue(work: Work) -> int:
    """End requests whose time is over; returns how many."""
    query = (
        select(Diagnosis)
        .where(col(Diagnosis.ended_at).is_(None), Diagnosis.deadline_at <= work.now)
        .limit(CLOSES_PER_RUN)
        .with_for_update(skip_locked=True)
    )
    rows = (await work.session.exec(query)).all()
    for row in rows:
        if await _has_file(work, row):
            await end(work, row, DiagnosisState.RECEIVED, None)
        elif row.state is DiagnosisState.UPLOADED:
            reason = "the station says that it uploaded, but nothing arrived here"
            await end(work, row, DiagnosisState.FAILED, reason)
        elif row.state in (DiagnosisState.FAILED, DiagnosisState.EMPTY):
            await end(work, row, row.state, row.reason)
        else:
            await end(work, row, DiagnosisState.TIMED_OUT, "the station did not finish in the time allowed")
    return len(rows)


# --- for the API


def diagnoses_of(station: Station, *, is_open: bool | None = None) -> SelectOfScalar[Diagnosis]:
    query = select(Diagnosis).where(Diagnosis.station_id == station.id)
    if is_open is not None:
        query = query.where(col(Diagnosis.ended_at).is_(None) if is_open else col(Diagnosis.ended_at).is_not(None))
    return query


async def get_diagnosis(work: Work, station: Station, diagnosis_id: int, *, to_change: bool = False) -> Diagnosis:
    """Raises NotFound."""
    query = select(Diagnosis).where(Diagnosis.station_id == station.id, Diagnosis.id == diagnosis_id)
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such diagnosis; GET …/diagnosis lists them")
    return found


async def files_of(work: Work, rows: Sequence[Diagnosis]) -> dict[int, StoredFile]:
    """The files of these requests, by the request's id."""
    found = await transfers_by_id(work, [row.transfer_id for row in rows if row.transfer_id is not None])
    done = {one.id: one.file_id for one in found.values() if one.state is TransferState.COMPLETE and one.file_id}
    query = select(StoredFile).where(col(StoredFile.id).in_(done.values()))
    files = {file.id: file for file in await work.session.exec(query)} if done else {}
    by_transfer = {transfer_id: files[file_id] for transfer_id, file_id in done.items() if file_id in files}
    return {row.id: by_transfer[row.transfer_id] for row in rows if row.transfer_id in by_transfer}


async def cancel(work: Work, row: Diagnosis) -> None:
    """Wait no longer, and take no file any more. Raises Conflict for a request that has ended."""
    if row.ended_at is not None:
        raise Conflict(f"this request has ended already ({row.state})")
    await end(work, row, DiagnosisState.CANCELLED, f"cancelled by {work.actor.name}")


async def delete_diagnosis(work: Work, runtime: Runtime, row: Diagnosis) -> None:
    """Remove the request with its file."""
    files = await files_of(work, [row])
    for file in files.values():
        await remove_file(work, runtime.files, file.id)
    if row.transfer_id is not None:
        await close_transfer(work, row.transfer_id)
    await work.session.exec(delete(DiagnosisStatus).where(col(DiagnosisStatus.diagnosis_id) == row.id))
    await work.session.delete(row)
