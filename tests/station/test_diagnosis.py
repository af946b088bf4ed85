"""S17: requests for logs followed by what stations say, without a socket; the whole way is in tests/broker."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.diagnosis import Diagnosis, DiagnosisKind, DiagnosisState, rules
from csms.station.diagnosis.jobs import close_all_overdue
from csms.station.diagnosis.model import DiagnosisStatus
from csms.station.information import Station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = [pytest.mark.feature("S17")]

FOREIGN = "https://files.example.com/logs/"
WITH_LOG = [Version.V16, *VERSIONS_2]


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store, protocol=Version.V16.value)


def log_request(request_id: int, location: str = FOREIGN) -> dict[str, Any]:
    return {"log": {"remoteLocation": location}, "logType": "SecurityLog", "requestId": request_id}


async def rows(store: Store) -> list[Diagnosis]:
    async with store.reading() as work:
        return list((await work.session.exec(select(Diagnosis).order_by(Diagnosis.id))).all())  # type: ignore[arg-type]


async def statuses(store: Store) -> list[DiagnosisStatus]:
    async with store.reading() as work:
        return list((await work.session.exec(select(DiagnosisStatus))).all())


@pytest.mark.ocpp("1.6 GetDiagnostics", "1.6 DiagnosticsStatusNotification")
async def test_a_raw_get_diagnostics_to_another_server_is_followed(store: Store, station: Station) -> None:
    caller = await connect(store, station)
    await caller.answered("GetDiagnostics", {"location": f"ftp://u:secret@{FOREIGN[8:]}"}, {"fileName": "d.zip"})
    (row,) = await rows(store)
    assert (row.state, row.kind, row.file_name) == (DiagnosisState.ACCEPTED, DiagnosisKind.DIAGNOSTICS, "d.zip")
    assert (row.location, row.transfer_id) == ("ftp://files.example.com", None)
    assert await caller.call("DiagnosticsStatusNotification", status="Uploading") == {}
    assert (await rows(store))[0].state is DiagnosisState.UPLOADING
    await caller.call("DiagnosticsStatusNotification", status="Uploaded")
    (row,) = await rows(store)
    assert (row.state, row.ended_at is None) == (DiagnosisState.UPLOADED, False)


@pytest.mark.ocpp("1.6 GetDiagnostics", "1.6 DiagnosticsStatusNotification")
@pytest.mark.octt("TC_045_2_CSMS")
async def test_an_upload_that_failed_says_what_to_do(store: Store, station: Station) -> None:
    caller = await connect(store, station)
    await caller.answered("GetDiagnostics", {"location": FOREIGN}, {"fileName": "d.zip"})
    for status in ("Uploading", "UploadFailed"):
        await caller.call("DiagnosticsStatusNotification", status=status)
    (row,) = await rows(store)
    assert (row.state, "reaches the file server" in (row.reason or "")) == (DiagnosisState.FAILED, True)


@pytest.mark.ocpp("1.6 GetLog", "2.x GetLog", "1.6 LogStatusNotification", "2.x LogStatusNotification")
@pytest.mark.parametrize("version", WITH_LOG)
async def test_logs_are_told_apart_by_their_request_id(store: Store, station: Station, version: Version) -> None:
    caller = await connect(store, station, version)
    await caller.answered("GetLog", log_request(1), {"status": "Accepted", "filename": "one.log"})
    await caller.answered("GetLog", log_request(2), {"status": "Accepted"})
    assert await caller.call("LogStatusNotification", status="Uploading", requestId=1) == {}
    await caller.call("LogStatusNotification", status="PermissionDenied", requestId=2)
    one, two = await rows(store)
    assert (one.state, one.kind, one.file_name) == (DiagnosisState.UPLOADING, DiagnosisKind.SECURITY_LOG, "one.log")
    assert (two.state, two.ended_at) == (DiagnosisState.FAILED, None)
    await caller.call("LogStatusNotification", status="Uploading", requestId=2)  # it tries again by itself
    await caller.call("LogStatusNotification", status="Uploaded", requestId=2)
    assert [row.state for row in await rows(store)] == [DiagnosisState.UPLOADING, DiagnosisState.UPLOADED]


@pytest.mark.ocpp("2.x GetLog", "2.x LogStatusNotification")
@pytest.mark.octt("TC_N_36_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_second_request_cancels_the_first(store: Store, station: Station, version: Version) -> None:
    caller = await connect(store, station, version)
    await caller.answered("GetLog", log_request(1), {"status": "Accepted"})
    await caller.answered("GetLog", log_request(2), {"status": "AcceptedCanceled"})
    one, two = await rows(store)
    assert (one.state, two.state) == (DiagnosisState.CANCELLED, DiagnosisState.ACCEPTED)
    assert one.ended_at is not None
    await caller.call("LogStatusNotification", status="AcceptedCanceled", requestId=1)
    assert [row.state for row in await rows(store)] == [DiagnosisState.CANCELLED, DiagnosisState.ACCEPTED]


@pytest.mark.ocpp("1.6 GetLog", "2.x GetLog")
@pytest.mark.octt("TC_N_34_CSMS")
@pytest.mark.parametrize("version", WITH_LOG)
async def test_a_refusal_ends_the_request(store: Store, station: Station, version: Version) -> None:
    caller = await connect(store, station, version)
    info = {"statusInfo": {"reasonCode": "Busy", "additionalInfo": "charging"}} if version in VERSIONS_2 else {}
    await caller.answered("GetLog", log_request(1), {"status": "Rejected", **info})
    (row,) = await rows(store)
    assert (row.state, row.ended_at is None) == (DiagnosisState.REJECTED, False)
    assert row.reason == ("the station refused: charging" if info else "the station refused; it gave no reason")


@pytest.mark.ocpp("1.6 GetDiagnostics")
async def test_nothing_to_upload_is_said_and_still_followed(store: Store, station: Station) -> None:
    caller = await connect(store, station)
    await caller.answered("GetDiagnostics", {"location": FOREIGN}, {})
    assert (await rows(store))[0].state is DiagnosisState.EMPTY
    await caller.call("DiagnosticsStatusNotification", status="Uploaded")
    assert (await rows(store))[0].state is DiagnosisState.UPLOADED


@pytest.mark.ocpp("1.6 DiagnosticsStatusNotification", "1.6 LogStatusNotification", "2.x LogStatusNotification")
@pytest.mark.parametrize("version", WITH_LOG)
async def test_words_about_unknown_uploads_are_kept_without_growing(
    api: httpx.AsyncClient, store: Store, station: Station, version: Version
) -> None:
    caller = await connect(store, station, version)
    for request_id in range(50):
        await caller.call("LogStatusNotification", status="Uploading", requestId=request_id)
    await caller.call("LogStatusNotification", status="Idle")
    if version is Version.V16:
        await caller.call("DiagnosticsStatusNotification", status="Idle")
    assert await rows(store) == []
    shown = (await api.get(f"/api/v1/stations/{station.identity}/diagnosis-statuses")).json()["items"]
    assert [(one["status"], one["count"], one["request_id"]) for one in shown][:2] == [
        ("Uploading", 50, 49),
        ("Idle", 1, None),
    ]
    assert len(shown) == (3 if version is Version.V16 else 2)


@pytest.mark.ocpp("2.x LogStatusNotification")
async def test_odd_words_of_lenient_stations_are_borne(store: Store, station: Station) -> None:
    caller = await connect(store, station, Version.V201)
    await caller.answered("GetLog", log_request(1), {"status": "Accepted"})
    odd: list[dict[str, Any]] = [
        {"status": 7, "requestId": 1},
        {},
        {"status": "x" * 500, "requestId": "one"},
        {"status": "Uploading", "requestId": 2**80},
        {"status": "Uploading", "requestId": True, "statusInfo": "busy"},
        {"status": "Uploading", "requestId": 1, "statusInfo": {"reasonCode": ["a"]}},
    ]
    for payload in odd:
        assert await caller.call("LogStatusNotification", **payload) == {}
    assert (await rows(store))[0].state is DiagnosisState.UPLOADING
    assert max(len(one.status) for one in await statuses(store)) == 50


async def test_another_stations_words_do_not_touch_a_request(store: Store, station: Station) -> None:
    caller = await connect(store, station)
    other = await connect(store, await make_station(store))
    await caller.answered("GetDiagnostics", {"location": FOREIGN}, {"fileName": "d.zip"})
    await caller.answered("GetLog", log_request(5), {"status": "Accepted"})
    await other.call("DiagnosticsStatusNotification", status="UploadFailed")
    await other.call("LogStatusNotification", status="UploadFailure", requestId=5)
    assert [row.state for row in await rows(store)] == [DiagnosisState.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("said", "ended_as"),
    [
        ([], "timed_out"),
        (["Uploading"], "timed_out"),
        (["Uploading", "UploadFailure"], "failed"),
    ],
)
async def test_what_takes_too_long_is_ended_by_the_job(
    runtime: Runtime, station: Station, clock: FixedClock, said: list[str], ended_as: str
) -> None:
    caller: CallingStation = await connect(runtime.store, station)
    await caller.answered("GetLog", log_request(1), {"status": "Accepted"})
    for status in said:
        await caller.call("LogStatusNotification", status=status, requestId=1)
    await close_all_overdue(runtime)
    assert (await rows(runtime.store))[0].ended_at is None
    clock.advance(days=8)
    await close_all_overdue(runtime)
    (row,) = await rows(runtime.store)
    assert (row.state, row.ended_at) == (ended_as, clock())
    await caller.call("LogStatusNotification", status="Uploaded", requestId=1)
    assert (await rows(runtime.store))[0].state == row.state or ended_as == "failed"


async def test_a_station_that_is_away_is_not_waited_for(api: httpx.AsyncClient, station: Station, store: Store) -> None:
    url = f"/api/v1/stations/{station.identity}"
    asked = await api.post(f"{url}/diagnosis", json={})
    assert asked.status_code == 201, asked.text
    assert (asked.json()["state"], asked.json()["reason"]) == ("failed", "the station is not connected")
    (transfer,) = (await api.get(f"{url}/file-transfers")).json()["items"]
    assert transfer["state"] == "closed"


async def test_what_cannot_be_asked_is_refused_in_words(api: httpx.AsyncClient, store: Store) -> None:
    old = await make_station(store, protocol=Version.V16.value)
    refused = await api.post(f"/api/v1/stations/{old.identity}/diagnosis", json={"kind": "data_collector_log"})
    assert (refused.status_code, "ocpp2.1" in refused.json()["detail"]) == (409, True)
    no_ftp = await api.post(f"/api/v1/stations/{old.identity}/diagnosis", json={"protocol": "ftp"})
    assert (no_ftp.status_code, "CSMS_FTP_PORT" in no_ftp.json()["detail"]) == (409, True)
    times = {"period_start": "2026-01-02T00:00:00Z", "period_end": "2026-01-01T00:00:00Z"}
    assert (await api.post(f"/api/v1/stations/{old.identity}/diagnosis", json=times)).status_code == 422
    assert (await api.get(f"/api/v1/stations/{old.identity}/diagnosis")).json()["items"] == []


async def test_one_organisation_never_sees_anothers_diagnosis(api_as: ApiAs, store: Store, station: Station) -> None:
    caller = await connect(store, station)
    await caller.answered("GetDiagnostics", {"location": FOREIGN}, {"fileName": "d.zip"})
    stranger = await api_as("administrator", await make_organisation(store, "Other"))
    (row,) = await rows(store)
    for path in ("diagnosis", f"diagnosis/{row.id}", f"diagnosis/{row.id}/file", "diagnosis-statuses"):
        assert (await stranger.get(f"/api/v1/stations/{station.identity}/{path}")).status_code == 404


async def test_requests_are_listed_cancelled_and_deleted(
    api: httpx.AsyncClient, store: Store, station: Station
) -> None:
    caller = await connect(store, station)
    await caller.answered("GetLog", log_request(1), {"status": "Accepted"})
    await caller.answered("GetLog", log_request(2), {"status": "Accepted"})
    await caller.call("LogStatusNotification", status="Uploading", requestId=2)
    url = f"/api/v1/stations/{station.identity}/diagnosis"
    two, one = (await api.get(url)).json()["items"]
    assert (one["state"], two["state"], two["is_foreign"]) == ("accepted", "uploading", True)
    cancelled = await api.post(f"{url}/{one['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await api.post(f"{url}/{one['id']}/cancel")).status_code == 409
    assert [row["id"] for row in (await api.get(url, params={"is_open": "true"})).json()["items"]] == [two["id"]]
    assert (await api.get(f"{url}/{two['id']}/file")).status_code == 404
    assert (await api.delete(f"{url}/{two['id']}")).status_code == 204
    assert (await api.get(f"{url}/{two['id']}")).status_code == 404
    assert await statuses(store) == []


async def test_a_flood_of_invented_words_does_not_grow(store: Store, clock: FixedClock) -> None:
    caller = await connect(store, await make_station(store), Version.V201)
    for number in range(120):
        clock.advance(seconds=1)
        await caller.call("LogStatusNotification", status=f"Invented{number}")
    async with store.reading() as work:
        kept = {row.status for row in await work.session.exec(select(DiagnosisStatus))}
    assert len(kept) == 50
    assert "Invented119" in kept


# --- rules


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("kind", list(DiagnosisKind))
def test_requests_keep_to_the_schema_of_their_version(version: Version, kind: DiagnosisKind) -> None:
    if kind is DiagnosisKind.DATA_COLLECTOR_LOG and version is not Version.V21:
        with pytest.raises(ValueError, match="data collector log"):
            rules.action_for(kind, version)
        return
    start = FixedClock()()
    url = f"https://csms.example.com/files/csmsf_{'a' * 44}/"
    for wish in (rules.Wish(kind), rules.Wish(kind, start, start + timedelta(days=1), 3, 60)):
        action = rules.action_for(kind, version)
        payload = rules.request_of(action, wish, url, 7)
        assert check(version, action, "request", payload) is None
        assert rules.location_of(action, payload) == url
    if kind is not DiagnosisKind.DIAGNOSTICS:
        assert rules.kind_of(action, payload) is kind


@given(state=st.sampled_from(DiagnosisState), status=st.text(max_size=20) | st.sampled_from(sorted(rules._STATUSES)))
def test_with_the_file_here_words_change_nothing_more(state: DiagnosisState, status: str) -> None:
    found = rules.after_status(state, status, has_file=True)
    assert found is None if state is DiagnosisState.RECEIVED else found == (DiagnosisState.RECEIVED, None)
    if state in rules.ENDED:
        assert rules.after_status(state, status, has_file=False) is None
