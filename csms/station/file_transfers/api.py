"""S17, S24: the file server for stations over HTTP, and what an operator sets and sees of transfers.

`/files/…` needs no API key: the one-time credentials stand in the URL's path, or in `Authorization: Basic`.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, Self

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import Field
from sqlmodel import col, select
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from csms.exceptions import NotFound
from csms.ids import Id
from csms.rights import Area
from csms.runtime import Runtime
from csms.station.file_transfers import rules
from csms.station.file_transfers.model import Direction, FileTransfer, StatusTold, TransferProtocol, TransferState
from csms.station.file_transfers.service import transfers
from csms.station.file_transfers.service.multipart import FilePart, boundary_of
from csms.station.file_transfers.service.transfers import Ticket
from csms.station.information import StationDep, StationToChange
from csms.web import Page, PageDep, Reading, RuntimeDep, Shown, Strict, Writing, may_read, may_write, page_of

STREAMED: Final = (re.compile(r"/files/.*", re.DOTALL),)
"""Paths whose bodies are streamed, with limits of their own instead of that of JSON bodies."""

router = APIRouter()
_root = APIRouter(include_in_schema=False)
ROOT = (_root,)


# --- for stations


def _credentials(request: Request, rest: str) -> tuple[str, str, str]:
    """User name, secret, and the name that the station gave the file. Raises 401 without credentials."""
    first, _, name = rest.partition("/")
    found = rules.credentials_in(first)
    if found is not None:
        return *found, name
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            username, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if colon:
            return username, secret, rest
    raise HTTPException(
        401, "use the one-time URL as it was given", headers={"WWW-Authenticate": 'Basic realm="files"'}
    )


async def _ticket(request: Request, runtime: Runtime, rest: str) -> tuple[Ticket, str]:
    username, secret, name = _credentials(request, rest)
    return await transfers.identify(runtime, username, secret), name


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


@_root.api_route("/files/{rest:path}", methods=["GET", "HEAD"])
async def fetch(rest: str, request: Request, runtime: RuntimeDep) -> Response:
    """Firmware for a station; ranges are served, so that a broken download goes on where it stopped."""
    ticket, _name = await _ticket(request, runtime, rest)
    if ticket.is_upload:
        raise HTTPException(405, "this URL takes a file, it has none to give", headers={"Allow": "PUT, POST"})
    file = await transfers.begin_download(runtime, ticket, remote_address=_address(request))
    return _CountedFile(
        runtime,
        ticket,
        file.path,
        filename=rules.safe_name(file.name),
        media_type="application/octet-stream",
        headers={"ETag": f'"{file.sha256}"', "Cache-Control": "no-store"},
    )


class _CountedFile(FileResponse):
    """A file that tells its transfer what has left."""

    def __init__(self, runtime: Runtime, ticket: Ticket, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._runtime = runtime
        self._ticket = ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent_bytes, end = 0, 0

        async def counted(message: Message) -> None:
            nonlocal sent_bytes, end
            if message["type"] == "http.response.start":
                end = _end_of(message, self._ticket.bytes_max)
            await send(message)
            sent_bytes += len(message.get("body", b""))

        with self._runtime.files.transfer():
            await super().__call__(scope, receive, counted)
        is_at_end = scope["method"] == "GET" and end == self._ticket.bytes_max
        await transfers.note_download(self._runtime, self._ticket, sent_bytes=sent_bytes, is_at_end=is_at_end)


def _end_of(start: Message, size: int) -> int:
    """Up to which byte of the file the answer goes; 0 where that cannot be told."""
    if start["status"] == 200:  # noqa: PLR2004  # HTTP's OK: the whole file
        return size
    ranges = dict(start["headers"]).get(b"content-range", b"").decode()
    last = ranges.removeprefix("bytes ").partition("/")[0].partition("-")[2]
    return int(last) + 1 if last.isdigit() else 0


@_root.api_route("/files/{rest:path}", methods=["PUT", "POST"])
async def upload(rest: str, request: Request, runtime: RuntimeDep) -> Response:
    """A file from a station: the raw body, or a form with one file."""
    ticket, name = await _ticket(request, runtime, rest)
    if not ticket.is_upload:
        raise HTTPException(405, "this URL gives a file, it takes none", headers={"Allow": "GET, HEAD"})
    if "content-range" in request.headers:
        raise HTTPException(400, "send the whole file at once, without Content-Range")
    told = request.headers.get("content-length", "")
    boundary = boundary_of(request.headers.get("content-type", ""))
    if boundary is None and told.isdigit() and int(told) > ticket.bytes_max:
        raise HTTPException(413, f"a file may have at most {ticket.bytes_max} bytes here")
    part = FilePart(_body(request), boundary) if boundary is not None else None
    chunks = part.content() if part is not None else _body(request)
    try:
        file = await transfers.receive(
            runtime, ticket, chunks, name=lambda: name or (part.name if part else ""), remote_address=_address(request)
        )
    except TimeoutError:
        raise HTTPException(408, "the file stopped coming; send it again") from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the file did; send it again") from None
    status = 201 if request.method == "PUT" else 200
    return PlainTextResponse(f"{file.size_bytes} bytes, SHA-256 {file.sha256}\n", status)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


# --- for operators


class StatusShown(Shown):
    """What the station said about a file, each word once."""

    status: str = Field(description="in the words of its OCPP version", examples=["Uploading", "Downloading"])
    request_id: int | None
    info: str | None
    first_at: datetime
    last_at: datetime
    count: int = Field(description="how often it said so")

    @classmethod
    def all_of(cls, rows: Sequence[StatusTold]) -> list[Self]:
        return [cls.model_validate(row) for row in rows]


class TransferShown(Shown):
    """Leave for the station to move one file; its credentials are shown to the station only."""

    id: Id
    direction: Direction
    purpose: str = Field(examples=["diagnostics_log"])
    protocol: TransferProtocol
    state: TransferState
    is_expired: bool
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None
    last_used_at: datetime | None = Field(description="when the station last came with the credentials")
    attempts: int = Field(description="how often it came")
    moved_bytes: int
    bytes_max: int = Field(description="the most that is taken, or the size of the file to fetch")
    remote_address: str | None
    failure: str | None = Field(description="why the last attempt came to nothing")

    @classmethod
    def of(cls, transfer: FileTransfer, now: datetime) -> Self:
        is_expired = transfer.state is TransferState.OPEN and now >= transfer.expires_at
        return cls.model_validate({**transfer.model_dump(), "is_expired": is_expired})


class SettingShown(Shown):
    """How the station moves files."""

    protocol: TransferProtocol | None = Field(description="null: the installation's default")


class SettingChange(Strict):
    """How the station moves files."""

    protocol: TransferProtocol | None = Field(
        description="many stations speak only one; null: the installation's default", examples=["ftp"]
    )


@router.get(
    "/stations/{station_id}/file-transfers",
    summary="Files that the station was given leave to move, newest first",
    dependencies=[may_read()],
)
async def list_transfers(station: StationDep, work: Reading, page: PageDep) -> Page[TransferShown]:
    query = select(FileTransfer).where(FileTransfer.station_id == station.id)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[TransferShown.of(row, work.now) for row in rows], next_cursor=cursor)


@router.get("/stations/{station_id}/file-transfers/{transfer_id}", summary="One transfer", dependencies=[may_read()])
async def show_transfer(transfer_id: Id, station: StationDep, work: Reading) -> TransferShown:
    query = select(FileTransfer).where(FileTransfer.station_id == station.id, col(FileTransfer.id) == transfer_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such transfer; GET …/file-transfers lists them")
    return TransferShown.of(found, work.now)


@router.get(
    "/stations/{station_id}/file-transfer-settings", summary="How the station moves files", dependencies=[may_read()]
)
async def show_setting(station: StationDep, work: Reading) -> SettingShown:
    found = await transfers.find_setting(work, station)
    return SettingShown(protocol=found.protocol if found else None)


@router.put(
    "/stations/{station_id}/file-transfer-settings",
    summary="Say how the station moves files",
    dependencies=[may_write(Area.OPERATION)],
)
async def put_setting(station: StationToChange, body: SettingChange, work: Writing) -> SettingShown:
    setting = await transfers.setting_of(work, station)
    setting.protocol = body.protocol
    return SettingShown(protocol=setting.protocol)
