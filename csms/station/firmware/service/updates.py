"""S24: asks stations to install an image, and follows them until they run it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, CsmsError, NotFound
from csms.files import StoredFile
from csms.ocpp.reading import TEXT_CHARS_MAX, int32_of, status_info_of
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.file_transfers import (
    FileTransfer,
    Said,
    TransferProtocol,
    TransferState,
    close_transfer,
    get_transfer,
    keep_status,
    offer_download,
    protocol_for,
    shown_location,
    username_in,
)
from csms.station.firmware import rules
from csms.station.firmware.model import FirmwareImage, FirmwareStatus, FirmwareUpdate
from csms.station.firmware.rules import UpdateState, UpdateWish
from csms.station.firmware.service.images import file_of, get_image
from csms.station.information import Station, get_station
from csms.store import Fact, Work

FOREIGN_DAYS: Final = 7
"""How long an update from somebody else's server is followed."""
BOOT_AWAITED_S: Final = 3600
"""How long after «installed» the boot with the new version is awaited."""
CLOSES_PER_RUN: Final = 500
_NEVER_SENT: Final = frozenset({CommandOutcome.OFFLINE, CommandOutcome.EXPIRED, CommandOutcome.REFUSED})
_ANOTHER: Final = "another update took its place"


@dataclass(slots=True)
class OpenUpdates:
    """Whether a connected station has updates under way; its boots are looked at only then."""

    ids: set[int] = field(default_factory=set)


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `OpenUpdates` of stations that connect."""
    found: dict[int, set[int]] = {}
    query = select(FirmwareUpdate.station_id, FirmwareUpdate.id).where(
        col(FirmwareUpdate.station_id).in_([station.id for station in stations]),
        col(FirmwareUpdate.ended_at).is_(None),
    )
    for station_id, update_id in await work.session.exec(query):
        found.setdefault(station_id, set()).add(update_id)
    for station in stations:
        station.recall(OpenUpdates).ids = found.get(station.id, set())


# --- asking


async def request_update(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    image_id: int,
    wish: UpdateWish,
    *,
    protocol: TransferProtocol | None = None,
    is_signed: bool | None = None,
    is_forced: bool = False,
    valid_s: int | None = None,
) -> int:
    """Ask the station to install the image; returns the update's id. Its row says what came of it.

    Raises NotFound, and Conflict for an image that is not for the station (unless forced) or has no file.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        image = await get_image(work, image_id)
        signed = _is_signed(image, is_signed)
        if not is_forced:
            _check_fits(image, station)
        version = version_of(station)
        location, transfer_id, deadline = await _location(
            work, runtime, station, image, wish=wish, protocol=protocol, valid_s=valid_s
        )
        request_id = secrets.randbelow(2**31 - 1) + 1
        action = rules.action_for(version, is_signed=signed)
        has_id = not (version is Version.V16 and action == "UpdateFirmware")
        if wish.install_at is not None and not has_id:
            raise Conflict("OCPP 1.6 without signature installs as soon as it can; leave install_at out")
        row = FirmwareUpdate(
            organisation_id=station.organisation_id,
            station_id=station.id,
            image_id=image.id,
            version=image.version,
            action=action,
            request_id=request_id if has_id else None,
            transfer_id=transfer_id,
            location=shown_location(location),
            is_signed=signed,
            retrieve_at=wish.retrieve_at,
            install_at=wish.install_at,
            previous_version=station.firmware_version,
            requested_at=work.now,
            requested_by=work.actor.name,
            deadline_at=deadline,
        )
        work.session.add(row)
    payload = rules.update_request(
        action,
        version,
        wish,
        location=location,
        request_id=request_id,
        certificate=image.signing_certificate if signed else None,
        signature=image.signature if signed else None,
    )
    await _send(runtime, caller, identity, row, payload)
    return row.id


def _is_signed(image: FirmwareImage, wanted: bool | None) -> bool:
    is_possible = image.signature is not None and image.signing_certificate is not None
    if wanted and not is_possible:
        raise Conflict("this image has no signature; PUT /api/v1/firmware/{id}/signature gives it one")
    return is_possible if wanted is None else wanted


def _check_fits(image: FirmwareImage, station: Station) -> None:
    fault = rules.mismatch(
        (image.vendor, image.model), (station.vendor, station.model), image.version, station.firmware_version
    )
    if fault is not None:
        raise Conflict(f"{fault}; choose another image, or send `is_forced: true` if you know better")


async def _location(
    work: Work,
    runtime: Runtime,
    station: Station,
    image: FirmwareImage,
    *,
    wish: UpdateWish,
    protocol: TransferProtocol | None,
    valid_s: int | None,
) -> tuple[str, int | None, Any]:
    """The URL to tell, the transfer behind it, and how long the update is followed."""
    begin = max(work.now, wish.retrieve_at, wish.install_at or wish.retrieve_at)
    deadline = begin + timedelta(seconds=valid_s or runtime.settings.file_transfer_hours * 3600)
    if image.location is not None:
        return image.location, None, deadline
    file: StoredFile = await _file(work, image)
    transfer, url = offer_download(
        work,
        runtime,
        station,
        "firmware",
        protocol=await protocol_for(work, runtime.settings, station, protocol),
        file=file,
        expires_at=deadline,
    )
    return url, transfer.id, deadline


async def _file(work: Work, image: FirmwareImage) -> StoredFile:
    try:
        return await file_of(work, image)
    except NotFound as error:
        raise Conflict(error.detail) from error


async def _send(runtime: Runtime, caller: Caller, identity: str, row: FirmwareUpdate, payload: Payload) -> None:
    try:
        command = await send(runtime, caller, identity, row.action, payload)
    except CsmsError as error:
        async with runtime.store.writing() as work:
            await end(work, await work.session.get_one(FirmwareUpdate, row.id), UpdateState.FAILED, error.detail)
        raise
    if command.outcome is not CommandOutcome.ANSWERED:
        await _not_answered(runtime, row.id, command)


async def _not_answered(runtime: Runtime, update_id: int, command: Command) -> None:
    """Without an answer the station may have acted all the same."""
    async with runtime.store.writing() as work:
        row = await work.session.get_one(FirmwareUpdate, update_id)
        if command.outcome in _NEVER_SENT:
            await end(work, row, UpdateState.FAILED, refusal(command))
        elif row.state is UpdateState.REQUESTED:
            row.reason = command.reason


def refusal(command: Command) -> str:
    """Why a command did not reach the station, or what its CALLERROR says."""
    error = command.error or {}
    told = f"the station refused: {error.get('code')} {error.get('description', '')}".strip()
    if command.action == "SignedUpdateFirmware" and error:
        told += " (a station without the security extension needs `is_signed: false`)"
    return (command.reason or told)[:TEXT_CHARS_MAX]


async def end(work: Work, row: FirmwareUpdate, state: UpdateState, reason: str | None) -> None:
    """Close an update, and withdraw its URL."""
    row.state, row.reason, row.ended_at = state, reason, work.now
    if row.transfer_id is not None:
        await close_transfer(work, row.transfer_id)
    station = await work.session.get(Station, row.station_id)
    if station is not None:
        work.emit(changed(row, station.identity, state))


def changed(row: FirmwareUpdate, identity: str, state: UpdateState) -> Fact:
    return Fact(
        kind="firmware_update_changed",
        organisation_id=row.organisation_id,
        station_id=row.station_id,
        station=identity,
        data={"update_id": str(row.id), "version": row.version, "state": state.value},
    )


# --- what the station answers, tells and runs; in the broker


def _follow(work: Work, station: ConnectedStation, row: FirmwareUpdate, *, is_over: bool, **values: Any) -> None:
    """Note new values of an update; at its end its URL is withdrawn."""
    if is_over:
        values["ended_at"] = work.now
        if row.transfer_id is not None:
            work.change(FileTransfer, row.transfer_id, state=TransferState.CLOSED)
    work.change(FirmwareUpdate, row.id, **values)
    state = values.get("state", row.state)
    if state is not row.state:
        work.emit(changed(row, station.identity, state))
    ids = station.recall(OpenUpdates).ids
    work.after_commit(lambda: ids.discard(row.id) if is_over else ids.add(row.id))


async def answered(work: Work, station: ConnectedStation, action: str, request: Payload, answer: Payload) -> None:
    """Keep what the station answered, also to a raw command with somebody else's URL."""
    will, reason = rules.after_answer(answer)
    state = UpdateState.ACCEPTED if will else UpdateState.REJECTED
    location, _place = rules.location_of(request)
    row = await _of_request(work, station, location, int32_of(request.get("requestId")))
    if row is None:
        row = _foreign(work, station, action, request, state=state, reason=reason)
    elif row.ended_at is None and row.state in (UpdateState.REQUESTED, UpdateState.ACCEPTED):
        _follow(work, station, row, is_over=not will, state=state, reason=reason)
    if will and (answer.get("status") == "AcceptedCanceled" or "status" not in answer):
        await _cancel_others(work, station, row.id)


async def _of_request(
    work: Work, station: ConnectedStation, location: str, request_id: int | None
) -> FirmwareUpdate | None:
    """The update that this request was made for: by its one-time URL, or (images elsewhere) by its id."""
    query = select(FirmwareUpdate).where(FirmwareUpdate.station_id == station.id)
    username = username_in(location)
    transfer = await get_transfer(work, username) if username is not None else None
    if transfer is not None:
        query = query.where(FirmwareUpdate.transfer_id == transfer.id)
    else:
        query = query.where(
            FirmwareUpdate.request_id == request_id
            if request_id is not None
            else col(FirmwareUpdate.request_id).is_(None),
            FirmwareUpdate.location == shown_location(location),
            FirmwareUpdate.state == UpdateState.REQUESTED,
            col(FirmwareUpdate.image_id).is_not(None),
        )
    return (await work.session.exec(query.order_by(col(FirmwareUpdate.id).desc()).limit(1))).first()


def _foreign(
    work: Work,
    station: ConnectedStation,
    action: str,
    request: Payload,
    *,
    state: UpdateState,
    reason: str | None,
) -> FirmwareUpdate:
    row = FirmwareUpdate(
        organisation_id=station.organisation_id,
        station_id=station.id,
        action=action,
        request_id=int32_of(request.get("requestId")),
        location=shown_location(rules.location_of(request)[0]),
        is_signed=isinstance(request.get("firmware"), dict) and "signature" in request["firmware"],
        state=state,
        reason=reason,
        requested_at=work.now,
        requested_by="a raw command",
        deadline_at=work.now + timedelta(days=FOREIGN_DAYS),
        ended_at=None if state is UpdateState.ACCEPTED else work.now,
    )
    work.insert(FirmwareUpdate, **row.model_dump())
    if row.ended_at is None:
        ids = station.recall(OpenUpdates).ids
        work.after_commit(lambda: ids.add(row.id))
    return row


async def _cancel_others(work: Work, station: ConnectedStation, kept_id: int) -> None:
    """A station installs one image at a time: the newest."""
    query = select(FirmwareUpdate).where(
        FirmwareUpdate.station_id == station.id,
        col(FirmwareUpdate.ended_at).is_(None),
        FirmwareUpdate.id < kept_id,
        FirmwareUpdate.state != UpdateState.REQUESTED,
    )
    for row in await work.session.exec(query):
        _follow(work, station, row, is_over=True, state=UpdateState.CANCELLED, reason=_ANOTHER)


async def told(work: Work, station: ConnectedStation, action: str, payload: Payload) -> None:
    """FirmwareStatusNotification (1.6, 4.5; 2.0.1 L01) and SignedFirmwareStatusNotification (1.6 security)."""
    status = str(payload.get("status", ""))[:50]
    request_id = int32_of(payload.get("requestId"))
    row = await _told_of(work, station, status, request_id)
    said = Said(action, status, request_id, status_info_of(payload))
    await keep_status(work, station, FirmwareStatus, said, about_id=row.id if row else None)
    if row is None:
        return
    values: dict[str, Any] = {"last_status": status, "last_status_at": work.now}
    found = rules.after_status(row.state, status) if row.ended_at is None else None
    is_over = False
    if found is not None and found[0] is UpdateState.INSTALLED and await _runs(work, station, row):
        found = UpdateState.VERIFIED, None, True
        values["booted_version"] = row.version
    if found is not None:
        state, reason, is_over = found
        values |= {"state": state, "reason": said.info or reason}
        if state is UpdateState.INSTALLED and row.state is not UpdateState.INSTALLED:
            values["deadline_at"] = work.now + timedelta(seconds=BOOT_AWAITED_S)
    if found is not None:
        _follow(work, station, row, is_over=is_over, **values)
    else:
        work.change(FirmwareUpdate, row.id, **values)


async def _told_of(work: Work, station: ConnectedStation, status: str, request_id: int | None) -> FirmwareUpdate | None:
    """The update that a status is about: by its id; without one (OCPP 1.6) the newest."""
    query = select(FirmwareUpdate).where(FirmwareUpdate.station_id == station.id)
    if request_id is not None:
        query = query.where(FirmwareUpdate.request_id == request_id)
    elif station.version is not Version.V16 and status == "Idle":
        return None
    row = (await work.session.exec(query.order_by(col(FirmwareUpdate.id).desc()).limit(1))).first()
    is_stale = row is not None and row.ended_at is not None and work.now - row.ended_at > timedelta(days=1)
    return None if is_stale else row


async def _runs(work: Work, station: ConnectedStation, row: FirmwareUpdate) -> bool:
    """Whether the station booted with the image's version already: some tell of the installation only then."""
    if row.version is None or rules.same_version(row.version, row.previous_version):
        return False
    known = await work.session.get(Station, station.id)
    return known is not None and rules.same_version(row.version, known.firmware_version)


async def booted(work: Work, station: ConnectedStation, version: str | None) -> None:
    """The station boots; that proves an update of the version that it tells."""
    ids = station.recall(OpenUpdates).ids
    if not ids or not version:
        return
    query = select(FirmwareUpdate).where(
        col(FirmwareUpdate.id).in_(ids), FirmwareUpdate.station_id == station.id, col(FirmwareUpdate.ended_at).is_(None)
    )
    for row in await work.session.exec(query):
        found = rules.after_boot(row.state, row.version, row.previous_version, version)
        if found is not None:
            state, reason, is_over = found
            _follow(work, station, row, is_over=is_over, state=state, reason=reason, booted_version=version)


# --- what ends by itself, and the API


async def close_overdue(work: Work) -> int:
    """End updates whose time is over; returns how many."""
    query = (
        select(FirmwareUpdate)
        .where(col(FirmwareUpdate.ended_at).is_(None), FirmwareUpdate.deadline_at <= work.now)
        .limit(CLOSES_PER_RUN)
        .with_for_update(skip_locked=True)
    )
    rows = (await work.session.exec(query)).all()
    for row in rows:
        if row.state is UpdateState.INSTALLED:
            await end(work, row, row.state, "the station says so, but has not booted with a version that proves it")
        elif row.state is UpdateState.FAILED:
            await end(work, row, row.state, row.reason)
        else:
            await end(work, row, UpdateState.TIMED_OUT, "the station did not finish in the time allowed")
    return len(rows)


def updates_query(
    *, station: Station | None = None, image_id: int | None = None, is_open: bool | None = None
) -> SelectOfScalar[FirmwareUpdate]:
    query = select(FirmwareUpdate)
    if station is not None:
        query = query.where(FirmwareUpdate.station_id == station.id)
    if image_id is not None:
        query = query.where(FirmwareUpdate.image_id == image_id)
    if is_open is not None:
        ended = col(FirmwareUpdate.ended_at)
        query = query.where(ended.is_(None) if is_open else ended.is_not(None))
    return query


async def identities_of(work: Work, rows: Sequence[FirmwareUpdate]) -> dict[int, str]:
    """The identities of these updates' stations that still exist, by id."""
    query = select(Station.id, Station.identity).where(col(Station.id).in_({row.station_id for row in rows}))
    return dict((await work.session.exec(query)).all())


async def get_update(work: Work, station: Station, update_id: int, *, to_change: bool = False) -> FirmwareUpdate:
    """Raises NotFound."""
    query = select(FirmwareUpdate).where(FirmwareUpdate.station_id == station.id, FirmwareUpdate.id == update_id)
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such update; GET …/firmware-updates lists them")
    return found


async def cancel(work: Work, row: FirmwareUpdate) -> None:
    """Withdraw the image from the station. Raises Conflict for an update that has ended."""
    if row.ended_at is not None:
        raise Conflict(f"this update has ended already ({row.state})")
    await end(work, row, UpdateState.CANCELLED, f"cancelled by {work.actor.name}")
