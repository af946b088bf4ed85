"""S27: whether a token may charge, and how OCPP says so."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class TokenStatus(StrEnum):
    """What becomes of a token that asks to charge."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    INVALID = "invalid"
    """Unknown, or not valid yet."""
    CONCURRENT_TX = "concurrent_tx"
    """It may be in one charge at a time, and is."""


# OCPP 1.6, 7.2 AuthorizationStatus
_WORDS_16: Final = {
    TokenStatus.ACCEPTED: "Accepted",
    TokenStatus.BLOCKED: "Blocked",
    TokenStatus.EXPIRED: "Expired",
    TokenStatus.INVALID: "Invalid",
    TokenStatus.CONCURRENT_TX: "ConcurrentTx",
}
_SHOWN_CHARS: Final = 4


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What of a registered token decides."""

    uid: str
    holder: str | None
    group_uid: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    is_blocked: bool
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a token may charge now."""

    status: TokenStatus
    parent: str | None = None
    """The token's group; OCPP's parentIdTag."""
    expires_at: datetime | None = None
    holder: str | None = None
    is_exclusive: bool = False

    @property
    def is_accepted(self) -> bool:
        return self.status is TokenStatus.ACCEPTED


def token_key(uid: str) -> str:
    """What two spellings of one token have in common (CiString: case does not count)."""
    return uid.casefold()


def masked(uid: str) -> str:
    """A token as logs may show it: its last characters."""
    return f"…{uid[-_SHOWN_CHARS:]}" if len(uid) > 2 * _SHOWN_CHARS else "…"


def judge(token: KnownToken | None, at: datetime, *, accepts_unknown: bool) -> Verdict:
    """The verdict on a token at that time; `token` is None for one that nobody registered."""
    if token is None:
        return Verdict(TokenStatus.ACCEPTED if accepts_unknown else TokenStatus.INVALID)
    return Verdict(_status(token, at), token.group_uid, token.valid_until, token.holder, token.is_exclusive)


def _status(token: KnownToken, at: datetime) -> TokenStatus:
    if token.is_blocked:
        return TokenStatus.BLOCKED
    if token.valid_until is not None and at >= token.valid_until:
        return TokenStatus.EXPIRED
    if token.valid_from is not None and at < token.valid_from:
        return TokenStatus.INVALID
    return TokenStatus.ACCEPTED


def id_tag_info(verdict: Verdict, write_time: Callable[[datetime], str]) -> dict[str, Any]:
    """OCPP 1.6, 7.27 IdTagInfo; fields in the schema's order, optional ones left out."""
    info: dict[str, Any] = {}
    if verdict.expires_at is not None:
        info["expiryDate"] = write_time(verdict.expires_at)
    if verdict.parent is not None:
        info["parentIdTag"] = verdict.parent
    info["status"] = _WORDS_16[verdict.status]
    return info
