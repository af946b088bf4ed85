"""S17, S24: offers files to stations and takes files from them; the same rules for HTTP and FTP."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlmodel import col, select

from csms.config import Settings
from csms.exceptions import Conflict, CsmsError, Invalid, NotFound
from csms.files import Blob, StoredFile, add_file
from csms.runtime import Runtime
from csms.station.file_transfers import rules
from csms.station.file_transfers.model import (
    Direction,
    FileTransfer,
    FileTransferSetting,
    TransferProtocol,
    TransferState,
)
from csms.station.information import Station
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

T = TypeVar("T")

ATTEMPTS_MAX: Final = 100_000
"""A modem that fetches an image in small ranges asks often; one that asks more often than this is ill."""
_FAILURE_CHARS_MAX: Final = 300

_receiving: set[int] = set()
"""Transfers that are being written in this process."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who came with the right credentials, and for which file."""

    transfer_id: int
    organisation_id: int
    is_upload: bool
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file on its way to a station."""

    path: Path
    name: str
    size_bytes: int
    sha256: str


def http_base(settings: Settings) -> str:
    """How stations reach the API's `/files`."""
    return (settings.files_url or settings.public_url).rstrip("/")


def ftp_base(settings: Settings) -> str | None:
    """How stations reach the FTP server; None where there is none."""
    if settings.ftp_url is not None:
        return settings.ftp_url
    if settings.ftp_port is None:
        return None
    return f"ftp://{settings.ftp_passive_address or settings.ftp_host}:{settings.ftp_port}"


def check_location(settings: Settings, location: str, place: str) -> None:
    """Raises Invalid for a location that a station must not be told (ROBUSTNESS 40)."""
    own = [base for base in (http_base(settings), ftp_base(settings)) if base is not None]
    fault = rules.location_fault(location, own, settings.file_allowed_hosts)
    if fault is not None:
        raise Invalid(fault, place=place)


async def protocol_for(
    work: Work, settings: Settings, station: Station, wanted: TransferProtocol | None
) -> TransferProtocol:
    """The wanted protocol, else the station's, else the installation's. Raises Conflict for FTP where there is none."""
    own = await find_setting(work, station)
    chosen = wanted or (own.protocol if own else None) or TransferProtocol(settings.file_protocol)
    if chosen is TransferProtocol.FTP and ftp_base(settings) is None:
        raise Conflict("there is no FTP server here; set CSMS_FTP_PORT (or CSMS_FTP_URL), or use http")
    return chosen


def offer_upload(
    work: Work,
    runtime: Runtime,
    station: Station,
    purpose: str,
    *,
    protocol: TransferProtocol,
    bytes_max: int,
    expires_at: datetime,
) -> tuple[FileTransfer, str]:
    """Leave for the station to upload one file; returns the transfer and the URL, which is stored nowhere."""
    transfer, secret = _new(work, runtime, station, purpose, protocol=protocol, expires_at=expires_at)
    transfer.direction, transfer.bytes_max = Direction.UPLOAD, bytes_max
    work.session.add(transfer)
    return transfer, rules.upload_url(_base(runtime.settings, protocol), transfer.username, secret)


def offer_download(
    work: Work,
    runtime: Runtime,
    station: Station,
    purpose: str,
    *,
    protocol: TransferProtocol,
    file: StoredFile,
    expires_at: datetime,
) -> tuple[FileTransfer, str]:
    """Leave for the station to fetch that file; returns the transfer and the URL, which is stored nowhere."""
    transfer, secret = _new(work, runtime, station, purpose, protocol=protocol, expires_at=expires_at)
    transfer.direction, transfer.bytes_max, transfer.file_id = Direction.DOWNLOAD, file.size_bytes, file.id
    work.session.add(transfer)
    return transfer, rules.download_url(_base(runtime.settings, protocol), transfer.username, secret, file.name)


def _new(
    work: Work, runtime: Runtime, station: Station, purpose: str, *, protocol: TransferProtocol, expires_at: datetime
) -> tuple[FileTransfer, str]:
    username = "s" + secrets.token_hex(rules.USERNAME_CHARS)[: rules.USERNAME_CHARS - 1]
    secret = secrets.token_hex(rules.SECRET_CHARS // 2)
    transfer = FileTransfer(
        organisation_id=station.organisation_id,
        station_id=station.id,
        station=station.identity,
        direction=Direction.UPLOAD,
        purpose=purpose,
        protocol=protocol,
        username=username,
        secret_hash=_hash(runtime, secret),
        created_at=work.now,
        expires_at=expires_at,
        bytes_max=0,
    )
    return transfer, secret


def _base(settings: Settings, protocol: TransferProtocol) -> str:
    return (ftp_base(settings) or "") if protocol is TransferProtocol.FTP else http_base(settings)


def _hash(runtime: Runtime, secret: str) -> str:
    """The secret has 128 random bits: a keyed hash is enough."""
    return hmac.new(runtime.secret_key, secret.encode(), hashlib.sha256).hexdigest()


async def transfers_by_id(work: Work, ids: Sequence[int]) -> dict[int, FileTransfer]:
    """Many transfers with one query."""
    if not ids:
        return {}
    rows = await work.session.exec(select(FileTransfer).where(col(FileTransfer.id).in_(ids)))
    return {transfer.id: transfer for transfer in rows}


async def get_transfer(work: Work, username: str) -> FileTransfer | None:
    """The transfer of that user name."""
    return (await work.session.exec(select(FileTransfer).where(FileTransfer.username == username))).first()


async def close_transfer(work: Work, transfer_id: int) -> None:
    """Withdraw the leave; what was moved already stays."""
    transfer = await work.session.get(FileTransfer, transfer_id, with_for_update=True)
    if transfer is not None and (transfer.state is TransferState.OPEN or transfer.direction is Direction.DOWNLOAD):
        transfer.state = TransferState.CLOSED


async def identify(runtime: Runtime, username: str, secret: str) -> Ticket:
    """Who that is. Raises NotFound for wrong credentials, Conflict for a transfer that is over."""
    async with runtime.store.reading() as work:
        transfer = await get_transfer(work, username)
        now = work.now
    known = transfer.secret_hash if transfer is not None else _hash(runtime, "")
    is_right = hmac.compare_digest(known, _hash(runtime, secret))
    if transfer is None or not is_right:
        raise NotFound("there is no such transfer; ask the operator to request it again")
    _check_open(transfer, now)
    return Ticket(transfer.id, transfer.organisation_id, transfer.direction is Direction.UPLOAD, transfer.bytes_max)


def _check_open(transfer: FileTransfer, now: datetime) -> None:
    if now >= transfer.expires_at:
        raise Conflict("this transfer has expired; ask the operator to request it again")
    if transfer.state is TransferState.CLOSED:
        raise Conflict("this transfer was withdrawn; ask the operator to request it again")
    if transfer.state is TransferState.COMPLETE and transfer.direction is Direction.UPLOAD:
        raise Conflict("this transfer was used: its file is here already")
    if transfer.attempts >= ATTEMPTS_MAX:
        raise Conflict("this transfer was tried too often; ask the operator to request it again")


# --- from the station


async def receive(
    runtime: Runtime, ticket: Ticket, chunks: AsyncIterator[bytes], *, name: Callable[[], str], remote_address: str
) -> StoredFile:
    """Take the station's file; it exists when this returns, whole and durable. `name` is asked for at the end.

    Raises TooLarge, Unavailable (quota), Conflict (used meanwhile), Invalid (empty). A failed attempt may be repeated.
    """
    if ticket.transfer_id in _receiving:
        raise Conflict("this file is being uploaded already; wait for that to end")
    _receiving.add(ticket.transfer_id)
    try:
        with runtime.files.transfer():
            await _whole(_begin(runtime, ticket, remote_address))
            blob = await _write(runtime, ticket, chunks)
            return await _whole(_settle(runtime, ticket, blob, name()))
    except BaseException as error:
        await _whole(_note_failure(runtime, ticket, error))
        raise
    finally:
        _receiving.discard(ticket.transfer_id)


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Let a unit of work end although the connection did: a station may go at any moment."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def _begin(runtime: Runtime, ticket: Ticket, remote_address: str) -> None:
    async with runtime.store.writing() as work:
        transfer = await work.session.get_one(FileTransfer, ticket.transfer_id, with_for_update=True)
        _check_open(transfer, work.now)
        transfer.attempts += 1
        transfer.last_used_at = work.now
        transfer.remote_address = remote_address


async def _write(runtime: Runtime, ticket: Ticket, chunks: AsyncIterator[bytes]) -> Blob:
    async with runtime.files.receiving(ticket.bytes_max) as part:
        async for chunk in in_time(chunks, runtime.settings.file_idle_timeout_s):
            await part.write(chunk)
        if part.size_bytes == 0:
            raise Invalid("the file is empty; send its content")
        return await part.keep()


async def in_time(chunks: AsyncIterator[bytes], timeout_s: float) -> AsyncIterator[bytes]:
    """The chunks; raises TimeoutError when the next one does not come in time."""
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        yield chunk


async def _settle(runtime: Runtime, ticket: Ticket, blob: Blob, name: str) -> StoredFile:
    """Link the file to its transfer, unless somebody was quicker; a blob that loses is removed."""
    try:
        async with runtime.store.writing() as work:
            transfer = await work.session.get_one(FileTransfer, ticket.transfer_id, with_for_update=True)
            _check_open(transfer, work.now)
            kept_until = work.now + timedelta(days=runtime.settings.files_kept_days)
            file = add_file(
                work,
                blob,
                organisation_id=ticket.organisation_id,
                name=rules.safe_name(name, f"{transfer.purpose}.bin"),
                expires_at=kept_until,
            )
            transfer.state, transfer.file_id, transfer.failure = TransferState.COMPLETE, file.id, None
            transfer.moved_bytes, transfer.completed_at = blob.size_bytes, work.now
            work.emit(_fact("file_received", transfer, {"size_bytes": blob.size_bytes, "sha256": blob.sha256}))
    except CsmsError:
        runtime.files.remove(blob.key)
        raise
    log.info("file received", transfer_id=ticket.transfer_id, size_bytes=blob.size_bytes, name=file.name)
    return file


async def _note_failure(runtime: Runtime, ticket: Ticket, error: BaseException) -> None:
    if isinstance(error, CsmsError):
        reason = error.detail
    elif isinstance(error, TimeoutError):
        reason = f"nothing more came for {runtime.settings.file_idle_timeout_s:g} s"
    else:
        reason = f"the transfer broke off ({type(error).__name__})"
    log.warning("file not received", transfer_id=ticket.transfer_id, reason=reason)
    async with runtime.store.writing() as work:
        transfer = await work.session.get(FileTransfer, ticket.transfer_id, with_for_update=True)
        if transfer is not None and transfer.state is TransferState.OPEN:
            transfer.failure = reason[:_FAILURE_CHARS_MAX]


# --- to the station


async def begin_download(runtime: Runtime, ticket: Ticket, *, remote_address: str) -> Outgoing:
    """The file to send. Raises NotFound when it is gone."""
    return await _whole(_begin_download(runtime, ticket, remote_address))


async def _begin_download(runtime: Runtime, ticket: Ticket, remote_address: str) -> Outgoing:
    async with runtime.store.writing() as work:
        transfer = await work.session.get_one(FileTransfer, ticket.transfer_id, with_for_update=True)
        _check_open(transfer, work.now)
        transfer.attempts += 1
        transfer.last_used_at = work.now
        transfer.remote_address = remote_address
        file = await work.session.get(StoredFile, transfer.file_id or 0)
    if file is None:
        raise NotFound("the file is no longer here; ask the operator to request it again")
    return Outgoing(runtime.files.existing(file.key), file.name, file.size_bytes, file.sha256)


async def note_download(runtime: Runtime, ticket: Ticket, *, sent_bytes: int, is_at_end: bool) -> None:
    """Bytes that left; `is_at_end` when the last one of the file was among them."""
    await _whole(_note_download(runtime, ticket, sent_bytes, is_at_end=is_at_end))


async def _note_download(runtime: Runtime, ticket: Ticket, sent_bytes: int, *, is_at_end: bool) -> None:
    async with runtime.store.writing() as work:
        transfer = await work.session.get(FileTransfer, ticket.transfer_id, with_for_update=True)
        if transfer is None:
            return
        transfer.moved_bytes += sent_bytes
        if is_at_end and transfer.state is TransferState.OPEN:
            transfer.state, transfer.completed_at = TransferState.COMPLETE, work.now
            work.emit(_fact("file_fetched", transfer, {"size_bytes": transfer.bytes_max}))


def _fact(kind: str, transfer: FileTransfer, data: dict[str, object]) -> Fact:
    return Fact(
        kind=kind,
        organisation_id=transfer.organisation_id,
        station_id=transfer.station_id,
        station=transfer.station,
        data={"transfer_id": str(transfer.id), "purpose": transfer.purpose, **data},
    )


# --- settings


async def find_setting(work: Work, station: Station) -> FileTransferSetting | None:
    query = select(FileTransferSetting).where(FileTransferSetting.station_id == station.id)
    return (await work.session.exec(query)).first()


async def setting_of(work: Work, station: Station) -> FileTransferSetting:
    """The station's row, made when there is none."""
    found = await find_setting(work, station)
    if found is None:
        found = FileTransferSetting(organisation_id=station.organisation_id, station_id=station.id)
        work.session.add(found)
    return found
