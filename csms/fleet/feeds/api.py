"""F4: `/feeds/geojson`, public, for maps."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status

from csms.exceptions import Invalid
from csms.fleet.feeds.rules import RADIUS_M_MAX, Box, Circle, is_known, read_box, read_point
from csms.fleet.feeds.service import FeatureCollection, feed_of
from csms.web import RuntimeDep

feeds = APIRouter()
FEEDS = (feeds,)

PATH = "/feeds/geojson"
LIMIT_MAX = 100_000
MEDIA_TYPE = "application/geo+json"

_EXAMPLE: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "9f86d081884c7d65",
            "geometry": {"type": "Point", "coordinates": [11.5755, 48.1374]},
            "properties": {
                "name": "Am Hof",
                "address": "Am Hof 1",
                "postal_code": "80331",
                "city": "München",
                "country": "DE",
                "operator": "Stadtwerke",
                "state": "available",
                "charge_points": [
                    {
                        "evse_id": "DE*AB7*E840*6487",
                        "label": "A1",
                        "state": "available",
                        "connectors": [
                            {
                                "plug_type": "iec_62196_t2_combo",
                                "format": "cable",
                                "max_power_w": 150000,
                                "voltage_v": 920,
                                "amperage_a": 250,
                                "phases": None,
                            }
                        ],
                    }
                ],
                "updated_at": "2026-01-01T08:15:00Z",
            },
        }
    ],
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the stations that are published now",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}, "example": _EXAMPLE}},
        "headers": {
            "ETag": {"schema": {"type": "string"}, "description": "send it back as If-None-Match"},
            "Link": {"schema": {"type": "string"}, "description": 'the next page, rel="next", when `limit` cut it'},
        },
    },
    304: {"description": "nothing has changed since that ETag"},
}


def the_area(
    *,
    bbox: Annotated[
        str | None,
        Query(max_length=200, description="west,south,east,north in degrees; west of east unless it crosses 180°"),
    ] = None,
    near: Annotated[str | None, Query(max_length=100, description="latitude,longitude; with radius_m")] = None,
    radius_m: Annotated[float, Query(gt=0, le=RADIUS_M_MAX)] = 5_000,
) -> Box | Circle | None:
    if bbox is not None and near is not None:
        raise Invalid("ask by bbox or by near, not both", place="query/near")
    if bbox is not None:
        return _box(bbox)
    return None if near is None else _circle(near, radius_m)


def _box(text: str) -> Box:
    box = read_box(text)
    if box is None:
        raise Invalid("write west,south,east,north in degrees, as in 11.3,48.0,11.8,48.3", place="query/bbox")
    return box


def _circle(text: str, radius_m: float) -> Circle:
    point = read_point(text)
    if point is None:
        raise Invalid("write latitude,longitude in degrees, as in 48.1374,11.5755", place="query/near")
    return Circle(*point, radius_m)


AreaDep = Annotated[Box | Circle | None, Depends(the_area)]
Limit = Annotated[int | None, Query(ge=1, le=LIMIT_MAX, description="features a page; without it, all at once")]
Cursor = Annotated[str | None, Query(max_length=36, pattern="^[0-9a-f]+$", description="as the Link header has it")]
Known = Annotated[str | None, Header(alias="If-None-Match")]


@feeds.get(
    PATH,
    summary="Published stations with their live state as GeoJSON",
    description="Public. A switch turned off is off in the next answer, so caches must ask again each time (ETag).",
    response_class=Response,
    responses=_RESPONSES,
)
async def read_geojson(
    *,
    request: Request,
    runtime: RuntimeDep,
    area: AreaDep,
    limit: Limit = None,
    cursor: Cursor = None,
    if_none_match: Known = None,
) -> Response:
    whole = await feed_of(runtime.store).current()
    if area is None and limit is None and cursor is None:
        return _answer(whole, if_none_match)
    found, following = whole.part(area, cursor, limit)
    response = _answer(found, if_none_match)
    if following is not None:
        response.headers["Link"] = f'<{PATH}?{_following(request, following)}>; rel="next"'
    return response


def _answer(found: FeatureCollection, if_none_match: str | None) -> Response:
    headers = {"ETag": found.etag, "Cache-Control": "public, no-cache", "Access-Control-Expose-Headers": "ETag, Link"}
    if is_known(if_none_match, found.etag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(found.body, media_type=MEDIA_TYPE, headers=headers)


def _following(request: Request, cursor: str) -> str:
    query = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return urlencode(query | {"cursor": cursor})


@feeds.head(PATH, include_in_schema=False)
async def head_geojson(
    *,
    request: Request,
    runtime: RuntimeDep,
    area: AreaDep,
    limit: Limit = None,
    cursor: Cursor = None,
    if_none_match: Known = None,
) -> Response:
    response = await read_geojson(
        request=request, runtime=runtime, area=area, limit=limit, cursor=cursor, if_none_match=if_none_match
    )
    headers = dict(response.headers)
    return Response(status_code=response.status_code, headers=headers)


@feeds.options(PATH, include_in_schema=False)
async def preflight() -> Response:
    """Lets pages of any origin send If-None-Match."""
    headers = {
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "If-None-Match",
        "Access-Control-Max-Age": "86400",
    }
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)
