"""B10: when somebody is warned of a certificate's end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

EXPIRED = 0
"""The last step: the certificate's end itself."""


def due_step(warn_days: Sequence[int], not_after: datetime, now: datetime, warned_days: int | None) -> int | None:
    """The step to warn of now: the smallest number of days that has been reached and not been warned of yet."""
    left = not_after - now
    reached = [days for days in {*warn_days, EXPIRED} if left <= timedelta(days=days)]
    step = min(reached, default=None)
    if step is None or (warned_days is not None and step >= warned_days):
        return None
    return step


def is_urgent(warn_days: Sequence[int], step: int) -> bool:
    """Whether it is the last warning before the end, or the end."""
    return step <= min(warn_days, default=EXPIRED)


def words_of(subject: str, not_after: datetime, now: datetime) -> str:
    """In words, as an error's information."""
    if not_after <= now:
        return f"{subject} expired on {not_after:%Y-%m-%d}"
    days = (not_after - now).days
    return f"{subject} expires on {not_after:%Y-%m-%d}, in {days} {'day' if days == 1 else 'days'}"


def must_renew(renew_days: int | None, not_after: datetime, now: datetime, asked_at: datetime | None) -> bool:
    """Whether the station is to be asked now; once a day."""
    if renew_days is None or not_after - now > timedelta(days=renew_days):
        return False
    return asked_at is None or now - asked_at >= timedelta(days=1)
