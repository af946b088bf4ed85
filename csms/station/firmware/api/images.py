"""S24: the firmware images of the fleet over HTTP: their files, their signatures."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path, Query, Request, status
from fastapi.responses import FileResponse
from pydantic import Field, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area, Caller
from csms.station.file_transfers import safe_name, shown_location
from csms.station.firmware.model import FirmwareImage
from csms.station.firmware.service import images
from csms.station.firmware.service.images import NewImage
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, Writing, may_read, may_write, page_of

STREAMED: Final = (re.compile(r"/api/v1/firmware/[^/]+/file"),)
"""Paths whose bodies are streamed, with limits of their own instead of that of JSON bodies."""

router = APIRouter()

FirmwareId = Annotated[Id, Path(description="the image's id")]
_OCTETS: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
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
