"""The reference page at `/docs`: Swagger UI from files that are installed with us, without any inline script."""

import hashlib
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.staticfiles import StaticFiles

from datasheet_api.middleware import is_known

STATIC: Final = Path(fastapi_offline.__file__).parent / "static"

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>CSMS API</title>
  <link rel="icon" href="/docs/static/favicon.png">
  <link rel="stylesheet" href="/docs/static/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <noscript>The reference needs JavaScript; the same is at <a href="/openapi.json">/openapi.json</a>.</noscript>
  <script src="/docs/static/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""

START: Final = """\
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    return Response(PAGE, media_type="text/html; charset=utf-8")


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """The whole API in OpenAPI 3.1, for people's tools; more than a megabyte, so it is sent to each of them once."""
    body: bytes = request.app.document
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "public, no-cache"}
    if is_known(request.headers.get("If-None-Match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(START, media_type="text/javascript; charset=utf-8")


def install(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.include_router(router)
    app.mount("/docs/static", StaticFiles(directory=STATIC), name="reference files")
