"""S27: which stations' caches were cleared, and which are to be."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.store import BigInt, Owned, UtcDateTime


class TokenCache(Owned, table=True):
    """What is known of one station's authorisation cache."""

    __tablename__ = "token_cache"
    __table_args__ = (UniqueConstraint("station_id", name="uq_token_cache_station"),)

    station_id: int = Field(sa_type=BigInt)
    cleared_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the station last said that it has forgotten all."""
    last_word: str | None = None
    """The station's own word, when last asked."""
    looked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Whatever was asked for before this is done, or was not needed."""
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CacheClearing(Owned, table=True):
    """All stations of an organisation that have a cache are to forget it: a token was blocked or removed."""

    __tablename__ = "cache_clearing"
    __table_args__ = (UniqueConstraint("organisation_id", name="uq_cache_clearing_organisation"),)

    wanted_at: datetime = Field(sa_type=UtcDateTime)
