"""S24: images that a local controller offers to its stations, over HTTP."""

from datetime import datetime
from typing import Annotated, Final, Self

from fastapi import APIRouter, Path, status
from pydantic import Field

from csms.ids import Id
from csms.rights import Area
from csms.station.file_transfers import TransferProtocol
from csms.station.firmware.model import FirmwarePublication
from csms.station.firmware.rules import PublicationState
from csms.station.firmware.service import publications, updates
from csms.station.information import StationDep, StationId, get_station
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, behind, may_read, may_write, page_of

router = APIRouter()

PublicationId = Annotated[Id, Path(description="the publication's id")]
_PUBLISHES: Final = behind("PublishFirmware", "PublishFirmwareStatusNotification")


class PublicationWanted(Strict):
    """Which image a local controller is to offer to its stations."""

    firmware_id: Id = Field(description="of GET /api/v1/firmware")
    protocol: TransferProtocol | None = None
    retries: int | None = Field(None, ge=0, le=100)
    retry_interval_s: int | None = Field(None, ge=0, le=86_400)


class PublicationShown(Shown):
    """An image on a local controller."""

    id: Id
    station_id: str = Field(description="the local controller's OCPP identity", examples=["LC-0001"])
    firmware_id: Id | None
    version: str | None
    checksum: str = Field(description="MD5, as OCPP has it here")
    state: PublicationState
    reason: str | None
    request_id: int | None
    location: str = Field(description="the server that the controller fetches it from")
    published_urls: list[str] = Field(description="where the controller's stations find it")
    requested_at: datetime
    requested_by: str
    deadline_at: datetime
    ended_at: datetime | None = Field(description="when fetching it came to an end")
    last_status: str | None
    last_status_at: datetime | None

    @classmethod
    def of(cls, row: FirmwarePublication, identity: str) -> Self:
        return cls.model_validate(row.model_dump() | {"station_id": identity, "firmware_id": row.image_id})


@router.post(
    "/stations/{station_id}/firmware-publications",
    status_code=status.HTTP_201_CREATED,
    summary="Have a local controller offer an image to its stations",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "no local controller of OCPP 2.x, or the image has no file or MD5"}},
    openapi_extra=behind("PublishFirmware"),
)
async def publish(
    station_id: StationId, body: PublicationWanted, runtime: RuntimeDep, caller: CallerDep
) -> PublicationShown:
    made = await publications.publish(
        runtime,
        caller,
        station_id,
        body.firmware_id,
        protocol=body.protocol,
        retries=body.retries,
        retry_interval_s=body.retry_interval_s,
    )
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
        return PublicationShown.of(await publications.get_publication(work, station, made), station.identity)


@router.get(
    "/stations/{station_id}/firmware-publications",
    summary="Images on the local controller, newest first",
    dependencies=[may_read()],
    openapi_extra=_PUBLISHES,
)
async def list_publications(station: StationDep, work: Reading, page: PageDep) -> Page[PublicationShown]:
    rows, cursor = await page_of(work, publications.publications_of(station), page)
    return Page(items=[PublicationShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/firmware-publications/{publication_id}",
    summary="One image on the local controller",
    dependencies=[may_read()],
    openapi_extra=_PUBLISHES,
)
async def show_publication(publication_id: PublicationId, station: StationDep, work: Reading) -> PublicationShown:
    return PublicationShown.of(await publications.get_publication(work, station, publication_id), station.identity)


@router.post(
    "/stations/{station_id}/firmware-publications/{publication_id}/unpublish",
    summary="Have the local controller offer the image no longer",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "it may not be sent this now"}},
    openapi_extra=behind("UnpublishFirmware"),
)
async def unpublish(
    publication_id: PublicationId, station_id: StationId, runtime: RuntimeDep, caller: CallerDep
) -> PublicationShown:
    """Its state is `unpublished` when the controller agreed; else `reason` says why not."""
    command = await publications.unpublish(runtime, caller, station_id, publication_id)
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
        shown = PublicationShown.of(await publications.get_publication(work, station, publication_id), station.identity)
    if command.reason is not None or command.error is not None:
        shown.reason = updates.refusal(command)
    return shown
