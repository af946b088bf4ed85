"""B6: vendors' own messages are kept as they came."""

from typing import Any

import httpx
import pytest

from csms.ocpp.versions import VERSIONS_2, Version
from csms.store import Store
from tests.builders import connect, make_station


@pytest.mark.feature("B6")
@pytest.mark.robustness(25)
@pytest.mark.ocpp("1.6 DataTransfer")
@pytest.mark.parametrize("data", ["text", '{"someKey":1,"HTTPPort":2}', None])
@pytest.mark.octt("TC_064_CSMS")
async def test_a_vendors_message_is_kept_and_shown(store: Store, api: httpx.AsyncClient, data: str | None) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    payload = {"vendorId": "com.example", "messageId": "M1"} | ({} if data is None else {"data": data})
    assert await calling.call("DataTransfer", **payload) == {"status": "UnknownVendorId"}
    (item,) = (await api.get(f"/api/v1/stations/{station.identity}/data-transfers")).json()["items"]
    assert (item["vendor_id"], item["message_id"], item["data"]) == ("com.example", "M1", data)


@pytest.mark.feature("B6")
@pytest.mark.robustness(25)
@pytest.mark.ocpp("2.x DataTransfer")
@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.parametrize(
    "data", ["text", "5", 5, 0, False, [], 21.4, {"someKey": [None, {"HTTPPort": "2"}]}, '{"a":1}'], ids=repr
)
@pytest.mark.octt("TC_P_02_CSMS")
async def test_any_json_comes_back_as_it_was(store: Store, api: httpx.AsyncClient, data: Any, version: Version) -> None:
    station = await make_station(store)
    calling = await connect(store, station, version)
    assert (await calling.call("DataTransfer", vendorId="com.example", data=data))["status"] == "UnknownVendorId"
    (item,) = (await api.get(f"/api/v1/stations/{station.identity}/data-transfers")).json()["items"]
    assert (item["message_id"], item["data"], type(item["data"])) == (None, data, type(data))
