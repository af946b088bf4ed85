"""The reference page at `/docs`: Swagger UI from files that are installed with us, without any inline script."""

from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI, Response
from starlette.staticfiles import StaticFiles

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


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(START, media_type="text/javascript; charset=utf-8")


def install(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.include_router(router)
    app.mount("/docs/static", StaticFiles(directory=STATIC), name="reference files")
