"""A station that is told to move files: the calls of ours that it gets, and the servers that it reaches."""

import asyncio
import ftplib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI
from sqlmodel import select
from websockets.asyncio.client import ClientConnection

from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.commands import Command
from csms.station.communication_logs import Frame
from datasheet_api.server import ApiServer
from file_server.ftp import FtpServer
from tests.broker.conftest import DEADLINE_S, boot, call

# ruff: noqa: S321  # that FTP is insecure is known; some stations speak nothing else


@asynccontextmanager
async def file_servers(app: FastAPI, runtime: Runtime) -> AsyncIterator[None]:
    """The API and FTP behind sockets; the runtime tells stations of them."""
    runtime.settings = runtime.settings.model_copy(update={"ftp_port": 0})
    server, ftp = ApiServer(app, runtime.settings), FtpServer(runtime)
    port, ftp_port = await server.start(), await ftp.start()
    runtime.settings = runtime.settings.model_copy(
        update={"files_url": f"http://127.0.0.1:{port}", "ftp_port": ftp_port}
    )
    yield
    await ftp.stop()
    await server.stop()


async def order(client: ClientConnection, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The next call of ours that the station gets; it is answered so."""
    frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
    assert frame[0] == 2
    await client.send(json.dumps([3, frame[1], answer]))
    return frame[2], frame[3]


async def start(client: ClientConnection, version: Version, firmware: str = "2.0.0") -> None:
    """The station boots."""
    if version is Version.V16:
        told = {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": firmware}
        assert (await call(client, "BootNotification", **told))[0] == 3
    else:
        station = {"vendorName": "Acme", "model": "One", "firmwareVersion": firmware}
        assert (await call(client, "BootNotification", chargingStation=station, reason="PowerUp"))[0] == 3


async def nobody_kept(secret: str, runtime: Runtime) -> None:
    """The secret stands in no row of commands and frames."""
    assert len(secret) >= 32
    async with runtime.store.reading() as work:
        commands = (await work.session.exec(select(Command))).all()
        frames = (await work.session.exec(select(Frame))).all()
    assert commands
    assert any("(hidden)" in str(row) for row in frames)
    for row in (*commands, *frames):
        assert secret not in str(row)


async def ftp_store(url: str, name: str, content: bytes) -> None:
    """Upload by FTP to the directory that the URL names."""

    def talk() -> None:
        parts = urlsplit(url)
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(parts.hostname or "", parts.port or 21)
            client.login(parts.username or "", parts.password or "")
            client.storbinary(f"STOR {parts.path}{name}", io.BytesIO(content))

    await asyncio.to_thread(talk)


async def ftp_fetch(url: str) -> bytes:
    """Download by FTP what the URL names."""

    def talk() -> bytes:
        parts, chunks = urlsplit(url), list[bytes]()
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(parts.hostname or "", parts.port or 21)
            client.login(parts.username or "", parts.password or "")
            client.retrbinary(f"RETR {unquote(parts.path)}", chunks.append)
        return b"".join(chunks)

    return await asyncio.to_thread(talk)


__all__ = ["boot", "call", "file_servers", "ftp_fetch", "ftp_store", "nobody_kept", "order", "start"]
