"""S17, S24: the table of transfers, and which protocol a station speaks for files."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept


class Direction(StrEnum):
    """As the station sees it."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


class TransferProtocol(StrEnum):
    """How a station moves files."""

    HTTP = "http"
    FTP = "ftp"


class TransferState(StrEnum):
    """Where a transfer is in its life; what has run out is still `open` and past `expires_at`."""

    OPEN = "open"
    COMPLETE = "complete"
    """The file is whole on the other side."""
    CLOSED = "closed"
    """Withdrawn before that."""


class StatusTold(Owned):
    """What a station said about a file on its way; said again, the row counts it. The base of features' tables."""

    station_id: int = Field(sa_type=BigInt)
    action: str
    status: str = Field(max_length=50)
    request_id: int | None = Field(default=None, sa_type=BigInt)
    info: str | None = None
    """OCPP 2.1 statusInfo."""
    first_at: datetime = Field(sa_type=UtcDateTime)
    last_at: datetime = Field(sa_type=UtcDateTime)
    count: int = 1


class FileTransfer(Owned, table=True):
    """Leave for one station to move one file. The credentials are shown to the station only, and stored as a hash."""

    __tablename__ = "file_transfer"
    __table_args__ = (Index("ix_file_transfer_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    station: str = Field(max_length=48)
    """Its OCPP identity, for live news."""
    direction: Direction = Field(sa_type=words(Direction))
    purpose: str = Field(max_length=40)
    protocol: TransferProtocol = Field(sa_type=words(TransferProtocol))
    """What the URL was made for; the credentials work over both."""
    username: str = Field(unique=True, max_length=32)
    secret_hash: str
    state: TransferState = Field(default=TransferState.OPEN, sa_type=words(TransferState))
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    bytes_max: int = Field(sa_type=BigInt)
    file_id: int | None = Field(default=None, sa_type=BigInt)
    """The file to fetch, or the one that was uploaded."""
    attempts: int = 0
    moved_bytes: int = Field(default=0, sa_type=BigInt)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    remote_address: str | None = None
    failure: str | None = None
    """Why the last attempt came to nothing."""
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FileTransferSetting(Owned, table=True):
    """What an operator knows of a station: many speak only one protocol."""

    __tablename__ = "file_transfer_setting"

    station_id: int = Field(sa_type=BigInt, unique=True)
    protocol: TransferProtocol | None = Field(default=None, sa_type=words(TransferProtocol))


KEPT = (Kept(FileTransfer, "history_kept_days"),)
