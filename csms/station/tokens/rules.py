"""S27: whether a token may charge, and how each version of OCPP says so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from csms.ocpp.versions import Version

WriteTime = Callable[[datetime], str]
_SHOWN_CHARS: Final = 4
UID_CHARS_MAX: Final = {Version.V16: 20, Version.V201: 36, Version.V21: 255}
"""How long a token's uid may be for stations of that version (OCPP 1.6, 7.28; 2.0.1, 2.24)."""


class TokenStatus(StrEnum):
    """What becomes of a token that asks to charge (OCPP 2.0.1, 3.6 AuthorizationStatusEnumType)."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    INVALID = "invalid"
    """It may not do this: another kind of token than registered, or a master pass that would charge."""
    CONCURRENT_TX = "concurrent_tx"
    """It may be in one charge at a time, and is."""
    NO_CREDIT = "no_credit"
    NOT_ALLOWED_TYPE_EVSE = "not_allowed_type_evse"
    """It may charge at other charge points of the station, not at this one."""
    NOT_AT_THIS_LOCATION = "not_at_this_location"
    NOT_AT_THIS_TIME = "not_at_this_time"
    """Not valid yet, or the charge point is reserved for another."""
    UNKNOWN = "unknown"
    """Nobody registered it."""


# OCPP 1.6, 7.2 AuthorizationStatus has five words.
_WORDS_16: Final = {
    TokenStatus.ACCEPTED: "Accepted",
    TokenStatus.BLOCKED: "Blocked",
    TokenStatus.EXPIRED: "Expired",
    TokenStatus.CONCURRENT_TX: "ConcurrentTx",
    TokenStatus.NO_CREDIT: "Blocked",
}
_WORDS_2: Final = {
    TokenStatus.ACCEPTED: "Accepted",
    TokenStatus.BLOCKED: "Blocked",
    TokenStatus.EXPIRED: "Expired",
    TokenStatus.INVALID: "Invalid",
    TokenStatus.CONCURRENT_TX: "ConcurrentTx",
    TokenStatus.NO_CREDIT: "NoCredit",
    TokenStatus.NOT_ALLOWED_TYPE_EVSE: "NotAllowedTypeEVSE",
    TokenStatus.NOT_AT_THIS_LOCATION: "NotAtThisLocation",
    TokenStatus.NOT_AT_THIS_TIME: "NotAtThisTime",
    TokenStatus.UNKNOWN: "Unknown",
}


class TokenKind(StrEnum):
    """What a token is (OCPP 2.0.1, 3.43 IdTokenEnumType; 2.1 adds the last four); 1.6 does not tell them apart."""

    CENTRAL = "central"
    """Made by the central system, as for a start from an app."""
    EMAID = "emaid"
    """The contract of a vehicle (ISO 15118)."""
    ISO14443 = "iso14443"
    ISO15693 = "iso15693"
    KEY_CODE = "key_code"
    """Typed in at the station."""
    LOCAL = "local"
    """Made by the station, as for a start button."""
    MAC_ADDRESS = "mac_address"
    NO_AUTHORIZATION = "no_authorization"
    """The station lets anybody charge."""
    DIRECT_PAYMENT = "direct_payment"
    EVCCID = "evccid"
    VIN = "vin"
    OTHER = "other"
    """2.1 allows further words."""


_KIND_WORDS: Final = {
    TokenKind.CENTRAL: "Central",
    TokenKind.EMAID: "eMAID",
    TokenKind.ISO14443: "ISO14443",
    TokenKind.ISO15693: "ISO15693",
    TokenKind.KEY_CODE: "KeyCode",
    TokenKind.LOCAL: "Local",
    TokenKind.MAC_ADDRESS: "MacAddress",
    TokenKind.NO_AUTHORIZATION: "NoAuthorization",
    TokenKind.DIRECT_PAYMENT: "DirectPayment",
    TokenKind.EVCCID: "EVCCID",
    TokenKind.VIN: "VIN",
}
_KIND_OF_WORD: Final = {word.casefold(): kind for kind, word in _KIND_WORDS.items()}
_ONLY_21: Final = frozenset({TokenKind.DIRECT_PAYMENT, TokenKind.EVCCID, TokenKind.VIN, TokenKind.OTHER})
_CARDS: Final = frozenset({TokenKind.ISO14443, TokenKind.ISO15693})


def read_kind(word: object) -> TokenKind | None:
    """The kind that OCPP 2.x's word means; OTHER for a word of no standard, None for no word."""
    if not isinstance(word, str) or not word:
        return None
    return _KIND_OF_WORD.get(word.casefold(), TokenKind.OTHER)


def read_id_token(value: Any) -> tuple[str, TokenKind | None]:
    """Uid and kind of an IdTokenType (2.0.1, 2.24), however odd."""
    if not isinstance(value, dict):
        return "", None
    return str(value.get("idToken", "")), read_kind(value.get("type"))


def kind_word(kind: TokenKind | None, *, is_21: bool = False) -> str:
    """OCPP 2.x's word; a token without a kind is taken for a card, one that 2.0.1 cannot say for the backend's own."""
    if kind is None:
        return _KIND_WORDS[TokenKind.ISO14443]
    if kind is TokenKind.OTHER or (kind in _ONLY_21 and not is_21):
        return _KIND_WORDS[TokenKind.CENTRAL]
    return _KIND_WORDS[kind]


def are_same_kind(registered: TokenKind | None, presented: TokenKind | None) -> bool:
    """Whether a token may be presented as that kind: nobody shall type in the number of a card.

    1.6 tells no kind; readers mix up the two kinds of cards; a Central token was handed out by ourselves.
    """
    if registered is None or presented is None or registered is presented or presented is TokenKind.CENTRAL:
        return True
    return registered in _CARDS and presented in _CARDS


class UnknownTokens(StrEnum):
    """What becomes of a token that the organisation has not registered."""

    ACCEPT = "accept"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """How an organisation treats tokens."""

    unknown_tokens: UnknownTokens = UnknownTokens.REFUSE
    is_one_charge_at_a_time: bool = False
    cache_kept_s: int | None = None
    master_pass_group_uid: str | None = None

    @property
    def master_pass_key(self) -> str | None:
        return None if self.master_pass_group_uid is None else token_key(self.master_pass_group_uid)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token may charge: one station, all of a site, or all with a tag; perhaps only at some charge points."""

    station_id: str | None = None
    """The station's OCPP identity."""
    site: str | None = None
    tag: str | None = None
    charge_point_numbers: tuple[int, ...] = ()
    """Empty: all of them."""

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        numbers = stored.get("charge_point_numbers") or ()
        return cls(stored.get("station_id"), stored.get("site"), stored.get("tag"), tuple(numbers))

    def holds(self, station: "Site") -> bool:
        """Whether the station belongs to it."""
        if self.station_id is not None and self.station_id != station.identity:
            return False
        if self.site is not None and self.site != station.site:
            return False
        return self.tag is None or self.tag in station.tags


@dataclass(frozen=True, slots=True)
class Site:
    """A station as far as tokens may be tied to it."""

    identity: str
    site: str | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What of a registered token decides and what stations are told of it."""

    id: int
    uid: str
    holder: str | None = None
    kind: TokenKind | None = None
    group_uid: str | None = None
    """A token that is itself the group of others has its own uid here."""
    group_kind: TokenKind | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    is_blocked: bool = False
    is_exclusive: bool = False
    is_out_of_credit: bool = False
    allowed_at: tuple[Place, ...] | None = None
    """None: everywhere."""
    language: str | None = None
    second_language: str | None = None
    personal_message: str | None = None
    charging_priority: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A charge point kept free for a token or its group from `since` until just before `until`."""

    number: int | None
    """None: some charge point; which one, the station decides."""
    token_key: str
    group_key: str | None
    since: datetime
    until: datetime
    reservation_number: int | None = None

    def keeps_out(self, number: int, key: str, group: str | None, at: datetime) -> bool:
        """Whether a charge of that token (and group) at that charge point and time would take the place of another."""
        if self.number != number or not self.since <= at < self.until or key == self.token_key:
            return False
        return self.group_key is None or group is None or token_key(group) != self.group_key


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a token: where and when, and whether a charge begins with it."""

    key: str
    at: datetime
    station: Site
    kind: TokenKind | None = None
    charge_point_number: int | None = None
    """None: the station does not say."""
    started_at: datetime | None = None
    """When a charge began with it, by the station's clock; None: none does."""
    is_demo: bool = False
    holds: Sequence[Hold] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a token may charge now, and what the station is told with it."""

    status: TokenStatus
    parent: str | None = None
    """The token's group; OCPP's parentIdTag and groupIdToken."""
    expires_at: datetime | None = None
    """Until when the station may go by this answer."""
    holder: str | None = None
    is_exclusive: bool = False
    """It may be in one charge at a time."""
    parent_kind: TokenKind | None = None
    evse_numbers: tuple[int, ...] = ()
    """The charge points of the station where it may charge; empty: all."""
    language: str | None = None
    second_language: str | None = None
    personal_message: str | None = None
    charging_priority: int | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is TokenStatus.ACCEPTED


def token_key(uid: str) -> str:
    """What two spellings of one token have in common (CiString: case does not count)."""
    return uid.casefold()


def masked(uid: str) -> str:
    """A token as logs may show it: its last characters."""
    return f"…{uid[-_SHOWN_CHARS:]}" if len(uid) > 2 * _SHOWN_CHARS else "…"


def judge(token: KnownToken | None, asked: Asked, policy: KnownPolicy) -> Verdict:
    """The verdict on a token; None is one that nobody registered."""
    if asked.kind is TokenKind.NO_AUTHORIZATION:  # the station is set to let anybody charge (2.0.1, C02)
        return Verdict(TokenStatus.ACCEPTED)
    if token is None:
        return _judge_unknown(asked, policy)
    numbers = numbers_at(token, asked.station)
    status = _status(token, asked, policy, numbers)
    return Verdict(
        status,
        parent=token.group_uid,
        expires_at=_told_until(token.valid_until, asked.at, policy),
        holder=token.holder,
        is_exclusive=token.is_exclusive or policy.is_one_charge_at_a_time,
        parent_kind=token.group_kind,
        evse_numbers=numbers or (),
        language=token.language,
        second_language=token.second_language,
        personal_message=token.personal_message,
        charging_priority=token.charging_priority,
    )


def _judge_unknown(asked: Asked, policy: KnownPolicy) -> Verdict:
    if not asked.is_demo and policy.unknown_tokens is UnknownTokens.REFUSE:
        return Verdict(TokenStatus.UNKNOWN)
    status = TokenStatus.NOT_AT_THIS_TIME if _is_kept_out(asked, None) else TokenStatus.ACCEPTED
    expires_at = _told_until(None, asked.at, policy)
    return Verdict(status, expires_at=expires_at, is_exclusive=policy.is_one_charge_at_a_time)


def _status(  # one reason after the other, the gravest first
    token: KnownToken, asked: Asked, policy: KnownPolicy, numbers: tuple[int, ...] | None
) -> TokenStatus:
    reasons = (
        (not are_same_kind(token.kind, asked.kind), TokenStatus.INVALID),
        (token.is_blocked, TokenStatus.BLOCKED),
        (token.valid_until is not None and asked.at >= token.valid_until, TokenStatus.EXPIRED),
        (token.valid_from is not None and asked.at < token.valid_from, TokenStatus.NOT_AT_THIS_TIME),
        (token.is_out_of_credit, TokenStatus.NO_CREDIT),
        (asked.started_at is not None and _is_master_pass(token, policy), TokenStatus.INVALID),
        (numbers is None, TokenStatus.NOT_AT_THIS_LOCATION),
        (_is_elsewhere(numbers, asked.charge_point_number), TokenStatus.NOT_ALLOWED_TYPE_EVSE),
        (_is_kept_out(asked, token.group_uid), TokenStatus.NOT_AT_THIS_TIME),
    )
    return next((status for applies, status in reasons if applies), TokenStatus.ACCEPTED)


def _is_master_pass(token: KnownToken, policy: KnownPolicy) -> bool:
    """2.0.1 C16.FR.02: a master pass ends charges of others and begins none."""
    return token.group_uid is not None and token_key(token.group_uid) == policy.master_pass_key


def _is_elsewhere(numbers: tuple[int, ...] | None, number: int | None) -> bool:
    return bool(numbers) and number not in (None, 0) and number not in (numbers or ())


def _is_kept_out(asked: Asked, group: str | None) -> bool:
    number, at = asked.charge_point_number, asked.started_at
    if number is None or at is None:
        return False
    return any(one.keeps_out(number, asked.key, group, at) for one in asked.holds)


def numbers_at(token: KnownToken, station: Site) -> tuple[int, ...] | None:
    """The charge points of the station where the token may charge; empty: all, None: none."""
    if token.allowed_at is None:
        return ()
    fitting = [place for place in token.allowed_at if place.holds(station)]
    if not fitting:
        return None
    if any(not place.charge_point_numbers for place in fitting):
        return ()
    return tuple(sorted({number for place in fitting for number in place.charge_point_numbers}))


def _told_until(valid_until: datetime | None, at: datetime, policy: KnownPolicy) -> datetime | None:
    if policy.cache_kept_s is None:
        return valid_until
    forgotten_at = at + timedelta(seconds=policy.cache_kept_s)
    return forgotten_at if valid_until is None else min(forgotten_at, valid_until)


def status_word(status: TokenStatus, *, is_16: bool) -> str:
    """The status in OCPP's words; what 1.6 has no word for is Invalid there."""
    return _WORDS_16.get(status, "Invalid") if is_16 else _WORDS_2[status]


def id_tag_info(verdict: Verdict, write_time: WriteTime) -> dict[str, Any]:
    """OCPP 1.6, 7.27 IdTagInfo; fields in the schema's order, optional ones left out."""
    info: dict[str, Any] = {}
    if verdict.expires_at is not None:
        info["expiryDate"] = write_time(verdict.expires_at)
    if verdict.parent is not None and len(verdict.parent) <= UID_CHARS_MAX[Version.V16]:
        info["parentIdTag"] = verdict.parent
    info["status"] = status_word(verdict.status, is_16=True)
    return info


def id_token(
    uid: str,
    kind: TokenKind | None,
    *,
    is_21: bool = False,
    additional_info: Sequence[Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """OCPP 2.0.1, 2.24 IdTokenType; `additional_info` as `Token` has it."""
    token: dict[str, Any] = {}
    length_max = UID_CHARS_MAX[Version.V21 if is_21 else Version.V201]
    fitting = [one for one in additional_info or () if len(one["additional_id"]) <= length_max]
    if fitting:
        token["additionalInfo"] = [{"additionalIdToken": one["additional_id"], "type": one["kind"]} for one in fitting]
    return token | {"idToken": uid, "type": kind_word(kind, is_21=is_21)}


def id_token_info(verdict: Verdict, write_time: WriteTime, *, is_21: bool = False) -> dict[str, Any]:
    """OCPP 2.0.1, 2.25 IdTokenInfoType; optional fields left out."""
    info: dict[str, Any] = {"status": status_word(verdict.status, is_16=False)}
    if verdict.expires_at is not None:
        info["cacheExpiryDateTime"] = write_time(verdict.expires_at)
    if verdict.charging_priority is not None:
        info["chargingPriority"] = verdict.charging_priority
    if verdict.language is not None:
        info["language1"] = verdict.language
    if verdict.evse_numbers:
        info["evseId"] = list(verdict.evse_numbers)
    if verdict.parent is not None and (is_21 or len(verdict.parent) <= UID_CHARS_MAX[Version.V201]):
        info["groupIdToken"] = id_token(verdict.parent, verdict.parent_kind or TokenKind.CENTRAL, is_21=is_21)
    if verdict.second_language is not None:
        info["language2"] = verdict.second_language
    if verdict.personal_message is not None:
        info["personalMessage"] = _message(verdict.personal_message, verdict.language)
    return info


def _message(text: str, language: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {"format": "UTF8"}
    if language is not None:
        message["language"] = language
    message["content"] = text
    return message


class ChainStatus(StrEnum):
    """What was found out about the certificate of a vehicle's contract."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNVERIFIABLE = "unverifiable"
    """Broken, of an unknown root, or nobody could be asked."""


_CHAIN_WORDS: Final = {
    ChainStatus.EXPIRED: ("CertificateExpired", TokenStatus.EXPIRED),
    ChainStatus.REVOKED: ("CertificateRevoked", TokenStatus.INVALID),
    ChainStatus.UNVERIFIABLE: ("CertChainError", TokenStatus.INVALID),
}
_CANCELS: Final = frozenset({TokenStatus.BLOCKED, TokenStatus.EXPIRED, TokenStatus.INVALID, TokenStatus.UNKNOWN})


def with_chain(status: TokenStatus, chain: ChainStatus) -> tuple[str, TokenStatus]:
    """OCPP 2.0.1, C07.FR.13 to FR.17: which certificateStatus and which status of the token go together."""
    if chain is not ChainStatus.VALID:
        return _CHAIN_WORDS[chain]
    return ("ContractCancelled" if status in _CANCELS else "Accepted"), status
