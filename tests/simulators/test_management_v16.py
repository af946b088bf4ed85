import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from simulators.v16 import Nameplate, Status, settled
from tests.simulators.certification import Authority
from tests.simulators.file_servers import ftp_files, http_files
from tests.simulators.scripted_csms import scripted_csms
from tests.simulators.station_bench import Bench, bench, car

pytestmark = pytest.mark.feature("F5")

ACCEPTED = {"status": "Accepted"}
REJECTED = {"status": "Rejected"}
IMAGE = b"\x7fIMAGE version: 1.9.0\n" + bytes(2_000)
NOW = "2026-03-01T12:00:00Z"


def told(b: Bench, action: str) -> list[str]:
    return [payload["status"] for payload in b.csms.payloads(action)]


# --- firmware, diagnostics, logs


async def test_firmware_is_fetched_and_started(tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(IMAGE)
    async with ftp_files(tmp_path) as url, bench() as b:
        update = {"location": f"{url}/image.bin", "retrieveDate": "2026-03-01T12:01:00Z"}
        assert await b.csms.call("UpdateFirmware", update) == {}
        await b.wait(50)
        assert told(b, "FirmwareStatusNotification") == []
        await b.wait(120)
        assert told(b, "FirmwareStatusNotification") == ["Downloading", "Downloaded", "Installing", "Installed"]
        assert [one["firmwareVersion"] for one in b.csms.payloads("BootNotification")] == ["1.4.2", "1.9.0"]


async def test_firmware_that_is_not_there_is_told() -> None:
    with http_files() as files:
        async with bench() as b:
            update = {"location": f"{files.url}/none", "retrieveDate": NOW, "retries": 1, "retryInterval": 10}
            assert await b.csms.call("UpdateFirmware", update) == {}
            await b.wait(30)
            assert told(b, "FirmwareStatusNotification") == ["Downloading", "Downloading", "DownloadFailed"]
            trigger = {"requestedMessage": "FirmwareStatusNotification"}
            assert await b.csms.call("TriggerMessage", trigger) == ACCEPTED
            assert await b.csms.expect("FirmwareStatusNotification", 4) == {"status": "Idle"}


async def test_diagnostics_are_sent_to_the_directory() -> None:
    with http_files() as files:
        async with bench() as b:
            answer = await b.csms.call("GetDiagnostics", {"location": f"{files.url}/logs/"})
            await settled(b.station)
            assert told(b, "DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
            assert b"the CSMS calls GetDiagnostics" in files.uploads[f"/logs/{answer['fileName']}"]
            past = {"stopTime": "2026-01-01T00:00:00Z"}
            assert await b.csms.call("GetDiagnostics", {"location": f"{files.url}/logs/", **past}) == {}
            files.denies = True
            await b.csms.call("GetDiagnostics", {"location": f"{files.url}/logs/"})
            await settled(b.station)
            assert told(b, "DiagnosticsStatusNotification")[-1] == "UploadFailed"


async def test_signed_firmware_is_checked() -> None:
    authority = Authority()
    certificate, signer = authority.firmware_signer("pss")
    with http_files() as files:
        files.files["/image"] = IMAGE
        async with bench() as b:
            root = {"certificateType": "ManufacturerRootCertificate", "certificate": authority.pem}
            assert await b.csms.call("InstallCertificate", root) == ACCEPTED
            firmware = {
                "location": f"{files.url}/image",
                "retrieveDateTime": NOW,
                "signingCertificate": certificate,
                "signature": signer.sign(IMAGE),
            }
            assert await b.csms.call("SignedUpdateFirmware", {"requestId": 3, "firmware": firmware}) == ACCEPTED
            await b.wait(120)
            statuses = told(b, "SignedFirmwareStatusNotification")
            assert statuses == [
                "Downloading",
                "Downloaded",
                "SignatureVerified",
                "Installing",
                "InstallRebooting",
                "Installed",
            ]
            wrong = {**firmware, "signature": signer.sign(b"other")}
            assert await b.csms.call("SignedUpdateFirmware", {"requestId": 3, "firmware": wrong}) == ACCEPTED
            await b.wait(60)
            assert told(b, "SignedFirmwareStatusNotification")[-1] == "InvalidSignature"
            stranger, _ = Authority("Stranger").firmware_signer()
            foreign = {**firmware, "signingCertificate": stranger}
            answer = await b.csms.call("SignedUpdateFirmware", {"requestId": 4, "firmware": foreign})
            assert answer == {"status": "InvalidCertificate"}
            kinds = [one["type"] for one in b.csms.payloads("SecurityEventNotification")]
            assert kinds[:2] == ["FirmwareUpdated", "InvalidFirmwareSignature"]


async def test_a_log_is_sent_and_can_be_asked_for() -> None:
    with http_files() as files:
        async with bench() as b:
            order = {"logType": "DiagnosticsLog", "requestId": 5, "log": {"remoteLocation": f"{files.url}/x/"}}
            answer = await b.csms.call("GetLog", order)
            await settled(b.station)
            assert b.csms.payloads("LogStatusNotification")[-1] == {"status": "Uploaded", "requestId": 5}
            assert f"/x/{answer['filename']}" in files.uploads
            for message, action in (
                ("LogStatusNotification", "LogStatusNotification"),
                ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
                ("Heartbeat", "Heartbeat"),
            ):
                before = len(b.csms.payloads(action))
                assert await b.csms.call("ExtendedTriggerMessage", {"requestedMessage": message}) == ACCEPTED
                await b.csms.expect(action, before + 1)


# --- the local list


async def test_the_local_list_lets_in_and_keeps_out_also_offline() -> None:
    async with bench(configuration={"LocalPreAuthorize": "true"}) as b:
        assert await b.csms.call("GetLocalListVersion", {}) == {"listVersion": 0}
        entries = [
            {"idTag": "GOOD", "idTagInfo": {"status": "Accepted"}},
            {"idTag": "BAD", "idTagInfo": {"status": "Blocked"}},
        ]
        full = {"listVersion": 3, "updateType": "Full", "localAuthorizationList": entries}
        assert await b.csms.call("SendLocalList", full) == ACCEPTED
        assert await b.csms.call("GetLocalListVersion", {}) == {"listVersion": 3}
        assert await b.station.authorize("good")
        assert b.csms.payloads("Authorize") == []
        b.station.go_offline(10_000)
        await b.csms.until(lambda: b.csms.closes)
        assert await b.station.authorize("GOOD")
        assert not await b.station.authorize("BAD")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"listVersion": 3, "updateType": "Differential"}, "VersionMismatch"),
        ({"listVersion": 0, "updateType": "Full"}, "Failed"),
        ({"listVersion": 4, "updateType": "Full", "localAuthorizationList": [{"idTag": "A"}]}, "Failed"),
        (
            {"listVersion": 4, "updateType": "Differential", "localAuthorizationList": [{"idTag": "A"}]},
            "Accepted",
        ),
    ],
)
async def test_local_lists_by_version(change: dict[str, Any], status: str) -> None:
    async with bench() as b:
        first = {"idTag": "A", "idTagInfo": {"status": "Accepted"}}
        full = {"listVersion": 3, "updateType": "Full", "localAuthorizationList": [first]}
        assert await b.csms.call("SendLocalList", full) == ACCEPTED
        assert await b.csms.call("SendLocalList", change) == {"status": status}


# --- charging profiles


def profile(limit: float, purpose: str = "TxDefaultProfile", number: int = 1, **more: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": "W",
        "startSchedule": NOW,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
        **more,
    }


async def test_a_profile_bends_the_charging_curve_at_its_times() -> None:
    async with bench() as b:
        stepped = profile(4_000.0)
        stepped["chargingSchedule"]["chargingSchedulePeriod"] += [
            {"startPeriod": 300, "limit": 0.0},
            {"startPeriod": 600, "limit": 8_000.0},
        ]
        payload = {"connectorId": 1, "csChargingProfiles": stepped}
        assert await b.csms.call("SetChargingProfile", payload) == ACCEPTED
        await b.charge()
        powers, statuses = [], []
        for _ in range(3):
            await b.wait(200)
            powers.append(b.station.charging.connectors[1].measure().power_w)
            statuses.append(b.status())
            await b.wait(100)
        assert powers == [4_000, 0, 8_000]
        assert statuses == [Status.CHARGING, Status.SUSPENDED_EVSE, Status.CHARGING]
        assert b.csms.statuses(1)[-2:] == ["SuspendedEVSE", "Charging"]
        composite = await b.csms.call("GetCompositeSchedule", {"connectorId": 1, "duration": 60})
        assert composite["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 8_000.0
        assert await b.csms.call("ClearChargingProfile", {"chargingProfilePurpose": "TxDefaultProfile"}) == ACCEPTED
        await b.wait(60)
        assert b.station.charging.connectors[1].measure().power_w == 11_000
        assert await b.csms.call("ClearChargingProfile", {"id": 1}) == {"status": "Unknown"}


async def test_a_transactions_profile_needs_it_and_ends_with_it() -> None:
    async with bench() as b:
        payload = {"connectorId": 1, "csChargingProfiles": profile(5_000.0, "TxProfile")}
        assert await b.csms.call("SetChargingProfile", payload) == REJECTED
        b.station.charging.plug_in(1, car())
        start = {"idTag": "APP", "connectorId": 1, "chargingProfile": profile(6_000.0, "TxProfile")}
        assert await b.csms.call("RemoteStartTransaction", start) == ACCEPTED
        await b.wait(60)
        assert b.station.charging.connectors[1].measure().power_w == 6_000
        assert await b.csms.call("SetChargingProfile", payload) == ACCEPTED
        await b.wait(60)
        assert b.station.charging.connectors[1].measure().power_w == 5_000
        b.station.charging.unplug(1)
        assert b.station.profiles.held == []


@pytest.mark.parametrize(
    ("number", "bad"),
    [
        (5, profile(1.0)),
        (1, profile(1.0, "ChargePointMaxProfile")),
        (1, profile(1.0, stackLevel=99)),
        (1, profile(1.0, chargingProfileKind="Recurring")),
    ],
)
async def test_profiles_that_cannot_hold_are_refused(number: int, bad: dict[str, Any]) -> None:
    async with bench() as b:
        assert await b.csms.call("SetChargingProfile", {"connectorId": number, "csChargingProfiles": bad}) == REJECTED


async def test_the_station_is_shared_by_who_charges() -> None:
    async with bench(nameplate=Nameplate(connectors=2)) as b:
        payload = {"connectorId": 0, "csChargingProfiles": profile(10_000.0, "ChargePointMaxProfile")}
        assert await b.csms.call("SetChargingProfile", payload) == ACCEPTED
        await b.charge()
        b.station.charging.plug_in(2, car())
        assert await b.station.charging.present_tag(2, "TAG-2")
        await b.wait(120)
        assert [one.measure().power_w for one in b.station.charging.connectors.values()] == [5_000, 5_000]


# --- reservations, security


async def test_a_reservation_ends_by_itself() -> None:
    async with bench() as b:
        reserve = {"connectorId": 1, "expiryDate": "2026-03-01T12:30:00Z", "idTag": "VIP", "reservationId": 5}
        assert await b.csms.call("ReserveNow", reserve) == ACCEPTED
        await b.wait(1_801)
        assert b.csms.statuses(1) == ["Available", "Reserved", "Available"]


async def test_certificates_are_installed_listed_and_deleted() -> None:
    authority = Authority()
    async with bench() as b:
        kind = {"certificateType": "CentralSystemRootCertificate"}
        assert await b.csms.call("GetInstalledCertificateIds", kind) == {"status": "NotFound"}
        assert await b.csms.call("InstallCertificate", {**kind, "certificate": authority.pem}) == ACCEPTED
        assert await b.csms.call("InstallCertificate", {**kind, "certificate": "rubbish"}) == REJECTED
        (hashed,) = (await b.csms.call("GetInstalledCertificateIds", kind))["certificateHashData"]
        assert await b.csms.call("DeleteCertificate", {"certificateHashData": hashed}) == ACCEPTED
        assert await b.csms.call("DeleteCertificate", {"certificateHashData": hashed}) == {"status": "NotFound"}


async def test_the_security_profile_is_raised_step_by_step_and_never_lowered() -> None:
    site, own = trustme.CA(), Authority()
    plain_tls, strict_tls = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    for context in (plain_tls, strict_tls):
        site.issue_cert("127.0.0.1").configure_cert(context)
    strict_tls.verify_mode = ssl.CERT_REQUIRED
    strict_tls.load_verify_locations(cadata=own.pem)
    async with (
        scripted_csms(tls=plain_tls) as second,
        scripted_csms(tls=strict_tls) as third,
        bench(password=b"sixteen characters", profile_urls={2: second.url, 3: third.url}) as b,
    ):
        assert await b.csms.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}) == REJECTED
        for pem in (site.cert_pem.bytes().decode(), own.pem):
            root = {"certificateType": "CentralSystemRootCertificate", "certificate": pem}
            assert await b.csms.call("InstallCertificate", root) == ACCEPTED
        assert await b.csms.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(10)
        await second.until(lambda: second.sockets)
        await settled(b.station)
        assert second.authorizations[0] is not None
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        assert await second.call("ExtendedTriggerMessage", trigger) == ACCEPTED
        asked = await second.expect("SignCertificate")
        assert x509.load_pem_x509_csr(asked["csr"].encode()).is_signature_valid
        wrong = {"certificateChain": Authority("Stranger").issue(asked["csr"])}
        assert await second.call("CertificateSigned", wrong) == REJECTED
        assert await second.call("CertificateSigned", {"certificateChain": own.issue(asked["csr"])}) == ACCEPTED
        assert await second.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "1"}) == REJECTED
        assert await second.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "3"}) == ACCEPTED
        await second.until(lambda: second.closes)
        await b.wait(10)
        await third.until(lambda: third.sockets)
        assert third.authorizations == [None]
        assert await third.call("ClearCache", {}) == ACCEPTED
