"""S17, S24: the whole system and simulated stations that really upload logs and really fetch firmware, HTTP and FTP."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csms.config import Settings
from csms.ocpp.versions import Version
from simulators.clock import RunningClock
from simulators.v16.running import running_station as station_16
from simulators.v201.running import running_station as station_2
from tests.e2e.system import System, eventually, whole_system
from tests.signing import certificate_of, signature_of

pytestmark = [pytest.mark.slow, pytest.mark.feature("S17", "S24", "F5")]

SPEED = 60.0
KEY = ec.generate_private_key(ec.SECP256R1())
IDENTITY = "FILES-1"
IMAGE = b'{"version": "9.8.7"}' + b"\0" * 2_000_000
"""A simulated station runs the version that stands at an image's beginning."""


@pytest.fixture
async def system(settings: Settings) -> AsyncIterator[System]:
    """The system with its file servers; stations are told where these listen."""
    async with whole_system(settings.model_copy(update={"ftp_port": 0})) as started:
        runtime = started.started.runtime
        url = f"http://127.0.0.1:{started.started.api_port}"
        runtime.settings = runtime.settings.model_copy(update={"files_url": url})
        yield started


def simulated(system: System, version: Version) -> AbstractAsyncContextManager[Any]:
    clock = RunningClock(SPEED)
    if version is Version.V16:
        return station_16(system.url, IDENTITY, clock=clock)
    return station_2(system.url, IDENTITY, clock=clock, versions=[version])


async def online(system: System) -> None:
    async def is_online() -> bool:
        if not await system.items("stations"):
            return False
        head = await system.get(f"stations/{IDENTITY}")
        return bool(head["hardware"]["firmware_version"])

    await eventually(is_online)


async def reached(system: System, path: str, state: str) -> dict[str, Any]:
    async def has_reached() -> dict[str, Any] | None:
        found: dict[str, Any] = await system.get(path)
        assert found["state"] not in {"failed", "rejected", "timed_out"} - {state}, found
        return found if found["state"] == state else None

    return await eventually(has_reached)  # type: ignore[no-any-return]


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(("protocol", "is_signed"), [("http", True), ("ftp", False)])
async def test_a_simulated_station_uploads_its_log_and_installs_firmware(
    system: System, version: Version, protocol: str, *, is_signed: bool
) -> None:
    station = f"stations/{IDENTITY}"
    async with simulated(system, version):
        await online(system)
        kinds = ["diagnostics"] if version is Version.V16 else ["diagnostics", "security_log"]
        for kind in kinds:
            asked = await system.post(f"{station}/diagnosis", {"kind": kind, "protocol": protocol})
            done = await reached(system, f"{station}/diagnosis/{asked['id']}", "received")
            file = await system.api.get(f"/api/v1/{station}/diagnosis/{asked['id']}/file")
            assert file.status_code == httpx.codes.OK
            assert hashlib.sha256(file.content).hexdigest() == done["file"]["sha256"]
        signed = {"signature": signature_of(KEY, IMAGE), "signing_certificate": certificate_of(KEY)}
        image = await system.post("firmware", {"version": "9.8.7", **(signed if is_signed else {})})
        uploaded = await system.api.put(f"/api/v1/firmware/{image['id']}/file", content=IMAGE)
        assert uploaded.status_code == httpx.codes.OK, uploaded.text
        asked = await system.post(f"{station}/firmware-updates", {"firmware_id": image["id"], "protocol": protocol})
        assert asked["state"] in ("accepted", "downloading", "downloaded")
        done = await reached(system, f"{station}/firmware-updates/{asked['id']}", "verified")
        assert ("SignatureVerified" in {said["status"] for said in done["statuses"]}) is is_signed
        assert (done["booted_version"], done["fetched_bytes"]) == ("9.8.7", len(IMAGE))
        assert (await system.get(station))["hardware"]["firmware_version"] == "9.8.7"
