"""S27: the tokens of an organisation, and what becomes of those it does not know."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.tokens.rules import TokenKind, UnknownTokens
from csms.store import Json, Owned, UtcDateTime, words

__all__ = ["Token", "TokenPolicy", "UnknownTokens"]


class Token(Owned, table=True):
    """An RFID card, key fob, contract or app account that may charge; unique in its organisation whatever its case."""

    __table_args__ = (
        UniqueConstraint("organisation_id", "uid_key", name="uq_token_organisation_uid"),
        Index("ix_token_organisation_group", "organisation_id", "group_key"),
    )

    uid: str
    """As it was entered."""
    uid_key: str
    """For comparison: OCPP's CiString ignores case."""
    kind: TokenKind | None = Field(default=None, sa_type=words(TokenKind))
    """None: it may be presented as whatever kind."""
    additional_info: list[dict[str, str]] | None = Field(default=None, sa_type=Json)
    """OCPP 2.x's additionalInfo: further ids of the same token, `additional_id` and `kind`."""
    label: str | None = None
    holder: str | None = None
    """Who uses it."""
    group_uid: str | None = None
    """OCPP's parentIdTag or groupIdToken: tokens of one group may stop each other's charges."""
    group_key: str | None = None
    group_kind: TokenKind | None = Field(default=None, sa_type=words(TokenKind))
    valid_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    valid_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_blocked: bool = False
    is_exclusive: bool = False
    """May be in one running charge at a time; others are answered ConcurrentTx."""
    is_out_of_credit: bool = False
    allowed_at: list[dict[str, Any]] | None = Field(default=None, sa_type=Json)
    """Where it may charge (`rules.Place`); None: everywhere."""
    language: str | None = None
    second_language: str | None = None
    personal_message: str | None = None
    charging_priority: int | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class TokenPolicy(Owned, table=True):
    """How an organisation treats tokens; without a row, unknown ones are refused."""

    __tablename__ = "token_policy"
    __table_args__ = (UniqueConstraint("organisation_id", name="uq_token_policy_organisation"),)

    unknown_tokens: UnknownTokens = Field(default=UnknownTokens.REFUSE, sa_type=words(UnknownTokens))
    is_one_charge_at_a_time: bool = False
    """No token may be in two running charges."""
    cache_kept_s: int | None = None
    """How long stations may go by an answer; None: as long as they like."""
    master_pass_group_uid: str | None = None
    """Tokens of this group end any charge and begin none."""
    is_cache_cleared: bool = True
    """Whether stations are told to forget what they remember when a token is blocked or removed."""
