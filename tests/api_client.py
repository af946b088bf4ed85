"""Fixtures for HTTP tests: the real app without a socket, and clients of every role.

Paths are whole ones: `await api.get("/api/v1/stations")`, `await anonymous.get("/feeds/geojson")`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count

import httpx
import pytest
from fastapi import FastAPI

from csms.config import Settings
from csms.platform.access import create_key
from csms.platform.organisations import Organisation
from csms.rights import Role
from csms.runtime import Runtime
from datasheet_api.app import attach, build
from tests.builders import make_organisation

ApiAs = Callable[..., Awaitable[httpx.AsyncClient]]
_numbers = count(1)


@pytest.fixture(scope="session")
def built_app() -> FastAPI:
    """The HTTP application, built once: that takes half a second."""
    return build(Settings())


@pytest.fixture
def app(built_app: FastAPI, runtime: Runtime) -> FastAPI:
    """The HTTP application on the test's runtime."""
    attach(built_app, runtime)
    return built_app


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with _client(app) as client:
        yield client


@pytest.fixture
async def api_as(app: FastAPI, runtime: Runtime) -> AsyncIterator[ApiAs]:
    """`await api_as("user")` or `await api_as(Role.USER, organisation)`: a client with a key of that role.

    Without an organisation, that of `make_organisation(store)`: the installation's default.
    """
    async with AsyncExitStack() as stack:

        async def make(role: Role | str, organisation: Organisation | None = None) -> httpx.AsyncClient:
            owner = organisation or await make_organisation(runtime.store)
            async with runtime.store.writing() as work:
                _, secret = await create_key(work, owner.id, f"test key {next(_numbers)}", Role(role))
            return await stack.enter_async_context(_client(app, secret))

        yield make


@pytest.fixture
async def api(api_as: ApiAs) -> httpx.AsyncClient:
    """A client with an administrator's key of the default organisation."""
    return await api_as(Role.ADMINISTRATOR)


def _client(app: FastAPI, secret: str | None = None) -> httpx.AsyncClient:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers)
