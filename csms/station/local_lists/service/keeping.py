"""S27: the rows of lists and rules: which lists are due, what is known of them, what is shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import col, delete, func, or_, select, update

from csms.exceptions import Conflict, Forbidden, Invalid, NotFound
from csms.ids import new_id
from csms.routing import Registration
from csms.station.information import Station, fact_about, find_station
from csms.station.local_lists.model import LocalList, LocalListPolicy, LocalListRule, LocalListSnapshot
from csms.station.local_lists.rules import Entries, digest
from csms.station.tokens import Token, token_key
from csms.store import Work

RULES_MAX: Final = 200
SOON: Final = timedelta(seconds=5)
"""How long changes gather before they are sent."""
SETTLED: Final = timedelta(seconds=60)
"""How long a station is left alone after it has connected."""
ENROLLED_PER_RUN: Final = 500
DUE_PER_RUN: Final = 20
UNUSED_KEPT: Final = timedelta(hours=1)


def organisation_of(work: Work) -> int:
    """Whose lists the caller manages. Raises Forbidden for a caller without an organisation."""
    if work.actor.organisation_id is None:
        raise Forbidden("lists belong to an organisation; use a key of one")
    return work.actor.organisation_id


async def find_list(work: Work, station_id: int, *, to_change: bool = False) -> LocalList | None:
    """The station's list, if it was ever looked at."""
    query = select(LocalList).where(LocalList.station_id == station_id)
    return (await work.session.exec(query.with_for_update() if to_change else query)).first()


async def list_of(work: Work, station: Station) -> LocalList:
    """The station's list, made when first needed."""
    found = await find_list(work, station.id, to_change=True)
    if found is None:
        found = LocalList(organisation_id=station.organisation_id, station_id=station.id)
        work.session.add(found)
        await work.session.flush()
    return found


async def add_rule(work: Work, values: Mapping[str, Any]) -> LocalListRule:
    """Put tokens on lists. Raises Conflict if there are too many rules, Invalid for a station or token that is not."""
    owner = organisation_of(work)
    count = select(func.count()).select_from(LocalListRule).where(LocalListRule.organisation_id == owner)
    if (await work.session.exec(count)).one() >= RULES_MAX:
        raise Conflict(f"there are {RULES_MAX} rules already; put tokens into groups, or stations under tags")
    identity, token_id = values.get("station_identity"), values.get("token_id")
    if identity is not None and await find_station(work, identity) is None:
        raise Invalid("there is no such station; GET /api/v1/stations lists yours", place="body/station_id")
    if token_id is not None:
        found = await work.session.exec(select(Token.id).where(Token.id == token_id, Token.organisation_id == owner))
        if found.first() is None:
            raise Invalid("there is no such token; GET /api/v1/tokens lists yours", place="body/token_id")
    group = values.get("group_uid")
    rule = LocalListRule(
        organisation_id=owner,
        group_key=None if group is None else token_key(group),
        created_at=work.now,
        created_by=work.actor.name,
        **values,
    )
    work.session.add(rule)
    await enrol(work, owner)
    await look_again(work, owner)
    return rule


async def get_rule(work: Work, rule_id: int) -> LocalListRule:
    """Raises NotFound."""
    found = (await work.session.exec(select(LocalListRule).where(LocalListRule.id == rule_id))).first()
    if found is None:
        raise NotFound("there is no such rule; GET /api/v1/local-list-rules lists yours")
    return found


async def remove_rule(work: Work, rule: LocalListRule) -> None:
    """Its tokens leave the lists, unless another rule keeps them there."""
    await work.session.delete(rule)
    await work.session.flush()
    await look_again(work, rule.organisation_id)


async def forget_token(work: Work, token_id: int) -> None:
    """A removed token's own rules go with it."""
    await work.session.exec(delete(LocalListRule).where(col(LocalListRule.token_id) == token_id))


async def enrol(work: Work, organisation_id: int) -> int:
    """Give stations that have none a list, so that it is looked at; returns how many there were."""
    known = select(LocalList.station_id).where(LocalList.organisation_id == organisation_id)
    query = select(Station.id).where(Station.organisation_id == organisation_id, col(Station.id).not_in(known))
    ids = (await work.session.exec(query.limit(ENROLLED_PER_RUN))).all()
    work.session.add_all(
        LocalList(organisation_id=organisation_id, station_id=station_id, due_at=work.now) for station_id in ids
    )
    await work.session.flush()
    return len(ids)


async def organisations_with_rules(work: Work) -> Sequence[int]:
    """Whose lists are kept."""
    return (await work.session.exec(select(LocalListRule.organisation_id).distinct())).all()


async def look_again(work: Work, organisation_id: int, station_id: int | None = None) -> None:
    """Something changed that lists depend on: look at them soon; many changes at once cost one look."""
    soon = work.now + SOON
    later = or_(col(LocalList.due_at).is_(None), col(LocalList.due_at) > soon)
    query = update(LocalList).where(
        col(LocalList.organisation_id) == organisation_id, later, col(LocalList.is_supported).is_not(False)
    )
    if station_id is not None:
        query = query.where(col(LocalList.station_id) == station_id)
    await work.session.exec(query.values(due_at=soon))


async def due_lists(work: Work) -> Sequence[str]:
    """Identities of stations whose lists are to be looked at now: online for a while, and nobody is at it."""
    now = work.now
    query = (
        select(Station.identity)
        .join(LocalList, col(LocalList.station_id) == Station.id)
        .where(
            col(LocalList.is_automatic).is_(True),
            or_(col(LocalList.due_at) <= now, col(LocalList.next_change_at) <= now),
            or_(col(LocalList.sending_until).is_(None), col(LocalList.sending_until) <= now),
            col(LocalList.is_supported).is_not(False),
            *_reachable(now),
        )
        .order_by(col(LocalList.due_at))
        .limit(DUE_PER_RUN)
    )
    return (await work.session.exec(query)).all()


def _reachable(now: datetime) -> tuple[Any, ...]:
    is_accepted = col(Station.registration) == Registration.ACCEPTED
    return col(Station.is_online).is_(True), is_accepted, col(Station.online_since) <= now - SETTLED


async def uncompared_lists(work: Work) -> Sequence[str]:
    """Identities of stations that have booted since they last told their list's version, where that is asked for."""
    now = work.now
    query = (
        select(Station.identity)
        .join(LocalList, col(LocalList.station_id) == Station.id)
        .join(LocalListPolicy, col(LocalListPolicy.organisation_id) == Station.organisation_id)
        .where(
            col(LocalListPolicy.is_compared_after_boot).is_(True),
            or_(
                col(LocalList.station_version_at).is_(None),
                col(LocalList.station_version_at) < col(Station.last_boot_at),
            ),
            or_(col(LocalList.sending_until).is_(None), col(LocalList.sending_until) <= now),
            col(LocalList.is_supported).is_not(False),
            *_reachable(now),
        )
        .limit(DUE_PER_RUN)
    )
    return (await work.session.exec(query)).all()


async def snapshot(work: Work, organisation_id: int, family: str, entries: Entries) -> int:
    """The id of the stored list with that content."""
    key = digest(entries, family)
    query = select(LocalListSnapshot.id).where(
        LocalListSnapshot.organisation_id == organisation_id, LocalListSnapshot.digest == key
    )
    found = (await work.session.exec(query)).first()
    if found is not None:
        return found
    row = LocalListSnapshot(
        id=new_id(),
        organisation_id=organisation_id,
        digest=key,
        family=family,
        entries=dict(entries),
        created_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    return row.id


async def stored_entries(work: Work, snapshot_id: int | None, family: str | None = None) -> Entries | None:
    """What a list holds; None if nobody knows, or it was made for stations that tell tokens apart otherwise."""
    if snapshot_id is None:
        return None
    row = (await work.session.exec(select(LocalListSnapshot).where(LocalListSnapshot.id == snapshot_id))).first()
    return None if row is None or family not in (None, row.family) else row.entries


async def drop_unused_snapshots(work: Work) -> None:
    """Forget contents that no station has any more."""
    used = select(LocalList.snapshot_id).where(col(LocalList.snapshot_id).is_not(None))
    await work.session.exec(
        delete(LocalListSnapshot).where(
            col(LocalListSnapshot.created_at) < work.now - UNUSED_KEPT, col(LocalListSnapshot.id).not_in(used)
        )
    )


def set_in_step(work: Work, row: LocalList, *, is_in_step: bool) -> None:
    """Note since when the list is in step, or not."""
    if row.is_in_step != is_in_step or row.in_step_changed_at is None:
        row.is_in_step, row.in_step_changed_at = is_in_step, work.now


def tell(work: Work, station: Station, row: LocalList) -> None:
    """Let live pages know."""
    data = {
        "is_in_step": row.is_in_step,
        "version": row.version,
        "station_version": row.station_version,
        "last_result": None if row.last_result is None else row.last_result.value,
        "entries_count": row.entries_count,
    }
    work.emit(fact_about(station, "local_list_changed", data))


async def read_policy(work: Work, organisation_id: int) -> LocalListPolicy:
    """The organisation's policy; the usual one if it made none."""
    query = select(LocalListPolicy).where(LocalListPolicy.organisation_id == organisation_id)
    return (await work.session.exec(query)).first() or LocalListPolicy(organisation_id=organisation_id)
