"""S24: firmware over HTTP: images of the fleet, updates of a station, publications on a local controller."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path, Query, Request, status
from fastapi.responses import FileResponse
from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area, Caller
from csms.station.file_transfers import FileTransfer, TransferProtocol, safe_name, shown_location, transfers_by_id
from csms.station.firmware.model import FirmwareImage, FirmwarePublication, FirmwareStatus, FirmwareUpdate
from csms.station.firmware.rules import PublicationState, UpdateState, UpdateWish
from csms.station.firmware.service import images, publications, statuses, updates
from csms.station.firmware.service.images import NewImage
from csms.station.information import Station, StationDep, StationToChange, get_station
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

STREAMED: Final = (re.compile(r"/api/v1/firmware/[^/]+/file"),)
"""Paths whose bodies are streamed, with limits of their own instead of that of JSON bodies."""

router = APIRouter()

FirmwareId = Annotated[Id, Path(description="the image's id")]
UpdateId = Annotated[Id, Path(description="the update's id")]
PublicationId = Annotated[Id, Path(description="the publication's id")]
StationId = Annotated[str, Path(max_length=48, description="the station's OCPP identity", examples=["CP-0001"])]
YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2200
VALID_HOURS_MAX: Final = 30 * 24
_UPDATES: Final = ("UpdateFirmware", "SignedUpdateFirmware")
_FOLLOWS: Final = behind(*_UPDATES, "FirmwareStatusNotification", "SignedFirmwareStatusNotification")
_PUBLISHES: Final = behind("PublishFirmware", "PublishFirmwareStatusNotification")
_OCTETS: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


def _utc(at: datetime) -> datetime:
    try:
        found = at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time") from error
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise ValueError("a time so far away means nothing here")
    return found


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
Certificate = Annotated[
    str,
    Field(
        min_length=1,
        max_length=5500,
        description="the maker's signing certificate in PEM; of a chain the signing one first",
    ),
]
Signature = Annotated[
    str, Field(min_length=1, max_length=800, description="over the image's SHA-256, RSA-PSS or ECDSA, in Base64")
]


# --- images


class FirmwareToAdd(Strict):
    """An image: what it is for; its file comes with `PUT …/file`, unless it lies elsewhere."""

    version: str = Field(
        min_length=1, max_length=50, description="as the station will tell it when it boots", examples=["2.1.0"]
    )
    vendor: str | None = Field(None, min_length=1, max_length=50, description="left out: for every vendor")
    model: str | None = Field(None, min_length=1, max_length=50, description="left out: for every model")
    note: str = Field("", max_length=1000)
    location: str | None = Field(
        None, min_length=1, max_length=512, description="URL of an image that lies on an allowed host"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9A-Fa-f]{64}$", description="as its maker tells it; the file is checked against it"
    )
    md5: str | None = Field(
        None, pattern=r"^[0-9A-Fa-f]{32}$", description="needed only to publish an image that lies elsewhere"
    )
    signature: Signature | None = None
    signing_certificate: Certificate | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.signature is None) is not (self.signing_certificate is None):
            raise ValueError("give signature and signing_certificate, both or neither")
        return self


class FirmwareSignature(Strict):
    """The signature of an image."""

    signature: Signature
    signing_certificate: Certificate


class FirmwareShown(Shown):
    """A firmware image of the fleet."""

    id: Id
    version: str
    vendor: str | None = Field(description="null: for every vendor")
    model: str | None = Field(description="null: for every model")
    note: str
    is_ready: bool = Field(description="its file is here, or it lies elsewhere")
    location: str | None = Field(description="the server of an image that lies elsewhere")
    file_name: str | None
    size_bytes: int | None
    sha256: str | None
    md5: str | None
    is_signed: bool
    is_signature_verified: bool | None = Field(
        description="that the signature fits image and certificate; null: no signature, or no checksum known yet"
    )
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, image: FirmwareImage) -> Self:
        fields = image.model_dump() | {
            "is_ready": image.file_id is not None or image.location is not None,
            "is_signed": image.signature is not None,
            "location": shown_location(image.location) if image.location else None,
        }
        return cls.model_validate(fields)


def _own_organisation(caller: Caller) -> int:
    if caller.organisation_id is None:
        raise Invalid("a firmware image belongs to an organisation; use a key of one")
    return caller.organisation_id


@router.post(
    "/firmware",
    status_code=status.HTTP_201_CREATED,
    summary="Add a firmware image",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "there are too many images"}},
)
async def add(body: FirmwareToAdd, work: Writing, caller: CallerDep, runtime: RuntimeDep) -> FirmwareShown:
    new = NewImage(**body.model_dump())
    organisation_id = _own_organisation(caller)
    return FirmwareShown.of(await images.add_image(work, runtime.settings, new, organisation_id))


@router.get("/firmware", summary="Firmware images, newest first", dependencies=[may_read()])
async def list_images(
    work: Reading,
    page: PageDep,
    vendor: Annotated[str | None, Query(max_length=50)] = None,
    model: Annotated[str | None, Query(max_length=50)] = None,
) -> Page[FirmwareShown]:
    rows, cursor = await page_of(work, images.images_query(vendor, model), page)
    return Page(items=[FirmwareShown.of(row) for row in rows], next_cursor=cursor)


@router.get("/firmware/{firmware_id}", summary="One firmware image", dependencies=[may_read()])
async def show_image(firmware_id: FirmwareId, work: Reading) -> FirmwareShown:
    return FirmwareShown.of(await images.get_image(work, firmware_id))


@router.put(
    "/firmware/{firmware_id}/file",
    summary="Upload the image's file",
    description="The body is the file as it is (`curl -T image.bin`). Its checksums are computed, and the signature is "
    "checked, while it streams in; a file that does not fit leaves nothing behind.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={
        409: {"description": "it has its file already, or lies elsewhere"},
        413: {"description": "larger than CSMS_FIRMWARE_BYTES_MAX"},
        503: {"description": "no space, or too many files under way"},
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _OCTETS}}},
)
async def upload(
    firmware_id: FirmwareId,
    request: Request,
    runtime: RuntimeDep,
    caller: CallerDep,
    name: Annotated[str, Query(max_length=200, description="the file's name", examples=["image-2.1.0.bin"])] = "",
) -> FirmwareShown:
    try:
        image = await images.receive_image(runtime, caller, firmware_id, _body(request), name)
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the file did; send it again") from None
    return FirmwareShown.of(image)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


@router.get(
    "/firmware/{firmware_id}/file",
    summary="Download the image's file",
    dependencies=[may_read()],
    response_class=FileResponse,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": _OCTETS}},
        206: {"description": "The part of it that `Range` asked for"},
        404: {"description": "no such image, or it has no file here"},
    },
)
async def download(firmware_id: FirmwareId, work: Reading, runtime: RuntimeDep) -> FileResponse:
    file = await images.file_of(work, await images.get_image(work, firmware_id))
    return FileResponse(
        runtime.files.existing(file.key),
        filename=safe_name(file.name),
        media_type="application/octet-stream",
        headers={"ETag": f'"{file.sha256}"'},
    )


@router.put(
    "/firmware/{firmware_id}/signature",
    summary="Give the image its signature",
    description="Checked at once against the file, or against the told SHA-256; without either when the file comes.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
)
async def sign(firmware_id: FirmwareId, body: FirmwareSignature, work: Writing) -> FirmwareShown:
    image = await images.get_image(work, firmware_id, to_change=True)
    images.sign(work, image, body.signature, body.signing_certificate)
    return FirmwareShown.of(image)


@router.delete(
    "/firmware/{firmware_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete an image with its file",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "a station is being updated with it"}},
)
async def delete(firmware_id: FirmwareId, work: Writing, runtime: RuntimeDep) -> None:
    await images.delete_image(work, runtime, await images.get_image(work, firmware_id, to_change=True))


# --- updates


class UpdateWanted(Strict):
    """Which image, when, and how the station is to get it."""

    firmware_id: Id = Field(description="of GET /api/v1/firmware")
    retrieve_at: UtcTime | None = Field(None, description="when the station may fetch it; left out: now")
    install_at: UtcTime | None = Field(
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


class StatusShown(Shown):
    """What the station said, each word once."""

    status: str = Field(description="in the words of its OCPP version", examples=["Downloading"])
    request_id: int | None
    info: str | None
    first_at: datetime
    last_at: datetime
    count: int = Field(description="how often it said so")


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


def _shown_statuses(rows: list[FirmwareStatus]) -> list[StatusShown]:
    return [StatusShown.model_validate(row) for row in rows]


async def _transfers(work: Reading, rows: list[FirmwareUpdate]) -> dict[int, FileTransfer]:
    return await transfers_by_id(work, [row.transfer_id for row in rows if row.transfer_id is not None])


async def _whole(work: Reading, station: Station, row: FirmwareUpdate) -> UpdateWithStatuses:
    shown = UpdateShown.of(row, station.identity, (await _transfers(work, [row])).get(row.transfer_id or 0))
    said = _shown_statuses(list(await statuses.statuses_of(work, station, row.id)))
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
async def list_stray(station: StationDep, work: Reading) -> list[StatusShown]:
    return _shown_statuses(list(await statuses.statuses_of(work, station, None)))


# --- publications


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
