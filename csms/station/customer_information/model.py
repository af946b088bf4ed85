"""B3: questions about customers and what came back; personal data, kept for a short time only."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.station.customer_information.rules import InformationState
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

_IS_AWAITED = text("state IN ('requested', 'awaited')")


class CustomerInformationRequest(Owned, table=True):
    """One question to one station."""

    __tablename__ = "customer_information_request"
    __table_args__ = (
        UniqueConstraint("station_id", "number", name="uq_customer_information_request_station_number"),
        Index(
            "ix_customer_information_request_awaited",
            "last_news_at",
            postgresql_where=_IS_AWAITED,
            sqlite_where=_IS_AWAITED,
        ),
    )

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    """OCPP's request id."""
    subject: str
    """Who is asked about, in words: a token, a certificate or the station's own name for the customer."""
    wants_report: bool
    wants_deletion: bool
    state: InformationState = Field(sa_type=words(InformationState))
    reason: str | None = None
    """Why it is so, in plain words."""
    parts: dict[str, str] = Field(sa_type=Json)
    """Texts by their number."""
    last_part: int | None = None
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    last_news_at: datetime = Field(sa_type=UtcDateTime)


KEPT = (Kept(CustomerInformationRequest, "customer_information_kept_days"),)
