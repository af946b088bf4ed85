"""S24: images with their signatures over HTTP, updates and publications followed; the whole way is in tests/broker."""

import hashlib
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.files import StoredFile
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.firmware import FirmwarePublication, FirmwareUpdate, PublicationState, UpdateState
from csms.station.firmware.jobs import close_overdue
from csms.station.firmware.model import FirmwareStatus
from csms.station.information import Station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station
from tests.signing import certificate_of, signature_of

pytestmark = [pytest.mark.feature("S24")]

IMAGE = b"firmware of the station " * 60_000
"""More than a JSON body may have."""
KEY = ec.generate_private_key(ec.SECP256R1())
FOREIGN = "https://files.example.com/firmware/2.1.0.bin"
URL = "/api/v1/firmware"


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store, protocol=Version.V16.value, vendor="Acme", model="One", firmware_version="2.0.0")


async def add(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(URL, json={"version": "2.1.0", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def add_whole(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    image = await add(api, **fields)
    answer = await api.put(f"{URL}/{image['id']}/file", content=IMAGE, params={"name": "image 2.1.bin"})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def signed(image: bytes = IMAGE) -> dict[str, str]:
    return {"signature": signature_of(KEY, image), "signing_certificate": certificate_of(KEY)}


async def updates(store: Store) -> list[FirmwareUpdate]:
    async with store.reading() as work:
        return list((await work.session.exec(select(FirmwareUpdate).order_by(col(FirmwareUpdate.id)))).all())


async def on_disk(runtime: Runtime) -> list[str]:
    async with runtime.store.reading() as work:
        files = {file.key for file in await work.session.exec(select(StoredFile))}
    names = {path.name for path, _size, _at in runtime.files._files()}
    assert names == files
    return sorted(names)


# --- images


async def test_an_image_is_uploaded_shown_downloaded_and_deleted(api: httpx.AsyncClient, runtime: Runtime) -> None:
    image = await add(api, vendor="Acme", model="One", note="fixes the fan")
    assert (image["is_ready"], image["sha256"], image["is_signed"]) == (False, None, False)
    path = f"{URL}/{image['id']}"
    assert (await api.get(f"{path}/file")).status_code == 404
    uploaded = await api.put(f"{path}/file", content=IMAGE, params={"name": "../image 2.1.bin"})
    assert uploaded.status_code == 200, uploaded.text
    shown = uploaded.json()
    assert (shown["is_ready"], shown["file_name"], shown["size_bytes"]) == (True, "image_2.1.bin", len(IMAGE))
    assert shown["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert shown["md5"] == hashlib.md5(IMAGE, usedforsecurity=False).hexdigest()
    assert (await api.get(path)).json() == shown
    assert (await api.get(URL, params={"vendor": "Acme", "model": "One"})).json()["items"] == [shown]
    assert (await api.get(URL, params={"vendor": "Other"})).json()["items"] == []
    file = await api.get(f"{path}/file")
    assert file.content == IMAGE
    assert file.headers["content-disposition"] == 'attachment; filename="image_2.1.bin"'
    again = await api.put(f"{path}/file", content=b"other")
    assert (again.status_code, "has its file already" in again.json()["detail"]) == (409, True)
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert await on_disk(runtime) == []


@pytest.mark.parametrize("when", ["at once", "before the file", "after the file"])
async def test_a_right_signature_is_verified(api: httpx.AsyncClient, when: str) -> None:
    image = await add(api, **(signed() if when == "at once" else {}))
    path = f"{URL}/{image['id']}"
    if when == "before the file":
        assert (await api.put(f"{path}/signature", json=signed())).json()["is_signature_verified"] is None
    uploaded = (await api.put(f"{path}/file", content=IMAGE)).json()
    if when == "after the file":
        assert uploaded["is_signed"] is False
        uploaded = (await api.put(f"{path}/signature", json=signed())).json()
    assert (uploaded["is_signed"], uploaded["is_signature_verified"]) == (True, True)


async def test_what_does_not_fit_is_refused_in_words_and_leaves_nothing(
    api: httpx.AsyncClient, runtime: Runtime
) -> None:
    runtime.settings = runtime.settings.model_copy(update={"firmware_bytes_max": 2_000_000})
    other = (await add(api, **signed(b"another image")))["id"]
    wrong = await api.put(f"{URL}/{other}/file", content=IMAGE)
    assert (wrong.status_code, "does not fit" in wrong.json()["detail"]) == (422, True)
    damaged = (await add(api, sha256="0" * 64))["id"]
    told = await api.put(f"{URL}/{damaged}/file", content=IMAGE)
    assert (told.status_code, "damaged" in told.json()["detail"]) == (422, True)
    empty = (await add(api))["id"]
    assert (await api.put(f"{URL}/{empty}/file", content=b"")).status_code == 422
    assert (await api.put(f"{URL}/{empty}/file", content=b"x" * 2_000_001)).status_code == 413
    assert await on_disk(runtime) == []
    for body, place in (
        ({"signature": "AAAA", "signing_certificate": "no pem"}, "body/signing_certificate"),
        ({"signature": "!", "signing_certificate": certificate_of(KEY)}, "body/signature"),
        ({**signed(b"another image"), "sha256": hashlib.sha256(IMAGE).hexdigest()}, "body/signature"),
    ):
        answer = await api.post(URL, json={"version": "1", **body})
        assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, place)
    assert (await api.post(URL, json={"version": "1", "signature": "AAAA"})).status_code == 422


@pytest.mark.robustness(40)
async def test_an_image_elsewhere_lies_on_an_allowed_host(api: httpx.AsyncClient) -> None:
    image = await add(api, location=FOREIGN, **signed(), sha256=hashlib.sha256(IMAGE).hexdigest())
    assert (image["is_ready"], image["location"], image["is_signature_verified"]) == (
        True,
        "https://files.example.com",
        True,
    )
    assert (await api.put(f"{URL}/{image['id']}/file", content=b"x")).status_code == 409
    refused = await api.post(URL, json={"version": "1", "location": "http://169.254.169.254/x"})
    assert (refused.status_code, refused.json()["errors"][0]["place"]) == (422, "body/location")


async def test_one_organisation_never_sees_anothers_firmware(
    api: httpx.AsyncClient, api_as: ApiAs, store: Store, station: Station
) -> None:
    image = await add_whole(api)
    stranger = await api_as("administrator", await make_organisation(store, "Other"))
    for path in ("", "/file", "/updates"):
        assert (await stranger.get(f"{URL}/{image['id']}{path}")).status_code == 404
    assert (await stranger.get(URL)).json()["items"] == []
    theirs = await make_station(store, await make_organisation(store, "Third"))
    asked = await api.post(f"/api/v1/stations/{theirs.identity}/firmware-updates", json={"firmware_id": image["id"]})
    assert asked.status_code == 404


# --- updates


def firmware_url(station: Station) -> str:
    return f"/api/v1/stations/{station.identity}/firmware-updates"


async def test_an_image_for_others_is_refused_unless_forced(
    api: httpx.AsyncClient, store: Store, station: Station
) -> None:
    others = await add_whole(api, vendor="Other")
    refused = await api.post(firmware_url(station), json={"firmware_id": others["id"]})
    assert (refused.status_code, "vendor «Other», the station is «Acme»" in refused.json()["detail"]) == (409, True)
    same = await add_whole(api, version="2.0.0")
    assert (await api.post(firmware_url(station), json={"firmware_id": same["id"]})).status_code == 409
    no_file = await add(api)
    assert (await api.post(firmware_url(station), json={"firmware_id": no_file["id"]})).status_code == 409
    unsigned = {"firmware_id": others["id"], "is_forced": True, "is_signed": True}
    assert (await api.post(firmware_url(station), json=unsigned)).status_code == 409
    late = {"firmware_id": others["id"], "is_forced": True, "install_at": "2030-01-01T00:00:00Z"}
    assert (await api.post(firmware_url(station), json=late)).status_code == 409
    assert await updates(store) == []
    forced = await api.post(firmware_url(station), json={"firmware_id": others["id"], "is_forced": True})
    assert (forced.status_code, forced.json()["state"]) == (201, "failed")
    assert forced.json()["reason"] == "the station is not connected"


@pytest.mark.ocpp("1.6 UpdateFirmware", "1.6 FirmwareStatusNotification")
async def test_a_raw_update_of_1_6_is_followed(store: Store, station: Station) -> None:
    caller = await connect(store, station)
    await caller.answered("UpdateFirmware", {"location": FOREIGN, "retrieveDate": "2026-01-01T00:00:00Z"}, {})
    (row,) = await updates(store)
    assert (row.state, row.image_id, row.location) == (UpdateState.ACCEPTED, None, "https://files.example.com")
    for status, state in (("Downloading", "downloading"), ("Downloaded", "downloaded"), ("Installing", "installing")):
        assert await caller.call("FirmwareStatusNotification", status=status) == {}
        assert (await updates(store))[0].state == state
    await caller.call("FirmwareStatusNotification", status="Installed")
    assert ((await updates(store))[0].state, (await updates(store))[0].ended_at) == (UpdateState.INSTALLED, None)
    await boot(caller, "9.9")
    (row,) = await updates(store)
    assert (row.state, row.booted_version, row.ended_at is None) == (UpdateState.INSTALLED, "9.9", False)


@pytest.mark.ocpp("1.6 UpdateFirmware", "1.6 FirmwareStatusNotification")
@pytest.mark.octt("TC_044_2_CSMS", "TC_044_3_CSMS")
@pytest.mark.parametrize("said", ["DownloadFailed", "InstallationFailed"])
async def test_an_update_of_1_6_that_fails(store: Store, station: Station, said: str) -> None:
    caller = await connect(store, station)
    await caller.answered("UpdateFirmware", {"location": FOREIGN, "retrieveDate": "2026-01-01T00:00:00Z"}, {})
    for status in ("Downloading", said):
        await caller.call("FirmwareStatusNotification", status=status)
    (row,) = await updates(store)
    assert (row.state, row.last_status, bool(row.reason)) == (UpdateState.FAILED, said, True)


async def boot(caller: CallingStation, version: str) -> None:
    if caller.connected.version is Version.V16:
        await caller.call("BootNotification", chargePointVendor="Acme", chargePointModel="One", firmwareVersion=version)
    else:
        told = {"vendorName": "Acme", "model": "One", "firmwareVersion": version}
        await caller.call("BootNotification", chargingStation=told, reason="FirmwareUpdate")


def request(request_id: int) -> dict[str, Any]:
    firmware = {
        "location": FOREIGN,
        "retrieveDateTime": "2026-01-01T00:00:00Z",
        "signingCertificate": "x",
        "signature": "y",
    }
    return {"requestId": request_id, "firmware": firmware}


def action_of(version: Version) -> tuple[str, str]:
    if version is Version.V16:
        return "SignedUpdateFirmware", "SignedFirmwareStatusNotification"
    return "UpdateFirmware", "FirmwareStatusNotification"


ACTIONS = (
    "1.6 SignedUpdateFirmware",
    "1.6 SignedFirmwareStatusNotification",
    "2.x UpdateFirmware",
    "2.x FirmwareStatusNotification",
)


@pytest.mark.ocpp(*ACTIONS)
@pytest.mark.octt("TC_L_02_CSMS", "TC_L_03_CSMS", "TC_L_06_CSMS", "TC_L_07_CSMS", "TC_L_08_CSMS", "TC_L_09_CSMS")
@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(
    ("said", "state", "has_ended"),
    [
        (["DownloadScheduled"], "accepted", False),
        (["Downloading", "DownloadPaused"], "downloading", False),
        (["Downloading", "DownloadFailed"], "failed", False),
        (["DownloadFailed", "Downloading", "Downloaded"], "downloaded", False),
        (["Downloaded", "InvalidSignature"], "failed", True),
        (["Downloaded", "InvalidSignature", "Downloading"], "failed", True),
        (["SignatureVerified", "InstallScheduled", "InstallRebooting"], "installing", False),
        (["Installing", "InstallationFailed"], "failed", True),
        (["Installing", "InstallVerificationFailed"], "failed", True),
        (["Installing", "Installed"], "installed", False),
        (["Idle"], "accepted", False),
        (["Hibernating"], "accepted", False),
    ],
)
async def test_signed_updates_are_followed_by_their_id(
    store: Store, station: Station, *, version: Version, said: list[str], state: str, has_ended: bool
) -> None:
    action, notification = action_of(version)
    caller = await connect(store, station, version)
    await caller.answered(action, request(1), {"status": "Accepted"})
    await caller.answered(action, request(2), {"status": "Accepted"})
    for status in said:
        assert await caller.call(notification, status=status, requestId=1) == {}
    one, two = await updates(store)
    assert (one.state, one.ended_at is not None, one.is_signed) == (state, has_ended, True)
    assert (two.state, two.last_status) == (UpdateState.ACCEPTED, None)
    async with store.reading() as work:
        kept = (await work.session.exec(select(FirmwareStatus).order_by(col(FirmwareStatus.id)))).all()
    assert [row.status for row in kept] == list(dict.fromkeys(said))


@pytest.mark.ocpp(*ACTIONS)
@pytest.mark.octt("TC_L_04_CSMS", "TC_L_05_CSMS")
@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Rejected", "the station refused"),
        ("InvalidCertificate", "certificate invalid"),
        ("RevokedCertificate", "revoked"),
    ],
)
async def test_refusals_end_the_update(
    store: Store, station: Station, *, version: Version, answer: str, words: str
) -> None:
    caller = await connect(store, station, version)
    info = {} if version is Version.V16 else {"statusInfo": {"reasonCode": "Busy"}}
    await caller.answered(action_of(version)[0], request(1), {"status": answer, **info})
    (row,) = await updates(store)
    assert (row.state, row.ended_at is None) == (UpdateState.REJECTED, False)
    assert words in (row.reason or "")
    assert ("Busy" in (row.reason or "")) is bool(info)


@pytest.mark.ocpp(*ACTIONS)
@pytest.mark.octt("TC_L_11_CSMS")
@pytest.mark.parametrize("version", list(Version))
async def test_an_update_that_cannot_be_cancelled_goes_on(store: Store, station: Station, version: Version) -> None:
    action, notification = action_of(version)
    caller = await connect(store, station, version)
    await caller.answered(action, request(1), {"status": "Accepted"})
    await caller.call(notification, status="Installing", requestId=1)
    await caller.answered(action, request(2), {"status": "Rejected"})
    await caller.call(notification, status="Installed", requestId=1)
    assert [row.state for row in await updates(store)] == [UpdateState.INSTALLED, UpdateState.REJECTED]


@pytest.mark.ocpp(*ACTIONS)
@pytest.mark.octt("TC_L_10_CSMS")
@pytest.mark.parametrize("version", list(Version))
async def test_a_newer_update_cancels_the_older(store: Store, station: Station, version: Version) -> None:
    action, notification = action_of(version)
    caller = await connect(store, station, version)
    await caller.answered(action, request(1), {"status": "Accepted"})
    await caller.call(notification, status="Downloading", requestId=1)
    await caller.answered(action, request(2), {"status": "AcceptedCanceled"})
    one, two = await updates(store)
    assert (one.state, two.state) == (UpdateState.CANCELLED, UpdateState.ACCEPTED)
    await caller.call(notification, status="Downloaded", requestId=1)
    assert (await updates(store))[0].state is UpdateState.CANCELLED


@pytest.mark.ocpp("2.x FirmwareStatusNotification", "1.6 FirmwareStatusNotification")
@pytest.mark.parametrize("version", list(Version))
async def test_words_about_unknown_updates_are_kept_without_growing(
    api: httpx.AsyncClient, store: Store, station: Station, version: Version
) -> None:
    caller = await connect(store, station, version)
    for request_id in range(20):
        payload = {} if version is Version.V16 else {"requestId": request_id}
        await caller.call("FirmwareStatusNotification", status="Downloading", **payload)
    await caller.call("FirmwareStatusNotification", status="Idle")
    for odd in ({}, {"status": ["a"]}, {"status": "x" * 400, "requestId": "7"}):
        assert await caller.call("FirmwareStatusNotification", **odd) == {}
    assert await updates(store) == []
    shown = (await api.get(f"/api/v1/stations/{station.identity}/firmware-statuses")).json()["items"]
    assert [(one["status"][:20], one["count"]) for one in shown] == [
        ("Downloading", 20),
        ("Idle", 1),
        ("", 1),
        ("['a']", 1),
        ("x" * 20, 1),
    ]


async def test_a_flood_of_invented_words_does_not_grow(store: Store, station: Station, clock: FixedClock) -> None:
    caller = await connect(store, station, Version.V201)
    for number in range(120):
        clock.advance(seconds=1)
        await caller.call("FirmwareStatusNotification", status=f"Invented{number}")
    async with store.reading() as work:
        kept = {row.status for row in await work.session.exec(select(FirmwareStatus))}
    assert len(kept) == 50
    assert "Invented119" in kept


async def test_another_stations_words_and_boots_do_not_touch_an_update(store: Store, station: Station) -> None:
    caller, other = await connect(store, station), await connect(store, await make_station(store))
    await caller.answered("SignedUpdateFirmware", request(1), {"status": "Accepted"})
    await other.call("SignedFirmwareStatusNotification", status="InvalidSignature", requestId=1)
    await other.call("FirmwareStatusNotification", status="Installed")
    await boot(other, "2.1.0")
    (row,) = await updates(store)
    assert (row.state, row.ended_at) == (UpdateState.ACCEPTED, None)


@pytest.mark.parametrize(
    ("said", "days", "ended_as"),
    [(["Downloading"], 8, "timed_out"), (["DownloadFailed"], 8, "failed"), (["Installed"], 1, "installed")],
)
async def test_what_takes_too_long_is_ended_by_the_job(
    runtime: Runtime, station: Station, clock: FixedClock, said: list[str], *, days: int, ended_as: str
) -> None:
    caller = await connect(runtime.store, station)
    await caller.answered("SignedUpdateFirmware", request(1), {"status": "Accepted"})
    for status in said:
        await caller.call("SignedFirmwareStatusNotification", status=status, requestId=1)
    await close_overdue(runtime)
    assert (await updates(runtime.store))[0].ended_at is None
    clock.advance(days=days)
    await close_overdue(runtime)
    (row,) = await updates(runtime.store)
    assert (row.state, row.ended_at) == (ended_as, clock())
    assert row.reason


async def test_an_image_in_use_is_not_deleted_and_an_update_can_be_cancelled(
    api: httpx.AsyncClient, store: Store, station: Station, clock: FixedClock
) -> None:
    image = await add_whole(api)
    async with store.writing() as work:
        row = FirmwareUpdate(
            organisation_id=station.organisation_id,
            station_id=station.id,
            image_id=int(image["id"]),
            version="2.1.0",
            action="UpdateFirmware",
            location="https://csms.example.com",
            requested_at=clock(),
            requested_by="somebody",
            deadline_at=clock() + timedelta(days=1),
        )
        work.session.add(row)
    assert (await api.delete(f"{URL}/{image['id']}")).status_code == 409
    listed = (await api.get(f"{URL}/{image['id']}/updates", params={"is_open": "true"})).json()["items"]
    assert [(one["station_id"], one["state"]) for one in listed] == [(station.identity, "requested")]
    cancelled = await api.post(f"{firmware_url(station)}/{row.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await api.post(f"{firmware_url(station)}/{row.id}/cancel")).status_code == 409
    assert (await api.get(firmware_url(station), params={"is_open": "true"})).json()["items"] == []
    assert (await api.delete(f"{URL}/{image['id']}")).status_code == 204


# --- publications


async def publications(store: Store) -> list[FirmwarePublication]:
    async with store.reading() as work:
        return list((await work.session.exec(select(FirmwarePublication))).all())


MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PUBLISH = {"location": FOREIGN, "checksum": MD5, "requestId": 4}


@pytest.mark.ocpp("2.x PublishFirmware", "2.x PublishFirmwareStatusNotification", "2.x UnpublishFirmware")
@pytest.mark.octt("TC_L_17_CSMS", "TC_L_21_CSMS", "TC_L_23_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_raw_publication_is_followed_until_it_is_unpublished(
    api: httpx.AsyncClient, store: Store, station: Station, version: Version
) -> None:
    caller = await connect(store, station, version)
    await caller.answered("PublishFirmware", PUBLISH, {"status": "Accepted"})
    urls = ["http://192.168.1.1/fw.bin", "ftp://192.168.1.1/fw.bin"]
    for status, state in (
        ("Downloading", "downloading"),
        ("Downloaded", "downloaded"),
        ("ChecksumVerified", "downloaded"),
    ):
        await caller.call("PublishFirmwareStatusNotification", status=status, requestId=4)
        assert (await publications(store))[0].state == state
    await caller.call("PublishFirmwareStatusNotification", status="Published", requestId=4, location=urls)
    shown = (await api.get(f"/api/v1/stations/{station.identity}/firmware-publications")).json()["items"]
    assert [(one["state"], one["published_urls"]) for one in shown] == [("published", urls)]
    await caller.answered("UnpublishFirmware", {"checksum": MD5}, {"status": "DownloadOngoing"})
    assert (await publications(store))[0].state is PublicationState.PUBLISHED
    await caller.answered("UnpublishFirmware", {"checksum": MD5}, {"status": "Unpublished"})
    (row,) = await publications(store)
    assert (row.state, row.published_urls) == (PublicationState.UNPUBLISHED, [])


@pytest.mark.ocpp("2.x PublishFirmware", "2.x PublishFirmwareStatusNotification", "2.x UnpublishFirmware")
@pytest.mark.octt("TC_L_19_CSMS", "TC_L_20_CSMS", "TC_L_22_CSMS", "TC_L_24_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.parametrize("said", ["InvalidChecksum", "PublishFailed", "DownloadFailed"])
async def test_what_could_not_be_published_is_told_and_can_be_unpublished(
    store: Store, station: Station, version: Version, said: str
) -> None:
    caller = await connect(store, station, version)
    await caller.answered("PublishFirmware", PUBLISH, {"status": "Accepted"})
    await caller.call("PublishFirmwareStatusNotification", status=said, requestId=4)
    (row,) = await publications(store)
    assert (row.state, row.last_status, bool(row.reason)) == (PublicationState.FAILED, said, True)
    await caller.answered("UnpublishFirmware", {"checksum": MD5}, {"status": "NoFirmware"})
    (row,) = await publications(store)
    assert (row.state, row.reason) == (PublicationState.UNPUBLISHED, "it had no such image any more")


@pytest.mark.ocpp("2.x PublishFirmware", "2.x PublishFirmwareStatusNotification")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_publications_that_fail(runtime: Runtime, station: Station, clock: FixedClock, version: Version) -> None:
    store = runtime.store
    caller = await connect(store, station, version)
    await caller.answered("PublishFirmware", PUBLISH, {"status": "Rejected"})
    assert [row.state for row in await publications(store)] == [PublicationState.REJECTED]
    await caller.answered("PublishFirmware", {**PUBLISH, "requestId": 5}, {"status": "Accepted"})
    odd: list[dict[str, Any]] = [{}, {"requestId": 99}, {"requestId": 5, "location": "no list"}]
    for payload in odd:
        await caller.call("PublishFirmwareStatusNotification", status="InvalidChecksum", **payload)
    assert [row.state for row in await publications(store)] == [PublicationState.REJECTED, PublicationState.FAILED]
    clock.advance(days=8)
    await close_overdue(runtime)
    assert all(row.ended_at for row in await publications(store))


async def test_only_2_x_stations_publish_and_only_what_has_a_checksum(
    api: httpx.AsyncClient, store: Store, station: Station
) -> None:
    url = f"/api/v1/stations/{station.identity}/firmware-publications"
    image = await add_whole(api)
    refused = await api.post(url, json={"firmware_id": image["id"]})
    assert (refused.status_code, "2.0.1" in refused.json()["detail"]) == (409, True)
    controller = await make_station(store, protocol=Version.V201.value)
    url = f"/api/v1/stations/{controller.identity}/firmware-publications"
    elsewhere = await add(api, location=FOREIGN)
    no_md5 = await api.post(url, json={"firmware_id": elsewhere["id"]})
    assert (no_md5.status_code, "MD5" in no_md5.json()["detail"]) == (409, True)
    assert (await api.post(url, json={"firmware_id": (await add(api))["id"]})).status_code == 409
    away = await api.post(url, json={"firmware_id": image["id"]})
    assert (away.status_code, away.json()["state"]) == (201, "failed")
    one = f"{url}/{away.json()['id']}"
    assert (await api.get(one)).json() == away.json()
    unpublished = await api.post(f"{one}/unpublish")
    assert (unpublished.status_code, unpublished.json()["reason"]) == (200, "the station is not connected")
