"""S15: what is known of a station's settings: for lists, for checks before a change, for other features."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.ocpp.versions import Version
from csms.station.commands import version_of
from csms.station.information import Station
from csms.station.settings.model import Setting, SettingChange
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.vocabulary import VOCABULARY, resolve
from csms.station.settings.rules.words import Mutability
from csms.store import Work


@dataclass(frozen=True, slots=True)
class SettingFilter:
    """Which settings; None and False do not restrict."""

    text: str | None = None
    component: str | None = None
    charge_point_number: int | None = None
    is_writable: bool = False
    needs_reboot: bool = False
    is_unknown: bool | None = None
    is_common: bool = False


def settings_query(station: Station, wanted: SettingFilter) -> SelectOfScalar[Setting]:
    """The station's settings in the protocol that it speaks now, to be paged."""
    query = select(Setting).where(Setting.station_id == station.id, _speaks(version_of(station)))
    if wanted.text:
        query = query.where(func.lower(col(Setting.name)).contains(wanted.text.lower(), autoescape=True))
    if wanted.component:
        query = query.where(col(Setting.component) == wanted.component)
    if wanted.charge_point_number is not None:
        query = query.where(Setting.charge_point_number == wanted.charge_point_number)
    if wanted.is_writable:
        query = query.where(col(Setting.mutability) != Mutability.READ_ONLY, col(Setting.is_constant).is_not(True))
    if wanted.needs_reboot:
        query = query.where(col(Setting.reboot_required_since).is_not(None))
    if wanted.is_unknown is not None:
        query = query.where(col(Setting.is_unknown).is_(wanted.is_unknown))
    if wanted.is_common:
        query = query.where(col(Setting.key).in_(_common_keys(version_of(station))))
    return query


def _speaks(version: Version) -> Any:
    component = col(Setting.component)
    return component.is_(None) if version is Version.V16 else component.is_not(None)


def _common_keys(version: Version) -> list[str]:
    addresses = (common.address(version) for common in VOCABULARY)
    return [address.key for address in addresses if address is not None]


async def settings_by_key(work: Work, station_id: int, keys: Iterable[str]) -> dict[str, Setting]:
    """The known ones of these settings."""
    query = select(Setting).where(Setting.station_id == station_id, col(Setting.key).in_(list(keys)))
    return {setting.key: setting for setting in await work.session.exec(query)}


async def values_of(work: Work, station_id: int, addresses: Sequence[Address]) -> dict[str, str]:
    """The known values of these settings, by key."""
    rows = await settings_by_key(work, station_id, [address.key for address in addresses])
    return {key: row.value for key, row in rows.items() if row.value is not None}


async def known_value(work: Work, station: Station, name: str) -> str | None:
    """The value as the station last told it; `name` is the common one, a 1.6 key or `Component.Variable`."""
    address = resolve(name, version_of(station))
    return None if address is None else (await values_of(work, station.id, [address])).get(address.key)


async def get_setting(work: Work, station: Station, setting_id: int) -> Setting:
    """Raises NotFound."""
    query = select(Setting).where(Setting.station_id == station.id, Setting.id == setting_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such setting; GET …/settings lists them")
    return found


def changes_query(station: Station, key: str | None = None) -> SelectOfScalar[SettingChange]:
    """The history of changes, of one setting or of all."""
    query = select(SettingChange).where(SettingChange.station_id == station.id)
    return query if key is None else query.where(SettingChange.key == key)
