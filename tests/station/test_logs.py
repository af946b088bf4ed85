"""S10: every exchange in words, never with a whole id tag; the log over HTTP."""

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.features import offered
from csms.ocpp.actions import ACTIONS, from_station, to_station
from csms.ocpp.schema import schema_of
from csms.ocpp.versions import Version
from csms.station.commands.examples import examples_of
from csms.station.communication_logs import FrameOutcome, record
from csms.station.information import Station
from csms.station.logs import Exchange, describe
from csms.store import Store, Work
from csms.wording import Ask, Level, Tell, masked_tag
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station
from tests.telling import asked, told

pytestmark = pytest.mark.feature("S10")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("status", "text", "level"),
    [
        ("Accepted", "Card …1234 was accepted.", Level.INFO),
        ("Blocked", "Card …1234 was refused: it is blocked.", Level.WARNING),
        ("Expired", "Card …1234 was refused: it has expired.", Level.WARNING),
        ("Invalid", "Card …1234 was refused: it is unknown.", Level.WARNING),
        ("ConcurrentTx", "Card …1234 was refused: it is charging elsewhere.", Level.WARNING),
        ("Strange", "Card …1234 was refused: «Strange».", Level.WARNING),
    ],
)
def test_why_a_card_was_refused(status: str, text: str, level: Level) -> None:
    words = told("Authorize", {"idTag": TAG}, {"idTagInfo": {"status": status}})
    assert (words.text, words.level) == (text, level)
    assert (words.why is None) == (status == "Accepted")
    assert (words.what_to_do is None) == (status == "Accepted")


_ACCEPTED = {"idTagInfo": {"status": "Accepted"}}
_START = {"connectorId": 2, "idTag": TAG, "meterStart": 12340, "timestamp": "2026-01-01T00:00:00Z"}
_STOP = {"transactionId": 42, "meterStop": 20000, "timestamp": "2026-01-01T01:00:00Z"}
_SAMPLES = [
    {"value": "12340", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
    {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"},
    {"value": "16", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
    {"value": "54", "measurand": "SoC", "unit": "Percent"},
]


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "BootNotification",
            {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": "1.2"},
            {"status": "Accepted"},
            "The station started (Acme One, firmware 1.2).",
            Level.INFO,
        ),
        (
            "BootNotification",
            {"chargePointVendor": "Acme", "chargePointModel": "One"},
            {"status": "Pending"},
            "The station started (Acme One) and waits to be accepted.",
            Level.WARNING,
        ),
        (
            "BootNotification",
            {},
            {"status": "Rejected"},
            "The station started (make unknown) and was rejected.",
            Level.WARNING,
        ),
        ("Heartbeat", {}, {}, "The station is alive.", Level.INFO),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "NoError", "status": "Charging"},
            {},
            "Charge point 1 is charging.",
            Level.INFO,
        ),
        (
            "StatusNotification",
            {"connectorId": 0, "errorCode": "NoError", "status": "Unavailable"},
            {},
            "The station is out of service.",
            Level.INFO,
        ),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted", "vendorErrorCode": "E7"},
            {},
            "Charge point 1 has a fault: the earth-leakage protection has tripped.",
            Level.ERROR,
        ),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "WeakSignal", "status": "Available"},
            {},
            "Charge point 1 is free: the mobile signal is weak.",
            Level.WARNING,
        ),
        (
            "StartTransaction",
            _START,
            {"transactionId": 42, **_ACCEPTED},
            "Charge 42 started at charge point 2 with card …1234; the meter was at 12.34 kWh.",
            Level.INFO,
        ),
        (
            "StartTransaction",
            _START,
            {"transactionId": 42, "idTagInfo": {"status": "Blocked"}},
            "Charge 42 started at charge point 2 with card …1234, but the card was refused: it is blocked.",
            Level.WARNING,
        ),
        (
            "StopTransaction",
            _STOP,
            {},
            "Charge 42 ended: it was stopped at the station; the meter was at 20.00 kWh.",
            Level.INFO,
        ),
        (
            "StopTransaction",
            {**_STOP, "reason": "EmergencyStop"},
            _ACCEPTED,
            "Charge 42 ended: the emergency stop was pressed; the meter was at 20.00 kWh.",
            Level.ERROR,
        ),
        (
            "StopTransaction",
            {**_STOP, "reason": "PowerLoss"},
            {},
            "Charge 42 ended: the power failed; the meter was at 20.00 kWh.",
            Level.WARNING,
        ),
        (
            "MeterValues",
            {"connectorId": 1, "meterValue": [{"timestamp": "…", "sampledValue": _SAMPLES}]},
            {},
            "Charge point 1 reports: meter 12340 Wh, power 7.4 kW, battery 54 Percent.",
            Level.INFO,
        ),
        (
            "MeterValues",
            {"connectorId": 0, "meterValue": []},
            {},
            "The station reports: values of other kinds.",
            Level.INFO,
        ),
        (
            "SignCertificate",
            {"csr": "…"},
            {"status": "Accepted"},
            "The station asked for a new certificate; it will get one.",
            Level.INFO,
        ),
        (
            "SignCertificate",
            {"csr": "…"},
            {"status": "Rejected"},
            "The station asked for a new certificate and was refused.",
            Level.WARNING,
        ),
    ],
)
def test_what_stations_tell(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = told(action, request_, answer)
    assert (words.text, words.level) == (text, level)


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        ("Reset", {"type": "Soft"}, {"status": "Accepted"}, "Asked to restart: it will.", Level.INFO),
        ("Reset", {"type": "Hard"}, {"status": "Rejected"}, "Asked to restart at once: it will not.", Level.WARNING),
        (
            "RemoteStartTransaction",
            {"connectorId": 1, "idTag": TAG},
            {"status": "Rejected"},
            "Asked to start charging at charge point 1 with card …1234: it will not.",
            Level.WARNING,
        ),
        (
            "RemoteStopTransaction",
            {"transactionId": 42},
            {"status": "Rejected"},
            "Asked to stop charge 42: it knows no such charge.",
            Level.WARNING,
        ),
        (
            "UnlockConnector",
            {"connectorId": 1},
            {"status": "UnlockFailed"},
            "Asked to unlock the cable at charge point 1: it is stuck.",
            Level.ERROR,
        ),
        (
            "ChangeAvailability",
            {"connectorId": 0, "type": "Inoperative"},
            {"status": "Scheduled"},
            "Asked to take the station out of service: it will when the charge that is running has ended.",
            Level.INFO,
        ),
        (
            "ChangeConfiguration",
            {"key": "HeartbeatInterval", "value": "60"},
            {"status": "RebootRequired"},
            "Asked to set HeartbeatInterval to 60: it will after a restart.",
            Level.WARNING,
        ),
        (
            "ChangeConfiguration",
            {"key": "AuthorizationKey", "value": "(hidden)"},
            {"status": "Accepted"},
            "Asked to change AuthorizationKey: done.",
            Level.INFO,
        ),
        (
            "GetConfiguration",
            {"key": ["A", "B"]},
            {"configurationKey": [{"key": "A"}], "unknownKey": ["B"]},
            "Asked to tell its settings A, B: it told 1.",
            Level.WARNING,
        ),
        (
            "SetChargingProfile",
            examples_of(Version.V16)["SetChargingProfile"],
            {"status": "Accepted"},
            "Asked to limit charging at charge point 1 to 21.4 A: done.",
            Level.INFO,
        ),
    ],
)
def test_what_commands_came_to(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = asked(action, request_, answer)
    assert (words.text, words.level) == (text, level)


_WORDED = {(type(one), one.action) for one in offered("words", "WORDS")}


@pytest.mark.parametrize("action", [one.name for one in to_station(Version.V16) if (Ask, one.name) in _WORDED])
def test_every_status_of_every_command_has_words_of_its_own(action: str) -> None:
    statuses = schema_of(Version.V16, action, "response").get("properties", {}).get("status", {}).get("enum", [])
    texts = [asked(action, examples_of(Version.V16)[action], {"status": status}) for status in statuses]
    assert len({words.text for words in texts}) == len(statuses)
    assert not [words for words in texts if "«" in words.text or f"do {action}" in words.text]
    failed = describe(
        Exchange(action, from_station=False, outcome="timed_out", request=examples_of(Version.V16)[action])
    )
    assert failed.text.endswith(": no answer.")


@pytest.mark.parametrize("action", [one.name for one in from_station(Version.V16) if (Tell, one.name) in _WORDED])
def test_every_status_that_stations_report_is_known(action: str) -> None:
    statuses = schema_of(Version.V16, action, "request").get("properties", {}).get("status", {}).get("enum", [])
    for status in statuses:
        assert "«" not in told(action, {"status": status, "errorCode": "NoError", "connectorId": 1}).text
    assert f"sent {action}" not in told(action, {}).text


def test_every_error_code_is_explained() -> None:
    codes = schema_of(Version.V16, "StatusNotification", "request")["properties"]["errorCode"]["enum"]
    for code in codes:
        words = told("StatusNotification", {"connectorId": 1, "status": "Faulted", "errorCode": code})
        assert words.level is Level.ERROR
        assert "«" not in words.text


@pytest.mark.parametrize(
    ("exchange", "text", "level"),
    [
        (
            Exchange("Reset", from_station=False, outcome="refused", request={}, error_code="NotSupported"),
            "Asked to restart: refused, the action is known but not supported.",
            Level.ERROR,
        ),
        (
            Exchange("ClearCache", from_station=False, outcome="timed_out"),
            "Asked to forget the cards it remembers: no answer.",
            Level.ERROR,
        ),
        (
            Exchange("Reset", from_station=False, outcome="disconnected", request={"type": "Hard"}),
            "Asked to restart at once: the connection ended before the answer.",
            Level.ERROR,
        ),
        (
            Exchange("Heartbeat", from_station=True, outcome="refused", error_code="SecurityError"),
            "Heartbeat was refused: the station is not accepted yet.",
            Level.WARNING,
        ),
        (
            Exchange("StatusNotification", from_station=True, outcome="refused", error_code="TypeConstraintViolation"),
            "StatusNotification of the station was refused: a field is of the wrong type.",
            Level.ERROR,
        ),
        (
            Exchange("Heartbeat", from_station=True, outcome="duplicate"),
            "The station repeated Heartbeat; it got the same answer again.",
            Level.INFO,
        ),
        (
            Exchange(None, from_station=True, outcome="malformed"),
            "The station sent something that is no OCPP message.",
            Level.ERROR,
        ),
        (Exchange(None, from_station=False, outcome="late"), "An answer came that nobody waited for.", Level.WARNING),
        (
            Exchange(None, from_station=True, outcome="ignored"),
            "A message that asks for nothing was ignored.",
            Level.INFO,
        ),
    ],
    ids=lambda value: value.outcome if isinstance(value, Exchange) else "",
)
def test_failures_of_any_message(exchange: Exchange, text: str, level: Level) -> None:
    words = describe(exchange)
    assert (words.text, words.level) == (text, level)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    [
        "status",
        "idTag",
        "idTagInfo",
        "connectorId",
        "key",
        "value",
        "meterValue",
        "csChargingProfiles",
        "localAuthorizationList",
        "meterStart",
        "requestedMessage",
        "configurationKey",
        "unknownKey",
        "listVersion",
        "fileName",
        "transactionId",
        "errorCode",
        "type",
        "reason",
        "info",
    ]
)


@given(
    action=st.sampled_from(sorted(ACTIONS[Version.V16])) | st.none() | st.text(max_size=5),
    is_from_station=st.booleans(),
    outcome=st.sampled_from([outcome.value for outcome in FrameOutcome]),
    request_=st.dictionaries(_FIELDS, _JSON, max_size=6),
    answer=st.dictionaries(_FIELDS, _JSON, max_size=6),
)
def test_no_payload_whatever_breaks_it(
    action: str | None, *, is_from_station: bool, outcome: str, request_: dict[str, Any], answer: dict[str, Any]
) -> None:
    words = describe(Exchange(action, is_from_station, outcome, request_, answer))
    assert words.text


@pytest.mark.robustness(48)
@given(
    tag=st.text(st.sampled_from("0123456789ABCDEF"), min_size=5, max_size=20),
    action=st.sampled_from(sorted(ACTIONS[Version.V16])),
    is_from_station=st.booleans(),
    outcome=st.sampled_from([outcome.value for outcome in FrameOutcome]),
)
def test_no_words_hold_a_whole_id_tag(tag: str, action: str, *, is_from_station: bool, outcome: str) -> None:
    tag = f"Z{tag}"  # nothing else in the words looks like it
    request = {"idTag": tag, "info": f"card {tag} failed", "connectorId": 1, "status": "Faulted", "techInfo": tag}
    words = describe(Exchange(action, is_from_station, outcome, request, {"status": tag}, "GenericError", f"no {tag}"))
    assert tag not in str(words)


@pytest.mark.parametrize(("tag", "shown"), [(TAG, "…1234"), ("12345", "…2345"), ("1234", "…4"), ("1", "…"), ("", "…")])
def test_short_tags_are_not_shown_whole_either(tag: str, shown: str) -> None:
    assert masked_tag(tag) == shown


def _note(work: Work, station: Station, action: str, request: dict[str, Any], answer: dict[str, Any]) -> int:
    return record(
        work,
        organisation_id=station.organisation_id,
        station_id=station.id,
        connection_id=None,
        at=work.now,
        from_station=True,
        outcome=FrameOutcome.ANSWERED,
        action=action,
        message_id="m1",
        request=orjson.dumps([2, "m1", action, request]).decode(),
        answer=orjson.dumps([3, "m1", answer]).decode(),
        answered_at=work.now,
    )


def _refused_card(work: Work, station: Station) -> int:
    return _note(work, station, "Authorize", {"idTag": TAG}, {"idTagInfo": {"status": "Blocked"}})


def _url(station: Station, rest: str = "") -> str:
    return f"/api/v1/stations/{station.identity}/logs{rest}"


async def test_the_log_says_why_and_shows_the_frame(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    work = store.note()
    log_id = _refused_card(work, station)
    await store.commit_all([work])
    (line,) = (await api.get(_url(station))).json()["items"]
    assert line == {
        "id": str(log_id),
        "station_id": station.identity,
        "at": "2026-01-01T00:00:00Z",
        "action": "Authorize",
        "level": "warning",
        "text": "Card …1234 was refused: it is blocked.",
        "why": "The card is blocked in the list of tokens.",
        "what_to_do": "Unblock it if its holder may charge.",
    }
    detail = (await api.get(_url(station, f"/{log_id}"))).json()
    assert detail["exchange"]["request"]["parsed"] == [2, "m1", "Authorize", {"idTag": TAG}]
    assert {name: detail[name] for name in line} == line
    assert (await api.get(_url(station, "/1"))).status_code == 404


async def test_the_log_is_filtered_by_several_codes_and_paged_by_level(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    work = store.note()
    refused = [_refused_card(work, station)]
    for _ in range(600):
        _note(work, station, "Heartbeat", {}, {})
    refused.append(_refused_card(work, station))
    started = _note(work, station, "BootNotification", {}, {"status": "Accepted"})
    await store.commit_all([work])

    async def ids(**params: Any) -> tuple[list[int], str | None]:
        answer = await api.get(_url(station), params=params)
        assert answer.status_code == 200, answer.text
        return [int(item["id"]) for item in answer.json()["items"]], answer.json()["next_cursor"]

    assert await ids(action=["Authorize", "BootNotification"]) == ([started, *refused[::-1]], None)
    assert await ids(level=["warning", "error"]) == (refused[::-1], None)
    first, cursor = await ids(level="warning", limit=1)
    assert first == [refused[1]]
    assert await ids(level="warning", limit=1, cursor=cursor) == ([refused[0]], None)
    page, cursor = await ids(limit=2)
    assert page == [started, refused[1]]
    rest, cursor = await ids(limit=500, cursor=cursor)
    last, end = await ids(limit=500, cursor=cursor)
    assert (len(rest), len(last), last[-1], end) == (500, 101, refused[0], None)
    assert (await api.get(_url(station), params={"cursor": "x"})).status_code == 422


async def test_other_organisations_logs_do_not_exist(anonymous: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    station = await make_station(store)
    work = store.note()
    log_id = _refused_card(work, station)
    await store.commit_all([work])
    other = await api_as("administrator", await make_organisation(store, "Other"))
    for path in ("", f"/{log_id}"):
        assert (await anonymous.get(_url(station, path))).status_code == 401
        assert (await other.get(_url(station, path))).status_code == 404
        assert (await (await api_as("user")).get(_url(station, path))).status_code == 200
