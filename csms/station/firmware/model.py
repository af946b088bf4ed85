"""S24: the tables of images, updates and publications, and of what stations said about them."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.file_transfers import StatusTold
from csms.station.firmware.rules import PublicationState, UpdateState
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

_OPEN = text("ended_at IS NULL")


class FirmwareImage(Owned, table=True):
    """An image for the whole fleet: a file of ours, or a URL of an allowed host."""

    __tablename__ = "firmware_image"

    version: str
    """As the station will tell it in its BootNotification."""
    vendor: str | None = Field(default=None, index=True)
    model: str | None = None
    """None: for every vendor or model."""
    note: str = ""
    location: str | None = None
    """Of an image that lies elsewhere."""
    file_id: int | None = Field(default=None, sa_type=BigInt)
    file_name: str | None = None
    size_bytes: int | None = Field(default=None, sa_type=BigInt)
    sha256: str | None = None
    """Of the file; before it is here (or for one that lies elsewhere) as its maker told it."""
    md5: str | None = None
    signature: str | None = None
    signing_certificate: str | None = None
    is_signature_verified: bool | None = None
    """None: without signature, or nobody knows the image's checksum yet."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str


class FirmwareUpdate(Owned, table=True):
    """An image that a station was asked to install."""

    __tablename__ = "firmware_update"
    __table_args__ = (
        Index("ix_firmware_update_station", "station_id", "id"),
        Index("ix_firmware_update_request", "station_id", "request_id"),
        Index("ix_firmware_update_image", "image_id"),
        Index("ix_firmware_update_transfer", "transfer_id"),
        Index("ix_firmware_update_open", "deadline_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    station_id: int = Field(sa_type=BigInt)
    image_id: int | None = Field(default=None, sa_type=BigInt)
    """None: asked for by a raw command."""
    version: str | None = None
    action: str = Field(max_length=32)
    request_id: int | None = Field(default=None, sa_type=BigInt)
    transfer_id: int | None = Field(default=None, sa_type=BigInt)
    location: str
    """Scheme, host and port."""
    is_signed: bool = False
    retrieve_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    install_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: UpdateState = Field(default=UpdateState.REQUESTED, sa_type=words(UpdateState))
    reason: str | None = None
    previous_version: str | None = None
    booted_version: str | None = None
    """What the station ran at its first boot after it was asked."""
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    deadline_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_status: str | None = None
    last_status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FirmwarePublication(Owned, table=True):
    """An image that a local controller was asked to offer to its stations (2.0.1 L03)."""

    __tablename__ = "firmware_publication"
    __table_args__ = (
        Index("ix_firmware_publication_station", "station_id", "id"),
        Index("ix_firmware_publication_open", "deadline_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    station_id: int = Field(sa_type=BigInt)
    image_id: int | None = Field(default=None, sa_type=BigInt)
    version: str | None = None
    checksum: str = Field(max_length=32)
    request_id: int | None = Field(default=None, sa_type=BigInt)
    transfer_id: int | None = Field(default=None, sa_type=BigInt)
    location: str
    """Where the controller fetches it: scheme, host and port."""
    state: PublicationState = Field(default=PublicationState.REQUESTED, sa_type=words(PublicationState))
    reason: str | None = None
    published_urls: list[str] = Field(default_factory=list, sa_type=Json)
    """Where the controller's stations find it."""
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    deadline_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When fetching it came to an end; what is published stays so until it is unpublished."""
    last_status: str | None = None
    last_status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FirmwareStatus(StatusTold, table=True):
    """What a station said about an update or a publication."""

    __tablename__ = "firmware_status"
    __table_args__ = (Index("ix_firmware_status", "station_id", "about_id"),)

    about_id: int | None = Field(default=None, sa_type=BigInt)
    """The update or publication; None: nobody knows which."""
    action: str = Field(max_length=40)


KEPT = (
    Kept(FirmwareUpdate, "history_kept_days"),
    Kept(FirmwarePublication, "history_kept_days"),
    Kept(FirmwareStatus, "history_kept_days"),
)
