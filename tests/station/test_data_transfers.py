"""B6: vendors' own messages are kept as they came."""

import httpx
import pytest

from csms.store import Store
from tests.builders import connect, make_station


@pytest.mark.feature("B6")
@pytest.mark.robustness(25)
@pytest.mark.parametrize("data", ["text", '{"someKey":1,"HTTPPort":2}', None])
async def test_a_vendors_message_is_kept_and_shown(store: Store, api: httpx.AsyncClient, data: str | None) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    payload = {"vendorId": "com.example", "messageId": "M1"} | ({} if data is None else {"data": data})
    assert await calling.call("DataTransfer", **payload) == {"status": "UnknownVendorId"}
    (item,) = (await api.get(f"/api/v1/stations/{station.identity}/data-transfers")).json()["items"]
    assert (item["vendor_id"], item["message_id"], item["data"]) == ("com.example", "M1", data)
