"""Makes the HTTP application out of what the features offer."""

import asyncio
from functools import cached_property
from importlib.metadata import version
from typing import Any

import orjson
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from csms.config import Settings
from csms.features import features, offered
from csms.platform import audit
from csms.platform.access import Access
from csms.platform.operations import api as operations
from csms.runtime import Runtime
from datasheet_api import problems, reference
from datasheet_api.asking import only_known_parameters
from datasheet_api.middleware import (
    API_ROOT,
    BodyLimit,
    ETags,
    Locations,
    NoNul,
    RequestContext,
    SecurityHeaders,
    Streams,
)
from datasheet_api.openapi import DESCRIPTION, complete, tag_of, tags


class Api(FastAPI):
    """The application; its OpenAPI document tells of every refusal."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema

    @cached_property
    def document(self) -> bytes:
        """The document as JSON: more than a megabyte, written once."""
        return orjson.dumps(self.openapi())


def create_app(runtime: Runtime) -> FastAPI:
    """The application of one process; it keeps nothing but caches, so that any number may run.

    `app.state.stopping` (asyncio.Event), once set, ends the streams that are open.
    """
    app = build(runtime.settings)
    attach(app, runtime)
    return app


def create_watch(runtime: Runtime) -> FastAPI:
    """Only health, readiness and metrics: for monitoring, in processes of every kind."""
    app = FastAPI(title="CSMS", openapi_url=None, redirect_slashes=False)
    problems.install(app)
    app.add_middleware(problems.LastResort)
    app.add_middleware(SecurityHeaders, is_https=False)
    app.add_middleware(RequestContext)
    for router in operations.ROOT:
        app.include_router(router)
    attach(app, runtime)
    return app


def attach(app: FastAPI, runtime: Runtime) -> None:
    """Let the application work on that runtime; building one takes time that attaching does not."""
    app.state.runtime = runtime
    app.state.authenticator = Access(runtime.settings)
    app.state.stopping = asyncio.Event()
    audit.install(runtime)


def build(settings: Settings) -> FastAPI:
    """The application without what it works on."""
    app = Api(
        title="CSMS",
        summary="The charging station datasheet",
        description=DESCRIPTION,
        version=version("csms"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # served by `reference`
        openapi_tags=tags(),
        servers=[{"url": "/", "description": "this server"}],
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    problems.install(app)
    _add_middleware(app, settings)
    _mount_features(app)
    app.include_router(_index)
    reference.install(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """`stations_read_station`: unique, and a good name in generated clients."""
    return "_".join([*(str(tag).lower().replace(" ", "_") for tag in route.tags[:1]), route.name])


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Innermost first."""
    app.add_middleware(Streams, stopping=lambda: app.state.stopping)
    app.add_middleware(ETags)
    app.add_middleware(Locations)
    app.add_middleware(NoNul)
    app.add_middleware(BodyLimit, bytes_max=settings.body_bytes_max, streamed=tuple(offered("api", "STREAMED")))
    app.add_middleware(problems.LastResort)
    app.add_middleware(SecurityHeaders, is_https=settings.public_url.startswith("https://"))
    app.add_middleware(RequestContext)


def _mount_features(app: FastAPI) -> None:
    """`router` under the version; the routers in `FEEDS` and `ROOT` at the root."""
    for feature in features():
        api = feature.parts.get("api")
        tag = tag_of(feature.name)
        router = getattr(api, "router", None)
        if router is not None:
            app.include_router(router, prefix=API_ROOT, tags=[tag], dependencies=[Depends(only_known_parameters)])
        for name in ("FEEDS", "ROOT"):
            for root_router in getattr(api, name, ()):
                app.include_router(root_router, tags=[tag])


class Index(BaseModel):
    """Where to go from here."""

    api: str = API_ROOT
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    feeds: list[str]
    health: str = "/health"
    ready: str = "/ready"


_index = APIRouter()


@_index.get("/", summary="Where to go from here", tags=["operations"])
async def index() -> Index:
    """Needs no key."""
    return Index(feeds=sorted({route.path for feed in offered("api", "FEEDS") for route in feed.routes}))
