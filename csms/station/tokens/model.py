"""S27: the tokens of an organisation, and what becomes of those it does not know."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.store import Owned, UtcDateTime, words


class UnknownTokens(StrEnum):
    """What becomes of a token that the organisation has not registered."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class Token(Owned, table=True):
    """An RFID card, key fob or app account that may charge; unique within its organisation whatever its case."""

    __table_args__ = (UniqueConstraint("organisation_id", "uid_key", name="uq_token_organisation_uid"),)

    uid: str
    """As it was entered."""
    uid_key: str
    """For comparison: OCPP's CiString ignores case."""
    label: str | None = None
    holder: str | None = None
    """Who uses it."""
    group_uid: str | None = None
    """OCPP's parentIdTag: tokens of one group may stop each other's charges."""
    valid_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    valid_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_blocked: bool = False
    is_exclusive: bool = False
    """May be in one running charge at a time; others are answered ConcurrentTx."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class TokenPolicy(Owned, table=True):
    """How an organisation treats unknown tokens; without a row they are refused."""

    __tablename__ = "token_policy"
    __table_args__ = (UniqueConstraint("organisation_id", name="uq_token_policy_organisation"),)

    unknown_tokens: UnknownTokens = Field(default=UnknownTokens.REFUSE, sa_type=words(UnknownTokens))
