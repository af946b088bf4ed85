"""S24: firmware images: their files, checksums and signatures."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.config import Settings
from csms.exceptions import Conflict, CsmsError, Invalid, NotFound
from csms.files import Blob, StoredFile, add_file, remove_file
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.file_transfers import check_location, safe_name
from csms.station.firmware import rules
from csms.station.firmware.model import FirmwareImage, FirmwarePublication, FirmwareUpdate
from csms.station.firmware.rules import SignatureFault
from csms.store import Work

IMAGES_MAX: Final = 2000
"""Of one organisation."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """What is known of an image before its file is here."""

    version: str
    vendor: str | None = None
    model: str | None = None
    note: str = ""
    location: str | None = None
    sha256: str | None = None
    md5: str | None = None
    signature: str | None = None
    signing_certificate: str | None = None


def images_query(vendor: str | None, model: str | None) -> SelectOfScalar[FirmwareImage]:
    query = select(FirmwareImage)
    if vendor is not None:
        query = query.where(FirmwareImage.vendor == vendor)
    if model is not None:
        query = query.where(FirmwareImage.model == model)
    return query


async def get_image(work: Work, image_id: int, *, to_change: bool = False) -> FirmwareImage:
    """Raises NotFound."""
    query = select(FirmwareImage).where(FirmwareImage.id == image_id)
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound("there is no such firmware image; GET /api/v1/firmware lists them")
    return found


async def add_image(work: Work, settings: Settings, new: NewImage, organisation_id: int) -> FirmwareImage:
    """Raises Invalid (with the place) for a location, certificate or signature that is of no use."""
    ids = (await work.session.exec(select(FirmwareImage.id).limit(IMAGES_MAX))).all()
    if len(ids) >= IMAGES_MAX:
        raise Conflict(f"there are {IMAGES_MAX} images; delete old ones first")
    if new.location is not None:
        check_location(settings, new.location, "body/location")
    image = FirmwareImage(
        organisation_id=organisation_id,
        version=new.version,
        vendor=new.vendor,
        model=new.model,
        note=new.note,
        location=new.location,
        sha256=new.sha256.lower() if new.sha256 else None,
        md5=new.md5.lower() if new.md5 else None,
        created_at=work.now,
        created_by=work.actor.name,
    )
    if new.signature is not None and new.signing_certificate is not None:
        sign(work, image, new.signature, new.signing_certificate)
    work.session.add(image)
    return image


def sign(work: Work, image: FirmwareImage, signature: str, certificate: str) -> None:
    """Give the image its signature; checked at once where its checksum is known. Raises Invalid."""
    try:
        found = rules.check_certificate(certificate, work.now)
    except SignatureFault as fault:
        raise Invalid(str(fault), place="body/signing_certificate") from fault
    try:
        text = "".join(signature.split())
        raw = rules.signature_bytes(text)
        if image.sha256 is not None:
            rules.check_signature(found, raw, image.sha256)
    except SignatureFault as fault:
        raise Invalid(str(fault), place="body/signature") from fault
    image.signature, image.signing_certificate = text, certificate.strip()
    image.is_signature_verified = True if image.sha256 is not None else None


async def receive_image(
    runtime: Runtime, caller: Caller, image_id: int, chunks: AsyncIterator[bytes], name: str
) -> FirmwareImage:
    """Take the image's file. Raises Invalid when it has another checksum or its signature does not fit it."""
    async with runtime.store.reading(caller) as work:
        _check_awaits_file(await get_image(work, image_id))
    with runtime.files.transfer():
        blob = await _write(runtime, chunks)
    try:
        async with runtime.store.writing(caller) as work:
            image = await get_image(work, image_id, to_change=True)
            _check_awaits_file(image)
            _check_blob(work, image, blob)
            image.file_name = safe_name(name, f"firmware-{safe_name(image.version)}.bin")
            file = add_file(work, blob, organisation_id=image.organisation_id, name=image.file_name)
            image.file_id, image.size_bytes = file.id, blob.size_bytes
            image.sha256, image.md5 = blob.sha256, blob.md5
    except CsmsError:  # after any other failure the row may be there: then the sweep decides
        runtime.files.remove(blob.key)
        raise
    return image


def _check_awaits_file(image: FirmwareImage) -> None:
    if image.location is not None:
        raise Conflict("this image lies elsewhere; make another one to upload a file")
    if image.file_id is not None:
        raise Conflict("this image has its file already; make another one, so that stations never get two that differ")


async def _write(runtime: Runtime, chunks: AsyncIterator[bytes]) -> Blob:
    async with runtime.files.receiving(runtime.settings.firmware_bytes_max) as part:
        async for chunk in chunks:
            await part.write(chunk)
        if part.size_bytes == 0:
            raise Invalid("the file is empty; send its content as the body", place="body")
        return await part.keep()


def _check_blob(work: Work, image: FirmwareImage, blob: Blob) -> None:
    for name, wanted, found in (("SHA-256", image.sha256, blob.sha256), ("MD5", image.md5, blob.md5)):
        if wanted is not None and wanted != found:
            raise Invalid(f"the file's {name} is {found}, the image's is to be {wanted}: it is damaged", place="body")
    if image.signature is not None and image.signing_certificate is not None:
        try:
            certificate = rules.check_certificate(image.signing_certificate, work.now)
            rules.check_signature(certificate, rules.signature_bytes(image.signature), blob.sha256)
        except SignatureFault as fault:
            raise Invalid(str(fault), place="body") from fault
        image.is_signature_verified = True


async def file_of(work: Work, image: FirmwareImage) -> StoredFile:
    """Raises NotFound for an image without a file here."""
    found = await work.session.get(StoredFile, image.file_id) if image.file_id is not None else None
    if found is None:
        raise NotFound("this image has no file here; PUT …/file uploads it")
    return found


async def delete_image(work: Work, runtime: Runtime, image: FirmwareImage) -> None:
    """Remove the image with its file. Raises Conflict while a station is to fetch it."""
    for table in (FirmwareUpdate, FirmwarePublication):
        query = select(table.id).where(table.image_id == image.id, col(table.ended_at).is_(None)).limit(1)
        if (await work.session.exec(query)).first() is not None:
            raise Conflict("a station is being updated with this image; wait for the end, or cancel that update")
    if image.file_id is not None:
        await remove_file(work, runtime.files, image.file_id)
    await work.session.delete(image)
