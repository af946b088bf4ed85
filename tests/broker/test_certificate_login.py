"""B10: a station gets its certificate over OCPP and logs in with it, from profile 2 to 3, until it is revoked."""

import asyncio
import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from csms.clock import FixedClock
from csms.config import Settings, UnknownStations
from csms.platform.certificate_authority.rules import key_text
from csms.station.certificates.service.signing import work_through
from csms.station.information import get_station
from csms.station.information.passwords import hashes_for
from tests.broker.conftest import DEADLINE_S, Bench, boot, call, eventually
from tests.broker.tls import OPERATOR, Authorities
from tests.builders import make_station
from tests.certificate_builders import csr_pem, ec_key

pytestmark = pytest.mark.feature("B10")
KEY = b"0123456789abcdef0123456789abcdef"
URL = "/api/v1/stations/CS-1"


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture
def broker_settings(settings: Settings, authorities: Authorities) -> Settings:
    return authorities.settings(settings)


def over_tls(bench: Bench, context: ssl.SSLContext, identity: str = "CS-1", **options: Any) -> Any:
    url = f"wss://127.0.0.1:{bench.broker.tls_port}/ocpp/{identity}"
    subprotocols: Any = ["ocpp1.6"]
    return connect(url, ssl=context, subprotocols=subprotocols, compression=None, **options)


async def certificate_over_ocpp(bench: Bench, authorities: Authorities, clock: FixedClock, pem: Path) -> None:
    """The station, logged in with its password, asks for a certificate and keeps it with its key in the file."""
    basic = "Basic " + base64.b64encode(b"CS-1:" + KEY).decode()
    async with over_tls(bench, authorities.client(), additional_headers={"Authorization": basic}) as client:
        await boot(client)
        key = ec_key()
        assert (await call(client, "SignCertificate", csr=csr_pem("CS-1", OPERATOR, key)))[2]["status"] == "Accepted"
        clock.advance(seconds=3)
        working = asyncio.create_task(work_through(bench.broker.runtime))
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        await client.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        await working
    await asyncio.to_thread(pem.write_text, frame[3]["certificateChain"] + key_text(key))


async def refused_rows(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get("/api/v1/refused-connections?cause=refused_certificate")).json()[
        "items"
    ]
    return [one for one in items if one["station_id"] == "CS-1"]


@pytest.mark.octt("TC_087_CSMS", "TC_A_07_CSMS", "TC_A_11_CSMS")
async def test_from_a_password_to_a_certificate_and_to_its_revocation(
    bench: Bench, api: httpx.AsyncClient, authorities: Authorities, clock: FixedClock, tmp_path: Path
) -> None:
    hashes = hashes_for(KEY, b"pepper for tests", is_generated=True)
    await make_station(bench.store, identity="CS-1", security_profile=2, password_hashes=hashes)
    await make_station(bench.store, identity="CS-2", security_profile=3)
    made = await api.post("/api/v1/certificate-authority", json={"days": 36_500})
    assert made.json()["operator_name"] == OPERATOR, "O is what the broker compares with"
    await api.patch("/api/v1/certificate-policy", json={"days": 3650})
    await bench.broker.reload_certificates()
    await certificate_over_ocpp(bench, authorities, clock, tmp_path / "station.pem")
    async with bench.store.writing() as work:
        (await get_station(work, "CS-1")).security_profile = 3
    context = authorities.client()
    context.load_cert_chain(tmp_path / "station.pem")
    with pytest.raises(InvalidStatus):
        async with over_tls(bench, context, "CS-2"):
            pass
    async with over_tls(bench, context) as client:
        assert (await boot(client))[2]["status"] == "Accepted"
        (shown,) = (await api.get(f"{URL}/certificates", params={"is_installed": True})).json()["items"]
        revoked = await api.post(f"{URL}/certificates/{shown['id']}/revoke", json={"reason": "stolen"})
        assert revoked.status_code == 200
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), DEADLINE_S)
    with pytest.raises(InvalidStatus) as refused:
        async with over_tls(bench, context):
            pass
    assert refused.value.response.body == b"this certificate is not accepted\n", "a thief need not know more"
    rows = await eventually(lambda: refused_rows(api))
    assert rows[0]["reason"].startswith("the certificate was revoked on ")
    assert rows[0]["reason"].endswith(": stolen")


async def test_an_operators_name_that_the_broker_would_refuse_is_not_taken(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    answer = await api.post("/api/v1/certificate-authority", json={"operator_name": "Somebody Else"})
    assert answer.status_code == 409
    assert OPERATOR in answer.json()["detail"]
