"""B10: the whole way to a certificate, over the station's socket: trigger, request, signature, installation."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from cryptography import x509
from websockets.asyncio.client import ClientConnection

from csms.clock import FixedClock
from csms.ocpp.versions import Version
from csms.station.certificates.service.signing import work_through
from csms.station.information import get_station
from tests.broker.conftest import DEADLINE_S, Bench, boot, call, eventually
from tests.certificate_builders import csr_pem, ec_key

pytestmark = [pytest.mark.feature("B10", "B2", "B3"), pytest.mark.parametrize("version", list(Version))]
URL = "/api/v1/stations/CS-1"


async def start(client: ClientConnection, version: Version) -> None:
    if version is Version.V16:
        await boot(client)
    else:
        station = {"vendorName": "V", "model": "M", "serialNumber": "SN-1"}
        await call(client, "BootNotification", chargingStation=station, reason="PowerUp")


async def order(client: ClientConnection, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The next call of ours that the station gets; it is answered so."""
    frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
    assert frame[0] == 2
    await client.send(json.dumps([3, frame[1], answer]))
    return frame[2], frame[3]


@pytest.mark.ocpp(
    "1.6 SignCertificate",
    "2.x SignCertificate",
    "1.6 CertificateSigned",
    "2.x CertificateSigned",
    "1.6 ExtendedTriggerMessage",
    "2.x TriggerMessage",
)
@pytest.mark.octt("TC_074_CSMS", "TC_A_11_CSMS")
async def test_a_triggered_station_gets_its_certificate(
    bench: Bench, api: httpx.AsyncClient, clock: FixedClock, version: Version
) -> None:
    assert (await api.post("/api/v1/certificate-authority", json={"operator_name": "Fjord"})).status_code == 201
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        await _trust(bench)
        asked = asyncio.create_task(api.post(f"{URL}/certificates/renew"))
        action, payload = await order(client, {"status": "Accepted"})
        assert action in ("ExtendedTriggerMessage", "TriggerMessage")
        assert payload["requestedMessage"].startswith("SignCharg")
        assert (await asked).json()["status"] == "Accepted"
        key = ec_key()
        answer = await call(client, "SignCertificate", csr=csr_pem("CS-1", "Fjord", key))
        assert answer[2] == {"status": "Accepted"}
        clock.advance(seconds=3)
        working = asyncio.create_task(work_through(bench.broker.runtime))
        action, payload = await order(client, {"status": "Accepted"})
        await working
    assert action == "CertificateSigned"
    assert x509.load_pem_x509_certificate(payload["certificateChain"].encode()).public_key() == key.public_key()
    (request,) = (await api.get(f"{URL}/certificate-requests")).json()["items"]
    assert (request["state"], request["attempts"]) == ("installed", 1)
    (certificate,) = (await api.get(f"{URL}/certificates", params={"is_installed": True})).json()["items"]
    assert (certificate["id"], certificate["subject"]) == (request["certificate_id"], "O=Fjord,CN=CS-1")
    words = [row["text"] for row in (await api.get(f"{URL}/logs")).json()["items"]]
    assert any("asked for a new certificate; it will get one" in text for text in words)


async def _trust(bench: Bench) -> None:
    """As if the station logged in with a password."""
    async with bench.store.writing() as work:
        (await get_station(work, "CS-1")).security_profile = 1


async def test_a_certificate_that_was_not_delivered_comes_after_the_reconnect(
    bench: Bench, api: httpx.AsyncClient, clock: FixedClock, version: Version
) -> None:
    runtime = bench.broker.runtime
    await api.post("/api/v1/certificate-authority", json={})
    await api.patch("/api/v1/certificate-policy", json={"signing": "always"})
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        await call(client, "SignCertificate", csr=csr_pem("CS-1"))
    await bench.closed()
    clock.advance(seconds=3)
    await work_through(runtime)
    (request,) = (await api.get(f"{URL}/certificate-requests")).json()["items"]
    assert (request["state"], request["attempts"]) == ("signed", 0)
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        await runtime.outbox.deliver_due()
        working = asyncio.create_task(work_through(runtime))
        action, _payload = await order(client, {"status": "Accepted"})
        await working
        assert action == "CertificateSigned"

    async def is_installed() -> bool:
        (shown,) = (await api.get(f"{URL}/certificate-requests")).json()["items"]
        return bool(shown["state"] == "installed")

    await eventually(is_installed)
