"""P6: `/health`, `/ready` and `/metrics`, outside the versioned API."""

import ipaddress
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field

from csms.exceptions import Forbidden
from csms.platform.operations.metrics import CONTENT_TYPE, exposition
from csms.platform.operations.service import readiness
from csms.rights import Area, Level
from csms.web import RuntimeDep, Shown, the_caller

root_router = APIRouter()
_bearer = HTTPBearer(auto_error=False, description="An API key (`csms key create`) or a login token")
PROXY_HEADERS = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"})
ROOT = (root_router,)
"""Mounted at `/`, not under the version."""


class Health(Shown):
    status: Literal["ok"] = "ok"


class Readiness(Shown):
    """Whether requests should be sent here."""

    is_ready: bool
    checks: dict[str, str] = Field(
        description="what is needed, each `ok` or in trouble", examples=[{"database": "ok", "bus": "ok"}]
    )


@root_router.get("/health", summary="Is the process alive?")
async def health() -> Health:
    """Needs no key. Says nothing about the database: a restart would not bring that back."""
    return Health()


@root_router.get("/ready", summary="Can the process do its work?", responses={503: {"model": Readiness}})
async def ready(runtime: RuntimeDep, response: Response) -> Readiness:
    """Needs no key. 503 while database or bus cannot be reached, or nothing can be written (a full disk)."""
    checks = await readiness(runtime)
    is_ready = all(state == "ok" for state in checks.values())
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = "5"
    return Readiness(is_ready=is_ready, checks=checks)


@root_router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Response:
    """From this machine itself, or with a key that may read the system configuration."""
    if not _is_from_here(request):
        caller = await the_caller(request, credentials)
        if not caller.may(Area.SYSTEM_CONFIGURATION, Level.READ):
            raise Forbidden("metrics need the right to read system_configuration; ask an administrator")
    return Response(exposition(), media_type=CONTENT_TYPE)


def _is_from_here(request: Request) -> bool:
    """Whether this machine itself asks; a proxy on it that passes others on says so in a header, or speaks HTTP/1.0."""
    is_passed_on = request.scope["http_version"] == "1.0" or not PROXY_HEADERS.isdisjoint(request.headers)
    if request.client is None or is_passed_on:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
