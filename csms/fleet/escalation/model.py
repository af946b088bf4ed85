"""F2: the tables of rules, escalations, deliveries and attempts."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.fleet.escalation.rules import (
    AttemptResult,
    Channel,
    Conditions,
    DeliveryState,
    EscalationState,
    GroupBy,
    Kind,
    Language,
)
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class EscalationRule(Owned, table=True):
    """Which errors reach whom, how soon, and grouped how; empty lists of conditions mean any."""

    __tablename__ = "escalation_rule"

    name: str = Field(max_length=200)
    is_active: bool = True
    created_at: datetime = Field(sa_type=UtcDateTime)

    codes: list[str] = Field(default_factory=list, sa_type=Json)
    sources: list[str] = Field(default_factory=list, sa_type=Json)
    severities: list[str] = Field(default_factory=list, sa_type=Json)
    sites: list[str] = Field(default_factory=list, sa_type=Json)
    tags: list[str] = Field(default_factory=list, sa_type=Json)
    stations: list[str] = Field(default_factory=list, sa_type=Json)

    hold_off_s: int = 300
    roll_up_s: int = 60
    group_by: GroupBy = Field(default=GroupBy.SITE, sa_type=words(GroupBy))
    messages_per_hour_max: int = 20
    sends_all_clear: bool = False
    escalates_open_after_window: bool = False

    channel: Channel = Field(sa_type=words(Channel))
    recipients: list[str] = Field(default_factory=list, sa_type=Json)
    url: str | None = None
    secret_salt: str = Field(default_factory=lambda: secrets.token_hex(16))
    """The webhook's secret is made from it and the installation's secret key, and stored nowhere."""
    language: Language = Field(default=Language.ENGLISH, sa_type=words(Language))
    time_zone: str = "UTC"

    @property
    def conditions(self) -> Conditions:
        return Conditions(self.codes, self.sources, self.severities, self.sites, self.tags, self.stations)


class Escalation(Owned, table=True):
    """The news of one error by one rule, and what became of it."""

    __table_args__ = (
        UniqueConstraint("rule_id", "error_id", "kind", name="uq_escalation_rule_error_kind"),
        Index("ix_escalation_state_due", "state", "due_at"),
        Index("ix_escalation_station", "station_id", "id"),
        Index("ix_escalation_error", "error_id"),
        Index("ix_escalation_message", "message_id"),
    )

    rule_id: int = Field(sa_type=BigInt)
    rule_name: str
    station_id: int = Field(sa_type=BigInt)
    error_id: int = Field(sa_type=BigInt)
    kind: Kind = Field(sa_type=words(Kind))
    state: EscalationState = Field(sa_type=words(EscalationState))
    reason: str | None = None
    """Why nobody was told, or not yet."""
    group_key: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    hold_off_until: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    """When it is looked at next; later than `hold_off_until` while a window holds it."""
    window_id: int | None = Field(default=None, sa_type=BigInt)
    """The maintenance window that suppressed or holds it."""
    message_id: int | None = Field(default=None, sa_type=BigInt)
    """The message that tells of it, among others perhaps; one delivery for each recipient."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Delivery(Owned, table=True):
    """A message on its way to one recipient; its id is the key by which the receiver knows a repetition."""

    __table_args__ = (
        Index("ix_delivery_state_next", "state", "next_attempt_at"),
        Index("ix_delivery_rule_created", "rule_id", "created_at"),
        Index("ix_delivery_organisation_newest", "organisation_id", "id"),
        Index("ix_delivery_message", "message_id"),
    )

    message_id: int = Field(sa_type=BigInt)
    """The same for all recipients of a message."""
    rule_id: int = Field(sa_type=BigInt)
    rule_name: str
    kind: Kind = Field(sa_type=words(Kind))
    channel: Channel = Field(sa_type=words(Channel))
    target: str
    """E-mail address or URL."""
    subject: str
    text: str
    payload: dict[str, Any] = Field(sa_type=Json)
    error_count: int
    state: DeliveryState = Field(default=DeliveryState.DUE, sa_type=words(DeliveryState))
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    next_attempt_at: datetime = Field(sa_type=UtcDateTime)
    """While it is being sent: when others may take it for lost and try again."""
    problem: str | None = None
    """Of the last attempt that failed."""


class DeliveryAttempt(Owned, table=True):
    """One try to send a delivery."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (UniqueConstraint("delivery_id", "number", name="uq_delivery_attempt_number"),)

    delivery_id: int = Field(sa_type=BigInt)
    number: int
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    result: AttemptResult = Field(sa_type=words(AttemptResult))
    detail: str | None = None
    """What the receiver answered, or what kept it from answering."""


KEPT = tuple(Kept(table, "history_kept_days") for table in (Escalation, Delivery, DeliveryAttempt))
