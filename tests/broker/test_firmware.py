"""S24: an update, the whole way: image and signature, the order over the socket, the download, the new boot."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.firmware import rules
from tests.broker.conftest import Bench, call
from tests.broker.transferring import file_servers, ftp_fetch, nobody_kept, order, start
from tests.signing import certificate_of, signature_of

pytestmark = [pytest.mark.feature("S24")]

IMAGE = b"the new firmware" * 50_000
KEY = ec.generate_private_key(ec.SECP256R1())
URL = "/api/v1/stations/CS-1/firmware-updates"


@pytest.fixture
async def files(app: FastAPI, bench: Bench, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """The file servers, and the HTTP client of a station."""
    async with file_servers(app, runtime), httpx.AsyncClient() as client:
        yield client


async def add_image(api: httpx.AsyncClient, *, is_signed: bool = False) -> dict[str, Any]:
    signed = {"signature": signature_of(KEY, IMAGE), "signing_certificate": certificate_of(KEY)} if is_signed else {}
    made = await api.post("/api/v1/firmware", json={"version": "2.1.0", "vendor": "Acme", "model": "One", **signed})
    assert made.status_code == 201, made.text
    image = await api.put(f"/api/v1/firmware/{made.json()['id']}/file", content=IMAGE, params={"name": "new fw.bin"})
    assert image.status_code == 200, image.text
    return image.json()  # type: ignore[no-any-return]


@pytest.mark.robustness(48)
@pytest.mark.ocpp("1.6 UpdateFirmware", "1.6 FirmwareStatusNotification", "1.6 BootNotification")
@pytest.mark.octt("TC_044_1_CSMS")
async def test_an_update_of_a_1_6_station(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime
) -> None:
    image = await add_image(api)
    async with bench.station() as client:
        await start(client, Version.V16)
        body = {"firmware_id": image["id"], "retries": 3, "retrieve_at": "2026-01-01T02:00:00Z"}
        asking = asyncio.create_task(api.post(URL, json=body))
        action, payload = await order(client, {})
        asked = (await asking).json()
        assert (action, payload["retrieveDate"], payload["retries"]) == (
            "UpdateFirmware",
            "2026-01-01T02:00:00.000Z",
            3,
        )
        assert (asked["state"], asked["previous_version"], asked["firmware_id"]) == ("accepted", "2.0.0", image["id"])
        assert payload["location"].endswith("/new_fw.bin")
        await call(client, "FirmwareStatusNotification", status="Downloading")
        half = await files.get(payload["location"], headers={"Range": "bytes=0-399999"})
        rest = await files.get(payload["location"], headers={"Range": "bytes=400000-"})
        assert half.content + rest.content == IMAGE
        for status in ("Downloaded", "Installing", "Installed"):
            await call(client, "FirmwareStatusNotification", status=status)
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["ended_at"]) == ("installed", None)
        assert [said["status"] for said in one["statuses"]] == ["Downloading", "Downloaded", "Installing", "Installed"]
    await bench.closed()
    async with bench.station() as client:
        await start(client, Version.V16, "2.1.0")
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["booted_version"], one["ended_at"] is None) == ("verified", "2.1.0", False)
        assert one["fetched_bytes"] == len(IMAGE)
        assert (await files.get(payload["location"])).status_code == 409
        await nobody_kept(payload["location"].rpartition("/")[0].rpartition("csmsf_")[2], runtime)


@pytest.mark.robustness(48)
@pytest.mark.ocpp(
    "1.6 SignedUpdateFirmware",
    "1.6 SignedFirmwareStatusNotification",
    "2.x UpdateFirmware",
    "2.x FirmwareStatusNotification",
    "2.x BootNotification",
)
@pytest.mark.octt("TC_080_CSMS", "TC_L_01_CSMS")
@pytest.mark.parametrize("version", list(Version))
async def test_a_signed_update(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime, version: Version
) -> None:
    image = await add_image(api, is_signed=True)
    told = "SignedFirmwareStatusNotification" if version is Version.V16 else "FirmwareStatusNotification"
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        body = {"firmware_id": image["id"], "install_at": "2026-01-01T03:00:00Z", "protocol": "ftp"}
        asking = asyncio.create_task(api.post(URL, json=body))
        action, payload = await order(client, {"status": "Accepted"})
        asked = (await asking).json()
        firmware = payload["firmware"]
        assert action == ("SignedUpdateFirmware" if version is Version.V16 else "UpdateFirmware")
        assert (asked["request_id"], asked["is_signed"]) == (payload["requestId"], True)
        assert firmware["installDateTime"] == "2026-01-01T03:00:00.000Z"
        about = {"requestId": payload["requestId"]}
        await call(client, told, status="Downloading", **about)
        image_there = await ftp_fetch(firmware["location"])
        certificate = rules.check_certificate(firmware["signingCertificate"], runtime.clock())
        digest = hashlib.sha256(image_there).hexdigest()
        rules.check_signature(certificate, base64.b64decode(firmware["signature"]), digest)  # as the station does
        for status in ("Downloaded", "SignatureVerified", "Installing", "InstallRebooting"):
            await call(client, told, status=status, **about)
        await nobody_kept(firmware["location"].partition("@")[0].rpartition(":")[2], runtime)
    await bench.closed()
    async with bench.station(subprotocols=[version]) as client:  # it tells of the installation after its boot
        await start(client, version, "2.1.0")
        await call(client, told, status="Installed", **about)
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["booted_version"], one["last_status"]) == ("verified", "2.1.0", "Installed")
        listed = (await api.get(f"/api/v1/firmware/{image['id']}/updates")).json()["items"]
        assert [(row["station_id"], row["state"]) for row in listed] == [("CS-1", "verified")]


@pytest.mark.ocpp("2.x UpdateFirmware", "1.6 SignedUpdateFirmware")
@pytest.mark.octt("TC_081_CSMS", "TC_L_06_CSMS")
@pytest.mark.parametrize("version", list(Version))
async def test_a_wrong_signature_ends_the_update_and_its_url(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, version: Version
) -> None:
    image = await add_image(api, is_signed=True)
    told = "SignedFirmwareStatusNotification" if version is Version.V16 else "FirmwareStatusNotification"
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        asking = asyncio.create_task(api.post(URL, json={"firmware_id": image["id"]}))
        _, payload = await order(client, {"status": "Accepted"})
        asked = (await asking).json()
        assert (await files.get(payload["firmware"]["location"])).content == IMAGE
        await call(client, told, status="InvalidSignature", requestId=payload["requestId"])
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], "signature wrong" in one["reason"]) == ("failed", True)
        assert (await files.get(payload["firmware"]["location"])).status_code == 409


@pytest.mark.ocpp("2.x UpdateFirmware", "2.x FirmwareStatusNotification", "2.x TransactionEvent")
@pytest.mark.octt("TC_L_13_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_an_update_waits_for_the_end_of_a_charge(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, version: Version
) -> None:
    image = await add_image(api, is_signed=True)
    at = "2026-01-01T00:00:00Z"
    event = {"timestamp": at, "transactionInfo": {"transactionId": "T-1"}, "evse": {"id": 1, "connectorId": 1}}
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        plugged = {"eventType": "Started", "triggerReason": "CablePluggedIn", "seqNo": 0}
        assert (await call(client, "TransactionEvent", **plugged, **event))[0] == 3
        asking = asyncio.create_task(api.post(URL, json={"firmware_id": image["id"]}))
        _, payload = await order(client, {"status": "Accepted"})
        asked = (await asking).json()
        about = {"requestId": payload["requestId"]}
        closed = {"timestamp": at, "evseId": 2, "connectorId": 1, "connectorStatus": "Unavailable"}
        assert (await call(client, "StatusNotification", **closed))[2] == {}
        await call(client, "FirmwareStatusNotification", status="DownloadScheduled", **about)
        assert (await api.get(f"{URL}/{asked['id']}")).json()["state"] == "accepted"
        left = {"eventType": "Ended", "triggerReason": "EVDeparted", "seqNo": 1}
        assert (await call(client, "TransactionEvent", **left, **event))[0] == 3
        for status in ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"):
            await call(client, "FirmwareStatusNotification", status=status, **about)
        assert (await api.get(f"{URL}/{asked['id']}")).json()["state"] == "installed"
        (charge,) = (await api.get("/api/v1/charge-logs")).json()["items"]
        assert charge["state"] == "finished"


@pytest.mark.ocpp("2.x PublishFirmware", "2.x PublishFirmwareStatusNotification", "2.x UnpublishFirmware")
@pytest.mark.octt("TC_L_17_CSMS", "TC_L_21_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_local_controller_publishes_an_image(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, version: Version
) -> None:
    image = await add_image(api)
    url = "/api/v1/stations/CS-1/firmware-publications"
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        asking = asyncio.create_task(api.post(url, json={"firmware_id": image["id"]}))
        action, payload = await order(client, {"status": "Accepted"})
        asked = (await asking).json()
        fetched = (await files.get(payload["location"])).content
        assert (action, payload["checksum"]) == (
            "PublishFirmware",
            hashlib.md5(fetched, usedforsecurity=False).hexdigest(),
        )
        about = {"requestId": payload["requestId"]}
        for status in ("Downloading", "Downloaded", "ChecksumVerified"):
            await call(client, "PublishFirmwareStatusNotification", status=status, **about)
        urls = ["https://controller.local/fw.bin"]
        await call(client, "PublishFirmwareStatusNotification", status="Published", location=urls, **about)
        one = (await api.get(f"{url}/{asked['id']}")).json()
        assert (one["state"], one["published_urls"], one["version"]) == ("published", urls, "2.1.0")
        asking = asyncio.create_task(api.post(f"{url}/{asked['id']}/unpublish"))
        assert await order(client, {"status": "Unpublished"}) == ("UnpublishFirmware", {"checksum": image["md5"]})
        assert (await asking).json()["state"] == "unpublished"
