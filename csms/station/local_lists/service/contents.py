"""S27: what should be on a station's list, and how OCPP says it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table as SqlTable
from sqlalchemy import select as select_columns
from sqlmodel import col, or_, select

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.station.information import Station
from csms.station.local_lists.model import LocalListRule
from csms.station.local_lists.rules import Entries, Entry, Update
from csms.station.tokens import (
    UID_CHARS_MAX,
    KnownToken,
    Site,
    Token,
    TokenKind,
    TokenStatus,
    Verdict,
    id_tag_info,
    id_token,
    id_token_info,
    kind_word,
    known,
    numbers_at,
    token_key,
)
from csms.store import Work

Payload = dict[str, Any]
_TOKENS: Final[SqlTable] = Token.__table__  # type: ignore[attr-defined]  # SQLModel adds it
TOKENS_MAX: Final = 20_000
"""More than any station has room for."""
_NEVER_LISTED: Final = frozenset({TokenKind.NO_AUTHORIZATION, TokenKind.LOCAL, TokenKind.DIRECT_PAYMENT})


@dataclass(frozen=True, slots=True)
class Contents:
    """What should be on a list."""

    entries: Entries
    left_out_count: int
    next_change_at: datetime | None


def family_of(version: Version) -> str:
    """Which stations tell tokens apart by the same things: 1.6 by the uid, 2.x by uid and kind."""
    return "1.6" if version is Version.V16 else "2"


async def rules_for(work: Work, station: Station) -> Sequence[LocalListRule]:
    """The rules that hold for the station."""
    query = select(LocalListRule).where(LocalListRule.organisation_id == station.organisation_id)
    site = _site(station)
    return [rule for rule in await work.session.exec(query) if _holds(rule, site)]


def _site(station: Station) -> Site:
    return Site(station.identity, station.site, frozenset(station.tags))


def _holds(rule: LocalListRule, station: Site) -> bool:
    if rule.station_identity is not None:
        return rule.station_identity == station.identity
    if rule.site is not None:
        return rule.site == station.site
    return rule.tag is None or rule.tag in station.tags


async def wanted_contents(
    work: Work, station: Station, rules: Sequence[LocalListRule], version: Version, excluded: Collection[int] = ()
) -> Contents:
    """What the rules put on the station's list now, without those excluded, and when time alone will change that."""
    rows = await _tokens(work, station.organisation_id, rules)
    groups = await _groups(work, station.organisation_id)
    site, entries, left_out, changes = _site(station), {}, 0, []
    for row in rows:
        if row.id in excluded:
            continue
        token = known(row, is_group=row.uid_key in groups)
        changes += [at for at in (token.valid_from, token.valid_until) if at is not None and at > work.now]
        entry = _entry(token, row.additional_info, site, work.now)
        if entry is None:
            continue
        if len(token.uid) > UID_CHARS_MAX[version]:
            left_out += 1
        else:
            entries[_key(token, version)] = entry
    return Contents(entries, left_out, min(changes, default=None))


async def _tokens(work: Work, organisation_id: int, rules: Sequence[LocalListRule]) -> Iterable[Any]:
    """Plain rows: thousands of them are read for every list."""
    if not rules:
        return []
    query = select_columns(*_TOKENS.columns).where(col(Token.organisation_id) == organisation_id)
    if not any(rule.token_id is None and rule.group_key is None for rule in rules):
        ids = [rule.token_id for rule in rules if rule.token_id is not None]
        groups = [rule.group_key for rule in rules if rule.group_key is not None]
        of_group = or_(col(Token.group_key).in_(groups), col(Token.uid_key).in_(groups))
        query = query.where(or_(col(Token.id).in_(ids), of_group))
    return await work.session.exec(query.order_by(col(Token.id)).limit(TOKENS_MAX))  # type: ignore[call-overload,no-any-return]  # SQLModel types only its own select


async def _groups(work: Work, organisation_id: int) -> set[str | None]:
    query = select(Token.group_key).where(Token.organisation_id == organisation_id).distinct()
    return set(await work.session.exec(query))


def _key(token: KnownToken, version: Version) -> str:
    key = token_key(token.uid)
    return key if version is Version.V16 else f"{key} {kind_word(token.kind, is_21=version is Version.V21)}"


def _entry(
    token: KnownToken, additional_info: Sequence[Mapping[str, str]] | None, station: Site, now: datetime
) -> dict[str, Any] | None:
    """The token as the list has it; None if it is not to be there.

    Blocked ones are: a station that is offline may let unknown tokens charge, and must not these (1.6, 3.5.2).
    """
    numbers = numbers_at(token, station)
    is_valid = (token.valid_from is None or token.valid_from <= now) and (
        token.valid_until is None or now < token.valid_until
    )
    if numbers is None or not is_valid or token.kind in _NEVER_LISTED:
        return None
    entry = {
        "uid": token.uid,
        "kind": None if token.kind is None else token.kind.value,
        "status": _status(token).value,
        "group": token.group_uid,
        "group_kind": None if token.group_kind is None else token.group_kind.value,
        "expires_at": None if token.valid_until is None else token.valid_until.isoformat(),
        "charge_point_numbers": list(numbers),
        "language": token.language,
        "second_language": token.second_language,
        "personal_message": token.personal_message,
        "charging_priority": token.charging_priority,
        "additional_info": list(additional_info or ()),
    }
    return {name: value for name, value in entry.items() if value not in (None, [])}


def _status(token: KnownToken) -> TokenStatus:
    if token.is_blocked:
        return TokenStatus.BLOCKED
    return TokenStatus.NO_CREDIT if token.is_out_of_credit else TokenStatus.ACCEPTED


def _verdict(entry: Entry) -> Verdict:
    until, group_kind = entry.get("expires_at"), entry.get("group_kind")
    return Verdict(
        TokenStatus(entry["status"]),
        parent=entry.get("group"),
        expires_at=None if until is None else datetime.fromisoformat(until),
        parent_kind=None if group_kind is None else TokenKind(group_kind),
        evse_numbers=tuple(entry.get("charge_point_numbers", ())),
        language=entry.get("language"),
        second_language=entry.get("second_language"),
        personal_message=entry.get("personal_message"),
        charging_priority=entry.get("charging_priority"),
    )


def payload(update: Update, version: Version) -> Payload:
    """The SendLocalList of that version (OCPP 1.6, 5.15; 2.0.1 D01); fields in the schema's order."""
    if version is Version.V16:
        request: Payload = {"listVersion": update.version}
        if items := [*map(_removed_16, update.removed), *map(_put_16, update.put)]:
            request["localAuthorizationList"] = items
        return request | {"updateType": update.kind.value}
    is_21 = version is Version.V21
    items = [{"idToken": _token_2(entry, is_21=is_21)} for entry in update.removed]
    items += [_put_2(entry, is_21=is_21) for entry in update.put]
    request = {"localAuthorizationList": items} if items else {}
    return request | {"versionNumber": update.version, "updateType": update.kind.value}


def _removed_16(entry: Entry) -> Payload:
    return {"idTag": entry["uid"]}


def _put_16(entry: Entry) -> Payload:
    return {"idTag": entry["uid"], "idTagInfo": id_tag_info(_verdict(entry), timestamps.write)}


def _token_2(entry: Entry, *, is_21: bool) -> Payload:
    kind = entry.get("kind")
    info = entry.get("additional_info")
    return id_token(entry["uid"], None if kind is None else TokenKind(kind), is_21=is_21, additional_info=info)


def _put_2(entry: Entry, *, is_21: bool) -> Payload:
    info = id_token_info(_verdict(entry), timestamps.write, is_21=is_21)
    return {"idToken": _token_2(entry, is_21=is_21), "idTokenInfo": info}
