"""B2: battery swaps over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, status
from pydantic import Field, StringConstraints

from csms.ids import Id
from csms.rights import Area
from csms.station.battery_swaps.model import BatterySwap, SwapState
from csms.station.battery_swaps.service import get_swap, request_swap, swaps_of
from csms.station.information import StationDep, StationId
from csms.station.tokens import TokenKind
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, behind, may_read, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}")

SwapId = Annotated[Id, Path(description="the swap's id")]
Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[!-~ ]+$")]


class NewSwap(Strict):
    """Who may swap now."""

    token: Uid = Field(examples=["04E91C5A6F2A80"])
    token_kind: TokenKind | None = Field(None, examples=[None])


class SwapShown(Shown):
    """A swap."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    token: str
    state: SwapState
    state_at: datetime
    reason: str | None = Field(description="why it is so, in plain words")
    batteries_in: list[dict[str, Any]] = Field(description="as the station told: slot, serial number, charge, health")
    batteries_out: list[dict[str, Any]]
    requested_at: datetime
    requested_by: str

    @classmethod
    def of(cls, row: BatterySwap, identity: str) -> Self:
        return cls.model_validate({**row.model_dump(), "station_id": identity})


@router.get(
    "/battery-swaps",
    summary="Battery swaps (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("BatterySwap", "RequestBatterySwap"),
)
async def list_swaps(station: StationDep, work: Reading, page: PageDep) -> Page[SwapShown]:
    """Newest first, those too that began at the station."""
    rows, cursor = await page_of(work, swaps_of(station), page)
    return Page(items=[SwapShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/battery-swaps",
    status_code=status.HTTP_201_CREATED,
    summary="Let a driver swap batteries",
    dependencies=[may_write(Area.OPERATION)],
    responses={404: {"description": "no such station"}, 409: {"description": "the station speaks an older version"}},
    openapi_extra=behind("RequestBatterySwap"),
)
async def create_swap(station_id: StationId, body: NewSwap, runtime: RuntimeDep, caller: CallerDep) -> SwapShown:
    """Asks the station and waits for its word: see `state`."""
    return SwapShown.of(await request_swap(runtime, caller, station_id, body.token, body.token_kind), station_id)


@router.get(
    "/battery-swaps/{swap_id}",
    summary="One battery swap",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or swap"}},
)
async def show_swap(station: StationDep, work: Reading, swap_id: SwapId) -> SwapShown:
    """A swap of this station in whatever state."""
    return SwapShown.of(await get_swap(work, station, swap_id), station.identity)
