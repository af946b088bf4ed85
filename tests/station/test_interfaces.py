"""S18: a station is published only where its switch is on."""

import httpx
import pytest

from csms.clock import FixedClock
from csms.runtime import Runtime
from csms.station.interfaces.service import interfaces_of
from csms.station.operational_management import has_active_package
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("S18")
PATH = "/api/v1/stations/CP-1/interfaces"


async def test_every_switch_is_off_at_first(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1")
    shown = (await api.get(PATH)).json()
    switches = {one["interface"]: (one["is_available"], one["is_on"]) for one in shown["interfaces"]}
    assert switches == {
        "geojson": (True, False),
        "open_charge_map": (False, False),
        "google": (False, False),
        "ocpi": (False, False),
    }
    assert shown["warnings"] == []


async def test_a_switch_remembers_who_and_when_and_warns(
    api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    await make_station(store, identity="CP-1")
    shown = (await api.put(PATH, json={"geojson": True})).json()
    geojson = shown["interfaces"][0]
    assert geojson["is_on"] is True
    assert geojson["since"] == clock().isoformat().replace("+00:00", "Z")
    assert geojson["switched_by"]
    assert "coordinates" in {warning["place"] for warning in shown["warnings"]}
    clock.advance(hours=1)
    again = await api.put(PATH, json={"geojson": True, "ocpi": False})
    assert again.json()["interfaces"][0]["since"] == geojson["since"]
    off = (await api.put(PATH, json={"geojson": False})).json()
    assert (off["interfaces"][0]["is_on"], off["warnings"]) == (False, [])


@pytest.mark.parametrize("kind", ["open_charge_map", "google", "ocpi"])
async def test_an_interface_without_a_feed_cannot_be_switched_on(
    api: httpx.AsyncClient, store: Store, kind: str
) -> None:
    station = await make_station(store, identity="CP-1")
    refused = await api.put(PATH, json={"geojson": True, kind: True})
    assert refused.status_code == 409
    assert "feed" in refused.json()["detail"]
    async with store.reading() as work:
        assert await interfaces_of(work, station) == {}


@pytest.mark.feature("S21")
async def test_switches_and_packages_go_with_their_station(api: httpx.AsyncClient, runtime: Runtime) -> None:
    station = await make_station(runtime.store, identity="CP-1")
    await api.put(PATH, json={"geojson": True})
    management = PATH.replace("interfaces", "operational-management")
    switched = await api.put(f"{management}/packages/360.SUPPORT", json={"is_on": True})
    assert switched.json() == (await api.get(management)).json()
    assert [one["is_on"] for one in switched.json()["packages"]] == [True, False]
    assert len(switched.json()["history"]) == 1
    await api.delete("/api/v1/stations/CP-1")
    await runtime.outbox.deliver_due()
    async with runtime.store.reading() as work:
        assert await interfaces_of(work, station) == {}
        assert not await has_active_package(work, station.id)


@pytest.mark.robustness(42)
async def test_others_may_not(anonymous: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    await make_station(store, identity="CP-1")
    user = await api_as("user")
    superuser = await api_as("superuser")
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    management = PATH.replace("interfaces", "operational-management")
    package = f"{management}/packages/Chargepoint.OPERATION"
    for path, body in [(PATH, {"geojson": True}), (package, {"is_on": True})]:
        assert (await anonymous.put(path, json=body)).status_code == 401
        assert (await stranger.put(path, json=body)).status_code == 404
        assert (await user.put(path, json=body)).status_code == 403
    assert (await superuser.put(package, json={"is_on": True})).status_code == 403
    for path in (PATH, management):
        assert (await anonymous.get(path)).status_code == 401
        assert (await stranger.get(path)).status_code == 404
        assert (await user.get(path)).status_code == 200
