"""The API behind a real socket: starts on a free port, ends streams and requests, stops in time."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from csms.exceptions import Unavailable
from csms.runtime import Runtime
from datasheet_api.app import create_app
from datasheet_api.server import ApiServer


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    """One of its own: these tests add routes to it."""
    return create_app(runtime)


@pytest.fixture
async def server(app: FastAPI, runtime: Runtime) -> AsyncIterator[ApiServer]:
    running = ApiServer(app, runtime.settings)
    yield running
    await running.stop()


async def endless() -> StreamingResponse:
    async def events() -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


async def test_answers_on_the_port_that_the_system_gave(server: ApiServer) -> None:
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/health")
        assert answer.json() == {"status": "ok"}
        assert "server" not in answer.headers


async def test_stop_ends_streams_cleanly_and_at_once(app: FastAPI, server: ApiServer) -> None:
    app.add_api_route("/endless", endless)
    port = await server.start()
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        client.stream("GET", "/endless") as answer,
    ):
        parts = answer.aiter_bytes()
        assert await anext(parts) == b": hello\n\n"
        async with asyncio.timeout(5):  # half of drain_timeout_s: it does not wait for the limit
            await server.stop()
        assert [part async for part in parts] == []  # ended, not cut


async def test_stop_lets_a_request_finish(app: FastAPI, server: ApiServer) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        entered.set()
        await leave.wait()
        return "done"

    app.add_api_route("/slow", slow, methods=["POST"])
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        request = asyncio.create_task(client.post("/slow"))
        await entered.wait()
        stopping = asyncio.create_task(server.stop())
        await app.state.stopping.wait()
        leave.set()
        assert (await request).json() == "done"
        await stopping


async def test_stop_cuts_what_does_not_end_in_time(app: FastAPI, runtime: Runtime) -> None:
    entered = asyncio.Event()

    async def stuck() -> None:
        entered.set()
        await asyncio.Event().wait()

    app.add_api_route("/stuck", stuck, methods=["POST"])
    server = ApiServer(app, runtime.settings.model_copy(update={"drain_timeout_s": 1}))
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        request = asyncio.create_task(client.post("/stuck", timeout=30))
        await entered.wait()
        async with asyncio.timeout(10):
            await server.stop()
        answer = (await asyncio.gather(request, return_exceptions=True))[0]
        assert isinstance(answer, httpx.HTTPError) or answer.status_code == 500  # either end is sound


async def test_taken_port_is_said_in_words(app: FastAPI, runtime: Runtime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = runtime.settings.model_copy(update={"api_port": other.getsockname()[1]})
        with pytest.raises(Unavailable, match="CSMS_API_PORT"):
            await ApiServer(app, taken).start()
