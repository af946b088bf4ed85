from pathlib import Path
from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.v201 import settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, Bench201, bench201
from tests.simulators.certification import Authority
from tests.simulators.file_servers import ftp_files, http_files

pytestmark = pytest.mark.feature("F5")

IMAGE = b"\x7fIMAGE version=3.0.1\n" + bytes(range(256)) * 40


def order(location: str, **more: Any) -> dict[str, Any]:
    firmware = {"location": location, "retrieveDateTime": "2026-03-01T12:00:00Z", **more}
    return {"requestId": 8, "firmware": firmware}


def told(b: Bench201, action: str = "FirmwareStatusNotification") -> list[str]:
    assert {one.get("requestId") for one in b.csms.payloads(action)} <= {8}
    return [one["status"] for one in b.csms.payloads(action)]


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("kind", ["ec", "pss", "pkcs1"])
async def test_signed_firmware_is_fetched_checked_and_started(kind: str, version: Version) -> None:
    authority = Authority()
    certificate, signer = authority.firmware_signer(kind)
    with http_files() as files:
        files.files["/fw.bin"] = IMAGE
        async with bench201(versions=(version,)) as b:
            install = {"certificateType": "ManufacturerRootCertificate", "certificate": authority.pem}
            assert await b.csms.call("InstallCertificate", install) == ACCEPTED
            signed = {"signingCertificate": certificate, "signature": signer.sign(IMAGE)}
            assert await b.csms.call("UpdateFirmware", order(f"{files.url}/fw.bin", **signed)) == ACCEPTED
            await b.wait(120)
            assert told(b) == [
                "Downloading",
                "Downloaded",
                "SignatureVerified",
                "Installing",
                "InstallRebooting",
                "Installed",
            ]
            boot = b.csms.payloads("BootNotification")[-1]
            assert (boot["reason"], boot["chargingStation"]["firmwareVersion"]) == ("FirmwareUpdate", "3.0.1")
            assert b.csms.payloads("SecurityEventNotification")[-1]["type"] == "FirmwareUpdated"


async def test_firmware_with_a_wrong_signature_is_not_started() -> None:
    certificate, signer = Authority().firmware_signer()
    with http_files() as files:
        files.files["/fw.bin"] = IMAGE
        async with bench201() as b:
            signed = {"signingCertificate": certificate, "signature": signer.sign(IMAGE + b"!")}
            assert await b.csms.call("UpdateFirmware", order(f"{files.url}/fw.bin", **signed)) == ACCEPTED
            await b.wait(120)
            assert told(b) == ["Downloading", "Downloaded", "InvalidSignature"]
            assert b.csms.payloads("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSignature"


async def test_a_signing_certificate_of_nobody_we_know_is_refused() -> None:
    certificate, signer = Authority("Other").firmware_signer()
    async with bench201() as b:
        install = {"certificateType": "ManufacturerRootCertificate", "certificate": Authority().pem}
        assert await b.csms.call("InstallCertificate", install) == ACCEPTED
        signed = {"signingCertificate": certificate, "signature": signer.sign(IMAGE)}
        answer = await b.csms.call("UpdateFirmware", order("http://127.0.0.1:1/fw", **signed))
        assert answer["status"] == "InvalidCertificate"
        assert (await b.csms.call("UpdateFirmware", order("gopher://x/fw")))["status"] == "Rejected"


async def test_firmware_over_ftp_at_its_time_and_after_the_last_charge(tmp_path: Path) -> None:
    (tmp_path / "fw-4.5.6.bin").write_bytes(b"plain")
    async with ftp_files(tmp_path) as url, bench201() as b:
        await b.charge()
        later = {"retrieveDateTime": "2026-03-01T12:05:00Z", "installDateTime": "2026-03-01T12:10:00Z"}
        assert await b.csms.call("UpdateFirmware", order(f"{url}/fw-4.5.6.bin", **later)) == ACCEPTED
        await b.wait(290)
        assert told(b) == ["DownloadScheduled"]
        await b.wait(600)
        assert told(b)[-2:] == ["Downloaded", "InstallScheduled"]
        assert await b.station.charging.present_tag(1, "04AB")
        await b.wait(300)
        assert told(b)[-1] == "Installed"
        assert b.csms.payloads("BootNotification")[-1]["chargingStation"]["firmwareVersion"] == "4.5.6"


async def test_downloads_are_tried_again_and_fail_in_the_end() -> None:
    with http_files() as files:
        files.files["/fw.bin"] = b"CORRUPT image"
        files.failures = 1
        async with bench201() as b:
            again = {**order(f"{files.url}/fw.bin"), "retries": 2, "retryInterval": 30}
            assert await b.csms.call("UpdateFirmware", again) == ACCEPTED
            await b.wait(200)
            assert told(b) == ["Downloading", "Downloading", "Downloaded", "Installing", "InstallationFailed"]
            assert await b.csms.call("UpdateFirmware", order(f"{files.url}/none.bin")) == ACCEPTED
            await b.wait(10)
            assert told(b)[-2:] == ["Downloading", "DownloadFailed"]


async def test_a_new_order_takes_the_place_of_the_old_one() -> None:
    with http_files() as files:
        files.files["/fw.bin"] = IMAGE
        async with bench201() as b:
            late = order(f"{files.url}/fw.bin", retrieveDateTime="2026-03-02T12:00:00Z")
            assert await b.csms.call("UpdateFirmware", late) == ACCEPTED
            await settled(b.station)
            assert await b.csms.call("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"}) == ACCEPTED
            await b.csms.expect("FirmwareStatusNotification", 2)
            assert told(b) == ["DownloadScheduled"] * 2
            answer = await b.csms.call("UpdateFirmware", order(f"{files.url}/fw.bin"))
            assert answer == {"status": "AcceptedCanceled"}
            await b.wait(120)
            assert told(b)[-1] == "Installed"


def log_order(location: str, kind: str = "DiagnosticsLog", **more: Any) -> dict[str, Any]:
    return {"logType": kind, "requestId": 8, "log": {"remoteLocation": location, **more}}


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("takes_put", [True, False])
async def test_a_log_is_sent_over_http(takes_put: bool, version: Version) -> None:
    with http_files() as files:
        files.takes_put = takes_put
        async with bench201(versions=(version,)) as b:
            await b.charge()
            answer = await b.csms.call("GetLog", log_order(f"{files.url}/logs/"))
            assert answer["status"] == "Accepted"
            await settled(b.station)
            assert told(b, "LogStatusNotification") == ["Uploading", "Uploaded"]
            (path, body), *_ = files.uploads.items()
            assert path == (f"/logs/{answer['filename']}" if takes_put else "/logs/")
            assert b"the CSMS accepted the station" in body


async def test_a_security_log_over_ftp_holds_only_security_events(tmp_path: Path) -> None:
    async with ftp_files(tmp_path) as url, bench201() as b:
        answer = await b.csms.call("GetLog", log_order(f"{url}/", "SecurityLog"))
        await settled(b.station)
        assert told(b, "LogStatusNotification") == ["Uploading", "Uploaded"]
        lines = (tmp_path / answer["filename"]).read_text().splitlines()
        assert len(lines) == 2
        assert lines[1].endswith("security event StartupOfTheDevice boot: PowerUp")


async def test_a_log_of_another_time_is_empty() -> None:
    with http_files() as files:
        async with bench201() as b:
            past = {"oldestTimestamp": "2026-02-01T00:00:00Z", "latestTimestamp": "2026-02-02T00:00:00Z"}
            await b.csms.call("GetLog", log_order(f"{files.url}/log.txt", **past))
            await settled(b.station)
            assert files.uploads["/log.txt"] == b"# log of CS-1\n"


@pytest.mark.parametrize(
    ("location", "denies", "status"),
    [
        ("{url}/log", True, "PermissionDenied"),
        ("http://127.0.0.1:1/log", False, "UploadFailure"),
        ("tftp://127.0.0.1/log", False, "NotSupportedOperation"),
    ],
)
async def test_uploads_that_fail_say_why(location: str, denies: bool, status: str) -> None:
    with http_files() as files:
        files.denies = denies
        async with bench201() as b:
            await b.csms.call("GetLog", log_order(location.format(url=files.url)))
            await settled(b.station)
            assert told(b, "LogStatusNotification") == ["Uploading", status]
            assert await b.csms.call("TriggerMessage", {"requestedMessage": "LogStatusNotification"}) == ACCEPTED
            assert (await b.csms.expect("LogStatusNotification", 3)) == {"status": "Idle"}


async def test_a_second_log_calls_the_first_off() -> None:
    async with bench201() as b:
        again = {**log_order("http://127.0.0.1:1/log"), "retries": 5, "retryInterval": 600}
        assert (await b.csms.call("GetLog", again))["status"] == "Accepted"
        await settled(b.station)
        assert (await b.csms.call("GetLog", log_order("http://127.0.0.1:1/log")))["status"] == "AcceptedCanceled"
        await settled(b.station)
        assert told(b, "LogStatusNotification") == ["Uploading", "AcceptedCanceled", "Uploading", "UploadFailure"]
