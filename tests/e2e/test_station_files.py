"""Simulated stations and the real system: files that really move, certificates that really are signed, passwords."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from csms.config import Settings
from csms.ocpp.versions import Version
from simulators import v16, v201
from simulators.certificates import STATION
from simulators.clock import RunningClock
from simulators.counters import Counters
from tests.e2e.system import System, eventually, quiet_port, until, whole_system

pytestmark = [pytest.mark.slow, pytest.mark.feature("F5")]

VERSIONS = [Version.V16, Version.V201, Version.V21]
IMAGE = b"image of the firmware\nversion=9.8.7\n" + bytes(range(256)) * 2_000
PASSWORD = "First-Password-17"
SPEED = 20.0


@pytest.fixture
async def system(settings: Settings) -> AsyncIterator[System]:
    """The whole system with a file server over HTTP and FTP that stations can reach."""
    api_port, ftp_port = quiet_port(), quiet_port()
    own = {"api_port": api_port, "files_url": f"http://127.0.0.1:{api_port}", "ftp_port": ftp_port}
    async with whole_system(settings.model_copy(update=own)) as started:
        yield started


@asynccontextmanager
async def a_station(
    system: System, version: Version, password: str | None = None
) -> AsyncIterator[v16.Station | v201.Station]:
    """A station that is online; it lives fast."""
    options: dict[str, Any] = {
        "clock": RunningClock(SPEED),
        "observer": Counters(),
        "password": None if password is None else password.encode(),
    }
    opened = (
        v16.running_station(system.url, "SIM-1", **options)
        if version is Version.V16
        else v201.running_station(system.url, "SIM-1", versions=(version,), **options)
    )
    async with opened as station:
        await until(lambda: station.is_online and not station.is_busy)
        yield station


async def in_state(system: System, path: str, state: str) -> dict[str, Any]:
    """The resource once it has that state."""

    async def look() -> Any:
        shown = await system.get(path)
        return shown if shown["state"] == state else None

    found: dict[str, Any] = await eventually(look)
    return found


@pytest.mark.parametrize("protocol", ["http", "ftp"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_firmware_goes_to_the_station_and_its_log_comes_back(
    system: System, version: Version, protocol: str
) -> None:
    image = await system.post("firmware", {"version": "9.8.7"})
    put = await system.api.put(f"/api/v1/firmware/{image['id']}/file", content=IMAGE, params={"name": "image.bin"})
    assert put.is_success, put.text
    async with a_station(system, version) as station:
        wanted = {"firmware_id": image["id"], "protocol": protocol, "is_signed": False}
        update = await system.post("stations/SIM-1/firmware-updates", wanted)
        await until(lambda: station.firmware_version == "9.8.7" and station.is_online)
        await in_state(system, f"stations/SIM-1/firmware-updates/{update['id']}", "verified")
        diagnosis = await system.post("stations/SIM-1/diagnosis", {"protocol": protocol})
        await in_state(system, f"stations/SIM-1/diagnosis/{diagnosis['id']}", "received")
        file = await system.api.get(f"/api/v1/stations/SIM-1/diagnosis/{diagnosis['id']}/file")
        assert b"firmware 9.8.7 is installed" in file.content


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_password_is_changed_and_the_station_comes_back_with_it(system: System, version: Version) -> None:
    registered = await system.post("stations", {"station_id": "SIM-1", "security_profile": 1})
    assert registered["password"]
    put = await system.api.put("/api/v1/stations/SIM-1/password", json={"password": PASSWORD})
    assert put.is_success, put.text
    async with a_station(system, version, PASSWORD) as station:
        await system.post("stations/SIM-1/password/change", {})
        await until(lambda: station.endpoint.password != PASSWORD.encode())

        async def is_accepted() -> bool:
            rows = await system.items("stations/SIM-1/password/changes")
            return bool(rows) and rows[0]["state"] == "accepted"

        await eventually(is_accepted)
        assert isinstance(station.observer, Counters)
        counters = station.observer
        await until(lambda: counters.connects == 2 and station.is_online)
        assert counters.connect_failures == {}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_is_signed_by_the_systems_own_authority(system: System, version: Version) -> None:
    authority = await system.post("certificate-authority", {})
    await system.api.patch("/api/v1/certificate-policy", json={"signing": "always"})
    async with a_station(system, version) as station:
        # The operator's name belongs into the request (2.0.1, A02.FR.05).
        if isinstance(station, v16.Station):
            station.configuration.change("CpoName", authority["operator_name"])
        else:
            station.model.change("SecurityCtrlr.OrganizationName", authority["operator_name"])
        await system.post("stations/SIM-1/certificates/renew", {})

        async def is_installed() -> bool:
            rows = await system.items("stations/SIM-1/certificate-requests")
            return bool(rows) and rows[0]["state"] == "installed"

        await eventually(is_installed)
        (leaf, *_) = station.certificates.chains[STATION].certificates
        assert "SIM-1" in leaf.subject.rfc4514_string()
