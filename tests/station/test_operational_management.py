"""S21: service packages are switched per station, and every switch is remembered."""

from dataclasses import replace

import pytest

from csms.clock import FixedClock
from csms.rights import SYSTEM
from csms.station.information import Station
from csms.station.operational_management import ServicePackage, has_active_package, switch_package
from csms.station.operational_management.service import packages_of, switches_of
from csms.store import Store
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("S21")


async def switch(store: Store, station: Station, package: ServicePackage, *, is_on: bool) -> None:
    actor = replace(SYSTEM, name="Anna", organisation_id=station.organisation_id)
    async with store.writing(actor) as work:
        await switch_package(work, station, package, is_on=is_on)


async def test_any_package_makes_a_station_supported(store: Store) -> None:
    station, other = await make_station(store), await make_station(store)
    await switch(store, station, ServicePackage.CHARGEPOINT_OPERATION, is_on=True)
    async with store.reading() as work:
        assert await has_active_package(work, station.id)
        assert not await has_active_package(work, other.id)


async def test_switches_are_remembered_with_who_and_when(store: Store, clock: FixedClock) -> None:
    station = await make_station(store)
    await switch(store, station, ServicePackage.SUPPORT_360, is_on=True)
    on_at = clock()
    clock.advance(hours=1)
    await switch(store, station, ServicePackage.SUPPORT_360, is_on=True)
    off_at = clock.advance(hours=1)
    await switch(store, station, ServicePackage.SUPPORT_360, is_on=False)
    async with store.reading() as work:
        history = await switches_of(work, station)
        assert [(one.is_on, one.switched_at, one.switched_by) for one in history] == [
            (False, off_at, "Anna"),
            (True, on_at, "Anna"),
        ]
        assert not await has_active_package(work, station.id)
        assert await packages_of(work, station) == {}


async def test_a_package_of_another_organisation_is_not_seen(store: Store) -> None:
    station = await make_station(store)
    stranger = await make_organisation(store, "Strangers")
    await switch(store, station, ServicePackage.SUPPORT_360, is_on=True)
    async with store.reading(replace(SYSTEM, organisation_id=stranger.id)) as work:
        assert not await has_active_package(work, station.id)
