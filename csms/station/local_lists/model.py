"""S27: which tokens belong on which stations' lists, and what the stations have."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.local_lists.rules import ListResult
from csms.store import BigInt, Json, Owned, UtcDateTime, words


class LocalListRule(Owned, table=True):
    """These tokens belong on the lists of those stations; a list is what all rules together put on it."""

    __tablename__ = "local_list_rule"

    station_identity: str | None = None
    """One station; without it, site and tag, all stations."""
    site: str | None = None
    tag: str | None = None
    token_id: int | None = Field(default=None, sa_type=BigInt)
    """One token; without it and group, all tokens."""
    group_uid: str | None = None
    group_key: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str


class LocalListExclusion(Owned, table=True):
    """A token that is kept off one station's list, whatever the rules say: its customer was deleted there."""

    __tablename__ = "local_list_exclusion"
    __table_args__ = (UniqueConstraint("station_id", "token_id", name="uq_local_list_exclusion_station_token"),)

    station_id: int = Field(sa_type=BigInt)
    token_id: int = Field(sa_type=BigInt, index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class LocalListPolicy(Owned, table=True):
    """How an organisation keeps lists."""

    __tablename__ = "local_list_policy"
    __table_args__ = (UniqueConstraint("organisation_id", name="uq_local_list_policy_organisation"),)

    is_compared_after_boot: bool = False
    """Ask each station for its list's version after it has booted: some models freeze when asked anything then."""


class LocalList(Owned, table=True):
    """The list of one station: what it should have, what it has, and what is being done about it."""

    __tablename__ = "local_list"
    __table_args__ = (
        UniqueConstraint("station_id", name="uq_local_list_station"),
        Index("ix_local_list_due", "due_at"),
        Index("ix_local_list_next_change", "next_change_at"),
    )

    station_id: int = Field(sa_type=BigInt)
    is_automatic: bool = True
    """Kept true by itself; otherwise only when somebody asks."""
    is_supported: bool | None = None
    """False: the station said that it has no list."""
    version: int = Field(default=0, sa_type=BigInt)
    """What it was brought to last."""
    station_version: int | None = Field(default=None, sa_type=BigInt)
    """What the station itself said last."""
    station_version_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    snapshot_id: int | None = Field(default=None, sa_type=BigInt)
    """What is on the station; None if nobody knows."""
    is_in_step: bool = False
    in_step_changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    entries_count: int = 0
    left_out_count: int = 0
    """Tokens that should be there, for which the station has no room, or whose uids are too long for its version."""
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When to look next whether it is true."""
    next_change_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the next token becomes valid or ends."""
    sending_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Somebody is at it; after this, whoever it was has died."""
    attempts: int = 0
    """In vain since it last was in step."""
    last_result: ListResult | None = Field(default=None, sa_type=words(ListResult))
    problem: str | None = None
    synced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LocalListSnapshot(Owned, table=True):
    """What a list holds; shared by all stations that have the same."""

    __tablename__ = "local_list_snapshot"
    __table_args__ = (UniqueConstraint("organisation_id", "digest", name="uq_local_list_snapshot_digest"),)

    digest: str
    family: str
    """`1.6` or `2`: they tell tokens apart by different things."""
    entries: dict[str, Any] = Field(sa_type=Json)
    created_at: datetime = Field(sa_type=UtcDateTime)
