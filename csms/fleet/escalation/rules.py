"""F2: which rule an error concerns, when somebody is told of it, what goes together, and when to try again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

ATTEMPTS_MAX = 52
"""With the pauses below: for a day, so that a mail server that is away for a night loses no alarm."""
FIRST_PAUSE_S = 30
PAUSE_S_MAX = 1800
CARRIER_DIGITS = 5
"""Country and network of an IMSI (ITU-T E.212): MCC of 3 digits and MNC of at least 2."""
ISSUER_DIGITS = 7
"""Industry, country and issuer of an ICCID (ITU-T E.118)."""

GroupT = TypeVar("GroupT")


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"


class Language(StrEnum):
    ENGLISH = "en"
    GERMAN = "de"


class GroupBy(StrEnum):
    """Whose errors may share a message."""

    NONE = "none"
    STATION = "station"
    SITE = "site"
    CARRIER = "carrier"
    """Stations on the same mobile network, by their SIM: one message when the network fails."""
    ALL = "all"


class Kind(StrEnum):
    """What a message is about."""

    ALERT = "alert"
    ALL_CLEAR = "all_clear"
    TEST = "test"


class EscalationState(StrEnum):
    """How far the news of one error has come by one rule."""

    WAITING = "waiting"
    """For its hold-off, a maintenance window's end, or the hourly limit."""
    DUE = "due"
    """In a message that is not delivered yet."""
    SENT = "sent"
    CANCELLED = "cancelled"
    """Resolved in time, or the rule was switched off."""
    SUPPRESSED = "suppressed"
    """Inside a maintenance window."""
    FAILED = "failed"


class DeliveryState(StrEnum):
    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class AttemptResult(StrEnum):
    STARTED = "started"
    SENT = "sent"
    FAILED = "failed"
    LOST = "lost"
    """The process ended before it could note the result; the message may have arrived."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which errors a rule is about; an empty part means any."""

    codes: Sequence[str] = ()
    """OCPP error codes or vendor codes."""
    sources: Sequence[str] = ()
    severities: Sequence[str] = ()
    sites: Sequence[str] = ()
    tags: Sequence[str] = ()
    stations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """An error and its station, as far as conditions look at them."""

    code: str
    vendor_code: str | None
    source: str
    severity: str
    site: str | None
    tags: Sequence[str]
    station: str


def matches(conditions: Conditions, subject: Subject) -> bool:
    """Whether every part that is not empty fits; within a part, one hit is enough."""
    pairs: list[tuple[Sequence[str], set[str | None]]] = [
        (conditions.codes, {subject.code, subject.vendor_code}),
        (conditions.sources, {subject.source}),
        (conditions.severities, {subject.severity}),
        (conditions.sites, {subject.site}),
        (conditions.tags, set(subject.tags)),
        (conditions.stations, {subject.station}),
    ]
    return all(not wanted or not found.isdisjoint(wanted) for wanted, found in pairs)


def group_key(
    group_by: GroupBy, *, error_id: int, station_id: int, site: str | None, imsi: str | None, iccid: str | None
) -> str:
    """Errors with the same key may share a message. Without a site or SIM, a station stands for itself."""
    if group_by is GroupBy.ALL:
        return "all"
    if group_by is GroupBy.NONE:
        return f"error:{error_id}"
    if group_by is GroupBy.SITE and site:
        return f"site:{site}"
    if group_by is GroupBy.CARRIER and imsi:
        return f"carrier:{imsi[:CARRIER_DIGITS]}"
    if group_by is GroupBy.CARRIER and iccid:
        return f"issuer:{iccid[:ISSUER_DIGITS]}"
    return f"station:{station_id}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a new escalation."""

    state: EscalationState
    due_at: datetime
    reason: str | None = None


def decide(*, hold_off_until: datetime, window_ends_at: datetime | None, escalates_open_after_window: bool) -> Decision:
    """Whether an error is to be told, and not before when; `window_ends_at` is that of the window it began in."""
    if window_ends_at is None:
        return Decision(EscalationState.WAITING, hold_off_until)
    if not escalates_open_after_window:
        reason = f"it began inside the maintenance window until {written(window_ends_at)}"
        return Decision(EscalationState.SUPPRESSED, hold_off_until, reason)
    reason = f"it began inside the maintenance window until {written(window_ends_at)}; told if it is still open then"
    return Decision(EscalationState.WAITING, max(window_ends_at, hold_off_until), reason)


def held_reason(window_ends_at: datetime) -> str:
    """Why an escalation waits on although its hold-off is over."""
    return f"a maintenance window is active until {written(window_ends_at)}; told if the error is still open then"


def limit_reason(messages_per_hour_max: int, free_at: datetime) -> str:
    return f"the rule's limit of {messages_per_hour_max} messages an hour is reached; told after {written(free_at)}"


def written(at: datetime) -> str:
    """A time as reasons name it, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def share_out(groups: Sequence[GroupT], messages_max: int) -> list[list[GroupT]]:
    """One message a group; those that go over the limit share the last one."""
    if messages_max <= 0:
        return []
    single = len(groups) if len(groups) <= messages_max else messages_max - 1
    messages = [[group] for group in groups[:single]]
    return [*messages, list(groups[single:])] if single < len(groups) else messages


def pause_s(attempts: int) -> int:
    """How long to wait after so many failed attempts: 30 s, doubled each time, half an hour at most."""
    return min(PAUSE_S_MAX, FIRST_PAUSE_S << min(attempts - 1, 16))


def next_attempt(attempts: int, now: datetime, *, is_final: bool) -> datetime | None:
    """When to try again after so many failed attempts; None: give up."""
    if is_final or attempts >= ATTEMPTS_MAX:
        return None
    return now + timedelta(seconds=pause_s(attempts))
