"""S24: updates of a station's firmware over HTTP, and what it said about them."""

from datetime import datetime
from typing import Annotated, Final, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import AfterValidator, Field, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.file_transfers import FileTransfer, StatusShown, TransferProtocol, statuses_of, transfers_by_id
from csms.station.firmware.api.images import FirmwareId
from csms.station.firmware.model import FirmwareStatus, FirmwareUpdate
from csms.station.firmware.rules import UpdateState, UpdateWish
from csms.station.firmware.service import images, updates
from csms.station.information import Station, StationDep, StationId, StationToChange, get_station
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

router = APIRouter()

UpdateId = Annotated[Id, Path(description="the update's id")]
YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2200
VALID_HOURS_MAX: Final = 30 * 24
_UPDATES: Final = ("UpdateFirmware", "SignedUpdateFirmware")
_FOLLOWS: Final = behind(*_UPDATES, "FirmwareStatusNotification", "SignedFirmwareStatusNotification")


def _near(at: datetime) -> datetime:
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise ValueError("a time so far away means nothing here")
    return at


NearTime = Annotated[UtcTime, AfterValidator(_near)]


class UpdateWanted(Strict):
    """Which image, when, and how the station is to get it."""

    firmware_id: Id = Field(description="of GET /api/v1/firmware")
    retrieve_at: NearTime | None = Field(None, description="when the station may fetch it; left out: now")
    install_at: NearTime | None = Field(
        None, description="when it may install it; left out: as soon as it is fetched (1.6 unsigned has no other way)"
    )
    protocol: TransferProtocol | None = Field(
        None, description="left out: as the station's file-transfer-settings say, else the installation's default"
    )
    retries: int | None = Field(None, ge=0, le=100, description="how often the station tries again by itself")
    retry_interval_s: int | None = Field(None, ge=0, le=86_400)
    is_signed: bool | None = Field(
        None, description="left out: signed if the image is; a 1.6 station without the security extension needs false"
    )
    is_forced: bool = Field(
        default=False, description="also where vendor or model differ, or the station runs the version already"
    )
    valid_hours: int | None = Field(
        None, ge=1, le=VALID_HOURS_MAX, description="how long the station has; the installation's default if left out"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.install_at and self.retrieve_at and self.install_at < self.retrieve_at:
            raise ValueError("install_at must not be earlier than retrieve_at")
        return self


class UpdateShown(Shown):
    """An update of a station's firmware, and how far it is."""

    id: Id
    station_id: str = Field(examples=["CP-0001"])
    firmware_id: Id | None = Field(description="null: asked for by a raw command")
    version: str | None = Field(description="of the image")
    state: UpdateState
    reason: str | None = Field(description="why it is in that state, where that needs saying")
    is_signed: bool
    request_id: int | None = Field(description="OCPP's requestId; UpdateFirmware of 1.6 has none")
    location: str = Field(description="the server that the station fetches it from")
    retrieve_at: datetime | None
    install_at: datetime | None
    previous_version: str | None = Field(description="what the station ran when it was asked")
    booted_version: str | None = Field(description="what it ran at the boot that ended the update")
    fetched_at: datetime | None = Field(description="when the last byte left our file server")
    fetched_bytes: int | None = Field(description="that left so far, repeats included")
    requested_at: datetime
    requested_by: str
    deadline_at: datetime = Field(description="how long it is followed")
    ended_at: datetime | None
    last_status: str | None
    last_status_at: datetime | None

    @classmethod
    def of(cls, row: FirmwareUpdate, identity: str, transfer: FileTransfer | None) -> Self:
        fields = row.model_dump() | {
            "station_id": identity,
            "firmware_id": row.image_id,
            "fetched_at": transfer.completed_at if transfer else None,
            "fetched_bytes": transfer.moved_bytes if transfer else None,
        }
        return cls.model_validate(fields)


class UpdateWithStatuses(UpdateShown):
    """The same with everything that the station said."""

    statuses: list[StatusShown]


async def _transfers(work: Reading, rows: list[FirmwareUpdate]) -> dict[int, FileTransfer]:
    return await transfers_by_id(work, [row.transfer_id for row in rows if row.transfer_id is not None])


async def _whole(work: Reading, station: Station, row: FirmwareUpdate) -> UpdateWithStatuses:
    shown = UpdateShown.of(row, station.identity, (await _transfers(work, [row])).get(row.transfer_id or 0))
    said = StatusShown.all_of(await statuses_of(work, station, FirmwareStatus, about_id=row.id))
    ids = {"id": row.id, "firmware_id": row.image_id}
    return UpdateWithStatuses(**shown.model_dump(exclude={"id", "firmware_id"}), **ids, statuses=said)


@router.post(
    "/stations/{station_id}/firmware-updates",
    status_code=status.HTTP_201_CREATED,
    summary="Update the station's firmware",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "the image is not for this station (unless forced), or has no file"}},
    openapi_extra=behind(*_UPDATES),
)
async def update(
    station_id: StationId, body: UpdateWanted, runtime: RuntimeDep, caller: CallerDep
) -> UpdateWithStatuses:
    """The answer says whether the station will; follow it until a boot with the new version makes it `verified`."""
    wish = UpdateWish(body.retrieve_at or runtime.clock(), body.install_at, body.retries, body.retry_interval_s)
    made = await updates.request_update(
        runtime,
        caller,
        station_id,
        body.firmware_id,
        wish,
        protocol=body.protocol,
        is_signed=body.is_signed,
        is_forced=body.is_forced,
        valid_s=body.valid_hours * 3600 if body.valid_hours else None,
    )
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
        return await _whole(work, station, await updates.get_update(work, station, made))


IsOpen = Annotated[bool | None, Query(description="only those under way, or only the others")]


@router.get(
    "/stations/{station_id}/firmware-updates",
    summary="Updates of the station, newest first",
    dependencies=[may_read()],
    openapi_extra=_FOLLOWS,
)
async def list_updates(station: StationDep, work: Reading, page: PageDep, is_open: IsOpen = None) -> Page[UpdateShown]:
    rows, cursor = await page_of(work, updates.updates_query(station=station, is_open=is_open), page)
    found = await _transfers(work, list(rows))
    shown = [UpdateShown.of(row, station.identity, found.get(row.transfer_id or 0)) for row in rows]
    return Page(items=shown, next_cursor=cursor)


@router.get(
    "/firmware/{firmware_id}/updates",
    summary="Updates of all stations with this image, newest first",
    dependencies=[may_read()],
    openapi_extra=_FOLLOWS,
)
async def list_updates_of_image(
    firmware_id: FirmwareId, work: Reading, page: PageDep, is_open: IsOpen = None
) -> Page[UpdateShown]:
    image = await images.get_image(work, firmware_id)
    rows, cursor = await page_of(work, updates.updates_query(image_id=image.id, is_open=is_open), page)
    found = await _transfers(work, list(rows))
    identities = await updates.identities_of(work, rows)
    shown = [
        UpdateShown.of(row, identities[row.station_id], found.get(row.transfer_id or 0))
        for row in rows
        if row.station_id in identities
    ]
    return Page(items=shown, next_cursor=cursor)


@router.get(
    "/stations/{station_id}/firmware-updates/{update_id}",
    summary="One update, with everything that the station said about it",
    dependencies=[may_read()],
    openapi_extra=_FOLLOWS,
)
async def show_update(update_id: UpdateId, station: StationDep, work: Reading) -> UpdateWithStatuses:
    return await _whole(work, station, await updates.get_update(work, station, update_id))


@router.post(
    "/stations/{station_id}/firmware-updates/{update_id}/cancel",
    summary="Withdraw the image from the station",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "it has ended already"}},
)
async def cancel_update(update_id: UpdateId, station: StationToChange, work: Writing) -> UpdateWithStatuses:
    """What it has not fetched yet it cannot fetch any more. OCPP has no message that stops an installation."""
    row = await updates.get_update(work, station, update_id, to_change=True)
    await updates.cancel(work, row)
    return await _whole(work, station, row)


@router.get(
    "/stations/{station_id}/firmware-statuses",
    summary="What the station said about firmware that nobody here asked for",
    dependencies=[may_read()],
    openapi_extra=behind(
        "FirmwareStatusNotification", "SignedFirmwareStatusNotification", "PublishFirmwareStatusNotification"
    ),
)
async def list_stray(station: StationDep, work: Reading) -> Page[StatusShown]:
    """Each word once, with how often it came; all on one page."""
    told = await statuses_of(work, station, FirmwareStatus, about_id=None)
    return Page(items=StatusShown.all_of(told), next_cursor=None)
