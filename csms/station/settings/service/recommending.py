"""S15: recommended values of an organisation: kept, compared with what a station has, applied."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.platform.organisations import default_organisation
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import version_of
from csms.station.information import Station, get_station
from csms.station.settings.model import Setting, SettingRecommendation
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import Known, fault_of
from csms.station.settings.rules.recommending import Recommended, deviates, recommended_for
from csms.station.settings.rules.telling import names_secret
from csms.station.settings.rules.vocabulary import common_of, find_common
from csms.station.settings.rules.words import AttributeKind, SettingOutcome
from csms.station.settings.service.changing import ChangeResult, Wish, change_settings
from csms.station.settings.service.knowledge import settings_by_key
from csms.store import Work

RECOMMENDATIONS_MAX = 500
"""Of one organisation."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recommended value beside what a station has."""

    address: Address
    recommended: Recommended
    setting: Setting | None
    """None: the station never told of it."""

    @property
    def value(self) -> str | None:
        """What will be in force: a value that waits for a restart counts."""
        if self.setting is None:
            return None
        return self.setting.value_after_reboot or self.setting.value

    @property
    def deviates(self) -> bool | None:
        """None: not known."""
        if self.setting is not None and self.setting.is_unknown:
            return None
        common = common_of(self.address.key)
        told = self.setting.data_type if self.setting else None
        return deviates(told or (common.data_type if common else None), self.value, self.recommended.value)


def recommendations_query() -> SelectOfScalar[SettingRecommendation]:
    """The organisation's recommended values, to be paged."""
    return select(SettingRecommendation)


async def get_recommendation(work: Work, recommendation_id: int) -> SettingRecommendation:
    """Raises NotFound."""
    query = recommendations_query().where(SettingRecommendation.id == recommendation_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound("there is no such recommendation; GET /api/v1/settings/recommendations lists them")
    return found


async def add_recommendation(work: Work, wanted: Recommended, comment: str) -> SettingRecommendation:
    """Raises Invalid for a secret or a value that cannot be right, Conflict if there is one for these stations."""
    check_recommended(wanted.name, wanted.value)
    organisation_id = work.actor.organisation_id or (await default_organisation(work)).id
    count = select(func.count()).select_from(SettingRecommendation)
    if (await work.session.exec(count)).one() >= RECOMMENDATIONS_MAX:
        raise Conflict(f"there are {RECOMMENDATIONS_MAX} recommended values; delete some first")
    row = SettingRecommendation(
        organisation_id=organisation_id,
        name=wanted.name,
        key=wanted.name.lower(),
        vendor=wanted.vendor,
        model=wanted.model,
        make=make_of(wanted.vendor, wanted.model),
        value=wanted.value,
        comment=comment,
        changed_at=work.now,
        changed_by=work.actor.name,
    )
    same = recommendations_query().where(SettingRecommendation.key == row.key, SettingRecommendation.make == row.make)
    if (await work.session.exec(same)).first() is not None:
        raise Conflict(f"there is a recommended {row.name} for these stations already; change that one")
    work.session.add(row)
    await work.session.flush()
    return row


def make_of(vendor: str | None, model: str | None) -> str:
    """What two recommendations for the same stations share."""
    return "\n".join((part or "").strip().lower() for part in (vendor, model))


def check_recommended(name: str, value: str) -> None:
    """Raises Invalid for a secret, or a value that no station would take."""
    if names_secret(Address(name)):
        raise Invalid("a secret is no recommended value; every station has its own", place="body/name")
    common = find_common(name)
    known = Known(data_type=common.data_type if common else None)
    fault = fault_of(known, AttributeKind.ACTUAL, value, Version.V21)
    if fault is not None:
        raise Invalid(f"{name}: {fault}", place="body/value")


async def recommended_of(work: Work, station: Station) -> dict[str, tuple[Address, Recommended]]:
    """What is recommended for the station, by the setting's key."""
    rows = await work.session.exec(
        recommendations_query().where(SettingRecommendation.organisation_id == station.organisation_id)
    )
    every = [Recommended(row.name, row.value, row.vendor, row.model) for row in rows]
    return recommended_for(every, version_of(station), station.vendor, station.model)


async def compare(work: Work, station: Station) -> list[Comparison]:
    """Every recommended value beside what the station has."""
    recommended = await recommended_of(work, station)
    known = await settings_by_key(work, station.id, recommended)
    return [Comparison(address, one, known.get(key)) for key, (address, one) in sorted(recommended.items())]


async def deviating_ids(work: Work, station: Station, *, is_deviating: bool) -> list[int]:
    """The settings that are another than recommended, or those that are as recommended."""
    return [one.setting.id for one in await compare(work, station) if one.setting and one.deviates is is_deviating]


async def apply_recommended(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    names: Collection[str] | None = None,
    *,
    timeout_s: float | None = None,
) -> list[ChangeResult]:
    """Send the station what is recommended and what it does not have; `names` choose among them.

    A value that this station would not take is told as `not_sent`. Raises NotFound and Conflict.
    """
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        wanted = [one for one in await compare(work, station) if _is_to_apply(one, names)]
    wishes, refused = _sift(wanted, version_of(station))
    results = await change_settings(runtime, caller, identity, wishes, timeout_s=timeout_s) if wishes else []
    return [*results, *refused]


def _is_to_apply(one: Comparison, names: Collection[str] | None) -> bool:
    if one.deviates is False or (one.setting is not None and one.setting.is_unknown):
        return False
    return names is None or bool({one.recommended.name.lower(), one.address.name.lower()} & {n.lower() for n in names})


def _sift(wanted: Sequence[Comparison], version: Version) -> tuple[list[Wish], list[ChangeResult]]:
    wishes, refused = [], []
    for one in wanted:
        wish = Wish(one.recommended.name, one.recommended.value, AttributeKind.ACTUAL, one.address)
        known = one.setting.known if one.setting else Known()
        fault = fault_of(known, AttributeKind.ACTUAL, wish.value, version)
        if fault is None:
            wishes.append(wish)
        else:
            refused.append(ChangeResult(wish, one.address, SettingOutcome.NOT_SENT, fault))
    return wishes, refused


async def change_recommendation(work: Work, row: SettingRecommendation, value: str | None, comment: str | None) -> None:
    """Set what is given. Raises Invalid for a value that cannot be right."""
    if value is not None:
        check_recommended(row.name, value)
        row.value = value
    if comment is not None:
        row.comment = comment
    row.changed_at, row.changed_by = work.now, work.actor.name
