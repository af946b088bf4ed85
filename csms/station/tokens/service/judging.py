"""S27: the verdict on a token, by what this process knows or reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table as SqlTable
from sqlalchemy import bindparam, exists
from sqlalchemy import select as select_columns
from sqlmodel import col, select

from csms.routing import ConnectedStation
from csms.station.information import Station
from csms.station.tokens.model import Token, TokenPolicy
from csms.station.tokens.rules import (
    Asked,
    KnownPolicy,
    KnownToken,
    Place,
    Site,
    TokenKind,
    UnknownTokens,
    Verdict,
    judge,
    token_key,
)
from csms.station.tokens.service.memory import Holds, Recent
from csms.store import Work

CHANGED: Final = "token_changed"
POLICY_CHANGED: Final = "token_policy_changed"
STATIONS_A_QUERY: Final = 5000

_tokens: Recent[KnownToken | None] = Recent()
_policies: Recent[KnownPolicy] = Recent()


@dataclass(slots=True)
class Surroundings:
    """Where a connected station stands, as far as tokens may be tied to it."""

    site: Site | None = None


async def authorise(
    work: Work,
    station: ConnectedStation,
    uid: str,
    *,
    kind: TokenKind | None = None,
    charge_point_number: int | None = None,
    started_at: datetime | None = None,
) -> Verdict:
    """Whether the token may charge at that station now, at that charge point if one is given.

    `started_at` says that a charge began with it: then charge points kept for others count too. A token that nobody
    registered is judged by the organisation's policy; demo stations take any. Costs at most two queries, none if this
    process asked less than CACHED_FOR ago and no change was heard of since.
    """
    owner, key = station.organisation_id, token_key(uid)
    token = await _tokens.get((owner, key), work.now, lambda: read_token(work, owner, key))
    policy = await _policies.get((owner, ""), work.now, lambda: known_policy(work, owner))
    asked = Asked(
        key=key,
        at=work.now,
        station=station.recall(Surroundings).site or Site(station.identity),
        kind=kind,
        charge_point_number=charge_point_number,
        started_at=started_at,
        is_demo=station.is_demo,
        holds=station.recall(Holds).current,
    )
    return judge(token, asked, policy)


def _token_query() -> Any:
    """Made once: to make it costs as much as to run it. Plain columns, since a row of the ORM costs twice as much."""
    table: SqlTable = Token.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    member = table.alias()
    has_members = exists().where(
        member.c.organisation_id == bindparam("organisation_id"), member.c.group_key == bindparam("key")
    )
    return select_columns(*table.columns, has_members.label("is_group")).where(
        table.c.organisation_id == bindparam("organisation_id"), table.c.uid_key == bindparam("key")
    )


_TOKEN_QUERY: Final = _token_query()


async def read_token(work: Work, organisation_id: int, key: str) -> KnownToken | None:
    """What is registered under that key."""
    values = {"organisation_id": organisation_id, "key": key}
    found = (await work.session.exec(_TOKEN_QUERY, params=values)).first()
    return None if found is None else known(found, is_group=found.is_group)


def known(row: Any, *, is_group: bool = False) -> KnownToken:
    """The row of a token as it is judged; one that is the group of others and has no group itself is its own."""
    is_own = is_group and row.group_uid is None
    return KnownToken(
        id=row.id,
        uid=row.uid,
        holder=row.holder,
        kind=row.kind,
        group_uid=row.uid if is_own else row.group_uid,
        group_kind=row.kind if is_own else row.group_kind,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        is_blocked=row.is_blocked,
        is_exclusive=row.is_exclusive,
        is_out_of_credit=row.is_out_of_credit,
        allowed_at=None if row.allowed_at is None else tuple(Place.read(one) for one in row.allowed_at),
        language=row.language,
        second_language=row.second_language,
        personal_message=row.personal_message,
        charging_priority=row.charging_priority,
    )


async def known_policy(work: Work, organisation_id: int) -> KnownPolicy:
    """How the organisation treats tokens."""
    row = (await work.session.exec(select(TokenPolicy).where(TokenPolicy.organisation_id == organisation_id))).first()
    if row is None:
        return KnownPolicy()
    return KnownPolicy(
        unknown_tokens=UnknownTokens(row.unknown_tokens),
        is_one_charge_at_a_time=row.is_one_charge_at_a_time,
        cache_kept_s=row.cache_kept_s,
        master_pass_group_uid=row.master_pass_group_uid,
    )


def forget(organisation_id: int) -> None:
    """Let this process judge that organisation's tokens anew."""
    _tokens.forget(organisation_id)
    _policies.forget(organisation_id)


def heard(organisation_id: int, _news: Mapping[str, Any]) -> None:
    """Some process changed a token or the policy: news of the bus, right after the commit."""
    forget(organisation_id)


async def load(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Surroundings` of stations that connect: one query for thousands of them."""
    by_id = {station.id: station for station in stations}
    ids = list(by_id)
    for first in range(0, len(ids), STATIONS_A_QUERY):
        query = select(Station.id, Station.identity, Station.site, Station.tags).where(
            col(Station.id).in_(ids[first : first + STATIONS_A_QUERY])
        )
        for station_id, identity, site, tags in await work.session.exec(query):
            by_id[station_id].recall(Surroundings).site = Site(identity, site, frozenset(tags))
