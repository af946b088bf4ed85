"""S24: images that a local controller offers to its own stations (2.0.1 L03, L04)."""

import secrets
from datetime import timedelta
from typing import Any, Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, CsmsError, NotFound
from csms.ocpp.reading import int32_of, status_info_of
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
    keep_status,
    offer_download,
    protocol_for,
    shown_location,
)
from csms.station.firmware import rules
from csms.station.firmware.model import FirmwareImage, FirmwarePublication, FirmwareStatus
from csms.station.firmware.rules import PublicationState
from csms.station.firmware.service.images import file_of, get_image
from csms.station.firmware.service.updates import CLOSES_PER_RUN, FOREIGN_DAYS, refusal
from csms.station.information import Station, get_station
from csms.store import Fact, Work

URLS_MAX: Final = 20
URL_CHARS_MAX: Final = 2000
_NEVER_SENT: Final = frozenset({CommandOutcome.OFFLINE, CommandOutcome.EXPIRED, CommandOutcome.REFUSED})


async def publish(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    image_id: int,
    *,
    protocol: TransferProtocol | None = None,
    retries: int | None = None,
    retry_interval_s: int | None = None,
) -> int:
    """Ask a local controller to offer the image; returns the publication's id. Its row says what came of it.

    Raises NotFound, and Conflict for a station of OCPP 1.6 or an image whose MD5 nobody knows.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        image = await get_image(work, image_id)
        _check(station, image)
        deadline = work.now + timedelta(hours=runtime.settings.file_transfer_hours)
        location, transfer_id = image.location, None
        if location is None:
            transfer, location = offer_download(
                work,
                runtime,
                station,
                "firmware",
                protocol=await protocol_for(work, runtime.settings, station, protocol),
                file=await file_of(work, image),
                expires_at=deadline,
            )
            transfer_id = transfer.id
        row = FirmwarePublication(
            organisation_id=station.organisation_id,
            station_id=station.id,
            image_id=image.id,
            version=image.version,
            checksum=image.md5 or "",
            request_id=secrets.randbelow(2**31 - 1) + 1,
            transfer_id=transfer_id,
            location=shown_location(location),
            requested_at=work.now,
            requested_by=work.actor.name,
            deadline_at=deadline,
        )
        work.session.add(row)
    payload = rules.publish_request(
        location, row.checksum, row.request_id or 0, retries=retries, retry_interval_s=retry_interval_s
    )
    try:
        command = await send(runtime, caller, identity, "PublishFirmware", payload)
    except CsmsError as error:
        await _failed(runtime, row.id, error.detail)
        raise
    await _settle(runtime, row.id, command)
    return row.id


def _check(station: Station, image: FirmwareImage) -> None:
    if version_of(station) is Version.V16:
        raise Conflict("only local controllers with OCPP 2.0.1 or 2.1 publish firmware; this station speaks 1.6")
    if image.location is None and image.file_id is None:
        raise Conflict("this image has no file here; PUT …/file uploads it")
    if image.md5 is None:
        raise Conflict("PublishFirmware needs the image's MD5 checksum; make the image with `md5`")


async def _failed(runtime: Runtime, publication_id: int, reason: str) -> None:
    async with runtime.store.writing() as work:
        await end(
            work, await work.session.get_one(FirmwarePublication, publication_id), PublicationState.FAILED, reason
        )


async def _settle(runtime: Runtime, publication_id: int, command: Command) -> None:
    if command.outcome in _NEVER_SENT:
        await _failed(runtime, publication_id, refusal(command))
    elif command.outcome is not CommandOutcome.ANSWERED:
        async with runtime.store.writing() as work:
            row = await work.session.get_one(FirmwarePublication, publication_id)
            if row.state is PublicationState.REQUESTED:
                row.reason = command.reason


async def end(work: Work, row: FirmwarePublication, state: PublicationState, reason: str | None) -> None:
    row.state, row.reason, row.ended_at = state, reason, work.now
    if row.transfer_id is not None:
        await close_transfer(work, row.transfer_id)
    station = await work.session.get(Station, row.station_id)
    if station is not None:
        work.emit(_changed(row, station.identity, state))


def _changed(row: FirmwarePublication, identity: str, state: PublicationState) -> Fact:
    return Fact(
        kind="firmware_publication_changed",
        organisation_id=row.organisation_id,
        station_id=row.station_id,
        station=identity,
        data={"publication_id": str(row.id), "version": row.version, "state": state.value},
    )


async def unpublish(runtime: Runtime, caller: Caller, identity: str, publication_id: int) -> Command:
    """Ask the controller to offer the image no longer; its row changes when it has answered. Raises NotFound."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        row = await get_publication(work, station, publication_id)
        checksum = row.checksum
    return await send(runtime, caller, identity, "UnpublishFirmware", {"checksum": checksum})


# --- what the controller answers and tells; in the broker


def _follow(work: Work, station: ConnectedStation, row: FirmwarePublication, **values: Any) -> None:
    state = values.get("state", row.state)
    if values.get("ended_at") is not None and row.transfer_id is not None:
        work.change(FileTransfer, row.transfer_id, state=TransferState.CLOSED)
    work.change(FirmwarePublication, row.id, **values)
    if state is not row.state:
        work.emit(_changed(row, station.identity, state))


async def publish_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """PublishFirmware was answered, also a raw one."""
    will, reason = rules.after_answer(answer)
    state = PublicationState.ACCEPTED if will else PublicationState.REJECTED
    ended_at = None if will else work.now
    request_id = int32_of(request.get("requestId"))
    row = await _of_id(work, station, request_id)
    if row is not None and row.checksum == request.get("checksum"):
        if row.state is PublicationState.REQUESTED:
            _follow(work, station, row, state=state, reason=reason, ended_at=ended_at)
        return
    made = FirmwarePublication(
        organisation_id=station.organisation_id,
        station_id=station.id,
        checksum=str(request.get("checksum", ""))[:32],
        request_id=request_id,
        location=shown_location(rules.location_of(request)[0]),
        state=state,
        reason=reason,
        requested_at=work.now,
        requested_by="a raw command",
        deadline_at=work.now + timedelta(days=FOREIGN_DAYS),
        ended_at=ended_at,
    )
    work.insert(FirmwarePublication, **made.model_dump())


async def unpublish_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """UnpublishFirmware was answered: all that was published with that checksum is gone, or none."""
    state, reason = rules.after_unpublish(answer)
    query = select(FirmwarePublication).where(
        FirmwarePublication.station_id == station.id,
        FirmwarePublication.checksum == str(request.get("checksum", ""))[:32],
        FirmwarePublication.state != PublicationState.UNPUBLISHED,
        FirmwarePublication.state != PublicationState.REJECTED,
    )
    for row in await work.session.exec(query):
        if state is None:
            work.change(FirmwarePublication, row.id, reason=reason)
        else:
            _follow(
                work, station, row, state=state, reason=reason, ended_at=row.ended_at or work.now, published_urls=[]
            )


async def told(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """PublishFirmwareStatusNotification (2.0.1 L03.FR.01)."""
    status = str(payload.get("status", ""))[:50]
    request_id = int32_of(payload.get("requestId"))
    row = await _of_id(work, station, request_id)
    said = Said("PublishFirmwareStatusNotification", status, request_id, status_info_of(payload))
    await keep_status(work, station, FirmwareStatus, said, about_id=row.id if row else None)
    if row is None:
        return
    values: dict[str, Any] = {"last_status": status, "last_status_at": work.now}
    found = rules.after_publication_status(row.state, status)
    if found is not None:
        state, reason = found
        values |= {"state": state, "reason": said.info or reason}
        if state is PublicationState.PUBLISHED:
            values |= {"published_urls": _urls(payload.get("location")), "ended_at": work.now}
    _follow(work, station, row, **values)


def _urls(found: object) -> list[str]:
    urls = found if isinstance(found, list) else []
    return [str(url)[:URL_CHARS_MAX] for url in urls[:URLS_MAX]]


async def _of_id(work: Work, station: ConnectedStation, request_id: int | None) -> FirmwarePublication | None:
    if request_id is None:
        return None
    query = select(FirmwarePublication).where(
        FirmwarePublication.station_id == station.id, FirmwarePublication.request_id == request_id
    )
    return (await work.session.exec(query.order_by(col(FirmwarePublication.id).desc()).limit(1))).first()


# --- what ends by itself, and the API


async def close_overdue(work: Work) -> int:
    """End publications that the controller did not finish; returns how many."""
    query = (
        select(FirmwarePublication)
        .where(col(FirmwarePublication.ended_at).is_(None), FirmwarePublication.deadline_at <= work.now)
        .limit(CLOSES_PER_RUN)
        .with_for_update(skip_locked=True)
    )
    rows = (await work.session.exec(query)).all()
    for row in rows:
        if row.state is PublicationState.FAILED:
            await end(work, row, row.state, row.reason)
        else:
            reason = "the local controller did not finish in the time allowed"
            await end(work, row, PublicationState.TIMED_OUT, reason)
    return len(rows)


def publications_of(station: Station) -> SelectOfScalar[FirmwarePublication]:
    return select(FirmwarePublication).where(FirmwarePublication.station_id == station.id)


async def get_publication(work: Work, station: Station, publication_id: int) -> FirmwarePublication:
    """Raises NotFound."""
    query = publications_of(station).where(FirmwarePublication.id == publication_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such publication; GET …/firmware-publications lists them")
    return found
