"""S17: a log, the whole way: asked for over HTTP, sent over the station's socket, uploaded, followed, downloaded."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from tests.broker.conftest import DEADLINE_S, Bench, boot, call, eventually
from tests.broker.transferring import file_servers, ftp_store, nobody_kept, order, start

pytestmark = [pytest.mark.feature("S17")]

LOG = b"the fan stopped\n" * 5000
URL = "/api/v1/stations/CS-1/diagnosis"


@pytest.fixture
async def files(app: FastAPI, bench: Bench, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """The file servers, and the HTTP client of a station."""
    async with file_servers(app, runtime), httpx.AsyncClient() as client:
        yield client


@pytest.mark.robustness(48)
@pytest.mark.ocpp("1.6 GetDiagnostics", "1.6 DiagnosticsStatusNotification")
@pytest.mark.octt("TC_045_1_CSMS")
async def test_diagnostics_of_a_1_6_station(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime
) -> None:
    async with bench.station() as client:
        await boot(client)
        asking = asyncio.create_task(api.post(URL, json={"retries": 2, "period_start": "2026-01-01T00:00:00Z"}))
        action, payload = await order(client, {"fileName": "diag.zip"})
        asked = (await asking).json()
        assert (action, payload["retries"], payload["startTime"]) == ("GetDiagnostics", 2, "2026-01-01T00:00:00.000Z")
        assert (asked["state"], asked["file_name"], asked["file"]) == ("accepted", "diag.zip", None)
        await call(client, "DiagnosticsStatusNotification", status="Uploading")
        sent = await files.put(f"{payload['location']}diag.zip", content=LOG)
        assert sent.status_code == 201
        await call(client, "DiagnosticsStatusNotification", status="Uploaded")
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["file"]["sha256"]) == ("received", hashlib.sha256(LOG).hexdigest())
        assert [(said["status"], said["count"]) for said in one["statuses"]] == [("Uploading", 1), ("Uploaded", 1)]
        file = await api.get(f"{URL}/{asked['id']}/file")
        assert file.content == LOG
        assert file.headers["content-disposition"] == 'attachment; filename="CS-1-diag.zip"'
        token = payload["location"].rstrip("/").rpartition("csmsf_")[2]
        await nobody_kept(token, runtime)
        assert (await files.put(payload["location"], content=b"again")).status_code == 409
        assert (await api.delete(f"{URL}/{asked['id']}")).status_code == 204
        assert [path for path, _size, _at in runtime.files._files()] == []


@pytest.mark.robustness(48)
@pytest.mark.ocpp("1.6 GetLog", "1.6 LogStatusNotification", "2.x GetLog", "2.x LogStatusNotification")
@pytest.mark.octt("TC_079_CSMS", "TC_N_25_CSMS", "TC_N_35_CSMS")
@pytest.mark.parametrize("version", [Version.V16, *VERSIONS_2])
@pytest.mark.parametrize(("kind", "log_type"), [("security_log", "SecurityLog"), ("diagnostics_log", "DiagnosticsLog")])
async def test_a_log(
    api: httpx.AsyncClient,
    bench: Bench,
    files: httpx.AsyncClient,
    runtime: Runtime,
    *,
    version: Version,
    kind: str,
    log_type: str,
) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        asking = asyncio.create_task(api.post(URL, json={"kind": kind}))
        action, payload = await order(client, {"status": "Accepted", "filename": "security.log"})
        asked = (await asking).json()
        assert (action, payload["logType"]) == ("GetLog", log_type)
        assert asked["request_id"] == payload["requestId"]
        about = {"requestId": payload["requestId"]}
        await call(client, "LogStatusNotification", status="Uploading", **about)
        location = payload["log"]["remoteLocation"]
        assert (await files.post(location, files={"file": ("s.log", LOG)})).status_code == 200
        await call(client, "LogStatusNotification", status="Uploaded", **about)
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["ended_at"] is None, one["last_status"]) == ("received", False, "Uploaded")
        await nobody_kept(location.rstrip("/").rpartition("csmsf_")[2], runtime)


@pytest.mark.ocpp("2.x GetLog")
async def test_the_file_counts_even_when_the_station_never_says_so(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime
) -> None:
    async with bench.station(subprotocols=["ocpp2.0.1"]) as client:
        await start(client, Version.V201)
        asking = asyncio.create_task(api.post(URL, json={}))
        _, payload = await order(client, {"status": "Accepted"})
        asked = (await asking).json()
        await files.put(payload["log"]["remoteLocation"], content=LOG)
        assert (await api.get(f"{URL}/{asked['id']}")).json()["state"] == "received"
        await runtime.outbox.deliver_due()
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["ended_at"] is None) == ("received", False)


@pytest.mark.ocpp("1.6 GetDiagnostics")
async def test_a_callerror_ends_the_request_and_its_url(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient
) -> None:
    async with bench.station() as client:
        await boot(client)
        asking = asyncio.create_task(api.post(URL, json={}))
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        await client.send(json.dumps([4, frame[1], "NotSupported", f"no {frame[3]['location']}", {}]))
        asked = (await asking).json()
        assert asked["state"] == "failed"
        assert asked["reason"].startswith("the station refused: NotSupported no http://127.0.0.1")
        assert "csmsf_" not in asked["reason"]
        assert (await files.put(frame[3]["location"], content=LOG)).status_code == 409


@pytest.mark.ocpp("1.6 GetDiagnostics")
async def test_no_answer_is_no_reason_to_refuse_the_file(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime
) -> None:
    runtime.settings = runtime.settings.model_copy(update={"call_timeout_s": 0.2})
    async with bench.station() as client:
        await boot(client)
        asked = (await api.post(URL, json={})).json()
        assert (asked["state"], "no answer" in asked["reason"]) == ("requested", True)
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        assert (await files.put(frame[3]["location"], content=LOG)).status_code == 201

        async def received() -> bool:
            return bool((await api.get(f"{URL}/{asked['id']}")).json()["state"] == "received")

        await eventually(received)


@pytest.mark.robustness(48)
@pytest.mark.ocpp("1.6 GetDiagnostics", "2.x GetLog")
@pytest.mark.parametrize("version", list(Version))
async def test_a_station_that_speaks_only_ftp(
    api: httpx.AsyncClient, bench: Bench, files: httpx.AsyncClient, runtime: Runtime, version: Version
) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await start(client, version)
        await api.put("/api/v1/stations/CS-1/file-transfer-settings", json={"protocol": "ftp"})
        asking = asyncio.create_task(api.post(URL, json={}))
        answer = {"fileName": "log.gz"} if version is Version.V16 else {"status": "Accepted"}
        _, payload = await order(client, answer)
        asked = (await asking).json()
        location = payload["location"] if version is Version.V16 else payload["log"]["remoteLocation"]
        assert location.startswith("ftp://s")
        await ftp_store(location, "log.gz", LOG)
        one = (await api.get(f"{URL}/{asked['id']}")).json()
        assert (one["state"], one["file"]["name"], one["location"]) == (
            "received",
            "log.gz",
            f"ftp://127.0.0.1:{runtime.settings.ftp_port}",
        )
        await nobody_kept(location.partition("@")[0].rpartition(":")[2], runtime)
