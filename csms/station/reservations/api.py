"""S9: reservations of a station over HTTP."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.charge_points import PlugType
from csms.station.information import StationDep, StationId, StationToChange
from csms.station.reservations.model import Reservation
from csms.station.reservations.rules import ReservationState
from csms.station.reservations.service.records import (
    Wanted,
    get_reservation,
    is_allowed,
    reservations_query,
    set_allowed,
)
from csms.station.reservations.service.sending import cancel, reserve
from csms.station.tokens import TokenKind
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    UtcTime,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter(prefix="/stations/{station_id}")
_CAN_WRITE = [may_write(Area.OPERATION)]
CHARGE_POINTS_MAX = 256


Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[!-~ ]+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x1f]*$")]
ReservationId = Annotated[Id, Path(description="the reservation's id")]


class NewReservation(Strict):
    """A place to keep for somebody, from now on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"charge_point_number": 1, "token": "04E91C5A6F2A80", "until": "2027-03-01T12:00:00Z"}]
        }
    )

    until: UtcTime = Field(description="at most 30 days from now", examples=["2027-03-01T12:00:00Z"])
    charge_point_number: int | None = Field(
        None, ge=1, le=CHARGE_POINTS_MAX, description="left out or null: any charge point", examples=[1]
    )
    plug_type: PlugType | None = Field(
        None, description="instead of a charge point: any that has this plug (OCPP 2.0.1 and later)"
    )
    token_id: Id | None = Field(None, description="a registered token; or give `token`", examples=[None])
    token: Uid | None = Field(None, description="the uid of whoever may charge", examples=["04E91C5A6F2A80"])
    token_kind: TokenKind | None = Field(None, description="of `token`, if it is not registered")
    group_uid: Uid | None = Field(None, description="a group whose members may use it too; null: the token's own")
    contact: Text | None = Field(None, description="who reserved it, and how to reach them", examples=["Alex, +47 400"])
    comment: Text = ""

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        if (self.token is None) == (self.token_id is None):
            raise ValueError("give either `token` or `token_id`")
        return self


class ReservationShown(Shown):
    """A reservation."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    number: int = Field(description="OCPP's reservation id")
    charge_point_number: int | None = Field(description="null: any charge point")
    plug_type: PlugType | None
    token: str = Field(examples=["04E91C5A6F2A80"])
    group_uid: str | None
    contact: str | None
    comment: str
    until: datetime
    state: ReservationState
    state_at: datetime
    station_word: str | None = Field(description="the station's own word where it said no", examples=["Occupied"])
    reason: str | None = Field(description="why it is so, in plain words")
    charge_log_id: Id | None = Field(description="the charge that began with it")
    created_at: datetime
    created_by: str
    cancel_requested_at: datetime | None = Field(description="cancelled here; the station has not agreed yet")
    cancel_requested_by: str | None

    @classmethod
    def of(cls, row: Reservation, identity: str) -> Self:
        return cls.model_validate({**row.model_dump(), "station_id": identity})


class Allowed(Strict):
    """Whether the station takes reservations."""

    is_allowed: bool = Field(examples=[True])


class AllowedShown(Shown):
    """Whether the station takes reservations; it does unless changed."""

    is_allowed: bool


@router.get(
    "/reservations",
    summary="Reservations and their history",
    dependencies=[may_read()],
    openapi_extra=behind("ReserveNow", "CancelReservation", "ReservationStatusUpdate"),
)
async def list_reservations(
    station: StationDep,
    work: Reading,
    page: PageDep,
    state: Annotated[list[ReservationState] | None, Query(description="one or several", max_length=7)] = None,
    charge_point_number: Annotated[int | None, Query(ge=1, le=CHARGE_POINTS_MAX)] = None,
) -> Page[ReservationShown]:
    """Newest first. Without `state`, all of them."""
    rows, cursor = await page_of(work, reservations_query(station, state or (), charge_point_number), page)
    return Page(items=[ReservationShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/reservations",
    status_code=status.HTTP_201_CREATED,
    summary="Reserve a charge point, or any of the station's",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station"},
        409: {"description": "the station takes no reservations, or the place is reserved already"},
        422: {"description": "the end is too soon or too late, or the station's version cannot reserve such a thing"},
    },
    openapi_extra=behind("ReserveNow"),
)
async def create_reservation(
    station_id: StationId, body: NewReservation, runtime: RuntimeDep, caller: CallerDep
) -> ReservationShown:
    """Asks the station and waits for its word: see `state`. `requested` means that it did not answer in time."""
    row = await reserve(runtime, caller, station_id, Wanted(**dict(body)))
    return ReservationShown.of(row, station_id)


@router.get(
    "/reservations/{reservation_id}",
    summary="One reservation",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or reservation"}},
)
async def show_reservation(station: StationDep, work: Reading, reservation_id: ReservationId) -> ReservationShown:
    """A reservation of this station in whatever state."""
    return ReservationShown.of(await get_reservation(work, station, reservation_id), station.identity)


@router.post(
    "/reservations/{reservation_id}/cancel",
    summary="Cancel a reservation",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or reservation"},
        409: {"description": "it has ended already"},
    },
    openapi_extra=behind("CancelReservation"),
)
async def cancel_reservation(
    station_id: StationId, reservation_id: ReservationId, runtime: RuntimeDep, caller: CallerDep
) -> ReservationShown:
    """If the station is not connected it is asked as soon as it is back; until then the place stays kept."""
    return ReservationShown.of(await cancel(runtime, caller, station_id, reservation_id), station_id)


@router.get("/reservation-policy", summary="Whether the station takes reservations", dependencies=[may_read()])
async def show_allowed(station: StationDep, work: Reading) -> AllowedShown:
    return AllowedShown(is_allowed=await is_allowed(work, station))


@router.put(
    "/reservation-policy",
    summary="Let the station take reservations, or not",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station"}},
)
async def change_allowed(station: StationToChange, work: Writing, body: Allowed) -> AllowedShown:
    """Reservations that live go on."""
    await set_allowed(work, station, is_allowed=body.is_allowed)
    return AllowedShown(is_allowed=body.is_allowed)
