"""S27: a station's cache of tokens over HTTP."""

from datetime import datetime
from typing import Any, Self

from fastapi import APIRouter
from pydantic import Field

from csms.rights import Area
from csms.station.commands import Command, CommandOutcome
from csms.station.information import Station, StationDep, StationId, get_station
from csms.station.token_cache.service import clear, has_cache, read_cache
from csms.store import Work
from csms.web import CallerDep, Reading, RuntimeDep, Shown, behind, may_read, may_write

router = APIRouter(prefix="/stations/{station_id}/token-cache")
_NO_STATION: dict[int | str, dict[str, Any]] = {404: {"description": "no such station"}}


class CacheShown(Shown):
    """The tokens that the station remembers by itself, and may go by without asking."""

    station_id: str = Field(examples=["CP-0001"])
    is_enabled: bool | None = Field(description="whether it remembers any, by its settings; null: never read")
    cleared_at: datetime | None = Field(description="when it last forgot all")
    last_word: str | None = Field(description="the station's own word when last asked", examples=["Accepted"])

    @classmethod
    async def of(cls, work: Work, station: Station) -> Self:
        row = await read_cache(work, station)
        return cls(
            station_id=station.identity,
            is_enabled=await has_cache(work, station),
            cleared_at=row.cleared_at,
            last_word=row.last_word,
        )


class ClearedShown(CacheShown):
    """What came of telling the station to forget."""

    outcome: CommandOutcome
    reason: str | None = Field(description="why there is no answer")

    @classmethod
    async def told(cls, work: Work, station: Station, command: Command) -> Self:
        shown = await CacheShown.of(work, station)
        return cls(**shown.model_dump(), outcome=command.outcome, reason=command.reason)


@router.get(
    "",
    summary="What is known of the station's token cache",
    dependencies=[may_read()],
    responses=_NO_STATION,
    openapi_extra=behind("ClearCache"),
)
async def show_cache(station: StationDep, work: Reading) -> CacheShown:
    return await CacheShown.of(work, station)


@router.post(
    "/clear",
    summary="Make the station forget the tokens that it remembers",
    dependencies=[may_write(Area.OPERATION)],
    responses={**_NO_STATION, 409: {"description": "the station may not be sent anything"}},
    openapi_extra=behind("ClearCache"),
)
async def clear_cache(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> ClearedShown:
    """Its local list stays as it is; see `…/local-list`."""
    command = await clear(runtime, caller, station_id)
    async with runtime.store.reading(caller) as work:
        return await ClearedShown.told(work, await get_station(work, station_id), command)
