"""B6: vendors' own messages."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from csms.store import BigInt, Owned, UtcDateTime
from csms.store.retention import Kept


class DataTransfer(Owned, table=True):
    """A DataTransfer that a station sent; `data` is its text, or JSON where `is_json`."""

    __tablename__ = "data_transfer"
    __table_args__ = (Index("ix_data_transfer_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    at: datetime = Field(sa_type=UtcDateTime)
    vendor_id: str
    message_id: str | None = None
    data: str | None = None
    is_json: bool = False
    """Whether `data` is JSON, because the station sent another value than a text (2.x allows any)."""


KEPT = (Kept(DataTransfer, "frames_kept_days"),)
