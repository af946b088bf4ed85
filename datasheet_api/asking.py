"""What a request asks for in its query: a filter that does not exist is refused, so that a misspelt one is noticed."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from csms.exceptions import Invalid

_CHARS_MAX = 50


async def only_known_parameters(request: Request) -> None:
    """Raises Invalid for a query parameter that the route does not have; as `Strict` does for bodies."""
    if not request.url.query:
        return
    route: APIRoute = request.scope["route"]
    known = set(_names(route.dependant))
    for name in request.query_params:
        if name not in known:
            there_are = f"there are {', '.join(sorted(known))}" if known else "there are none"
            raise Invalid(f"no parameter «{name[:_CHARS_MAX]}» here; {there_are}", place=f"query/{name[:_CHARS_MAX]}")


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (one.alias or name for name, one in model.model_fields.items())
        else:
            yield field.alias
    for one in dependant.dependencies:
        yield from _names(one)
