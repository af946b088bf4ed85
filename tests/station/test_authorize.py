"""S27: the verdict on a token: kinds, groups, places, limits, certificates; in all versions."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.schema import check
from csms.ocpp.timestamps import write
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.tokens import ChainStatus, TokenKind, TokenStatus, read_id_token
from csms.station.tokens.rules import are_same_kind, kind_word, with_chain
from csms.store import Store
from tests.builders import CallingStation, connect, make_station

pytestmark = pytest.mark.feature("S27")
TOKENS, POLICY = "/api/v1/tokens", "/api/v1/token-policy"
UID = "04E91C5A6F2A80"
START = {"connectorId": 1, "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}


@pytest.fixture(params=VERSIONS_2)
def version_2(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


@pytest.fixture
async def calling(store: Store, version_2: Version) -> CallingStation:
    return await connect(store, await make_station(store, site="Harbour", tags=["staff"]), version_2)


async def _register(api: httpx.AsyncClient, **fields: Any) -> str:
    answer = await api.post(TOKENS, json={"uid": UID, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _asks(calling: CallingStation, uid: str = UID, kind: str = "ISO14443", **more: Any) -> dict[str, Any]:
    answer = await calling.call("Authorize", idToken={"idToken": uid, "type": kind}, **more)
    assert check(calling.connected.version, "Authorize", "response", answer) is None
    return answer


async def _status(calling: CallingStation, uid: str = UID, kind: str = "ISO14443") -> str:
    return str((await _asks(calling, uid, kind))["idTokenInfo"]["status"])


async def _status_16(store: Store, **station: Any) -> str:
    calling = await connect(store, await make_station(store, **station))
    return str((await calling.call("Authorize", idTag=UID))["idTagInfo"]["status"])


@pytest.mark.ocpp("2.x Authorize")
async def test_all_that_is_known_of_a_token_reaches_the_station(
    api: httpx.AsyncClient, calling: CallingStation, clock: FixedClock
) -> None:
    end = clock() + timedelta(days=9)
    await _register(
        api,
        kind="iso14443",
        group_uid="FLEET-1",
        group_kind="key_code",
        valid_until=end.isoformat(),
        language="nb",
        second_language="en",
        personal_message="Hei, Alex",
        charging_priority=3,
        allowed_at=[{"station_id": calling.connected.identity, "charge_point_numbers": [2, 1]}],
    )
    answer = await _asks(calling, UID.lower())
    assert answer == {
        "idTokenInfo": {
            "status": "Accepted",
            "cacheExpiryDateTime": write(end),
            "chargingPriority": 3,
            "language1": "nb",
            "evseId": [1, 2],
            "groupIdToken": {"idToken": "FLEET-1", "type": "KeyCode"},
            "language2": "en",
            "personalMessage": {"format": "UTF8", "language": "nb", "content": "Hei, Alex"},
        }
    }


@pytest.mark.ocpp("1.6 Authorize", "2.x Authorize")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ("Accepted", "Accepted")),
        ({"is_blocked": True}, ("Blocked", "Blocked")),
        ({"is_out_of_credit": True}, ("NoCredit", "Blocked")),
        ({"valid_until": "2001-01-01T00:00:00Z"}, ("Expired", "Expired")),
        ({"valid_from": "2101-01-01T00:00:00Z"}, ("NotAtThisTime", "Invalid")),
        ({"allowed_at": []}, ("NotAtThisLocation", "Invalid")),
        ({"allowed_at": [{"site": "Elsewhere"}, {"tag": "guests"}]}, ("NotAtThisLocation", "Invalid")),
        ({"allowed_at": [{"site": "Elsewhere"}, {"tag": "staff"}]}, ("Accepted", "Accepted")),
        ({"allowed_at": [{"site": "Harbour"}]}, ("Accepted", "Accepted")),
        ({"kind": "key_code"}, ("Invalid", "Accepted")),
        ({"kind": "iso15693"}, ("Accepted", "Accepted")),
    ],
    ids=str,
)
@pytest.mark.octt("TC_023_2_CSMS", "TC_023_3_CSMS", "TC_C_06_CSMS", "TC_C_07_CSMS")
async def test_a_token_is_judged_alike_in_every_version(
    api: httpx.AsyncClient, store: Store, calling: CallingStation, fields: dict[str, Any], words: tuple[str, str]
) -> None:
    await _register(api, **fields)
    assert (await _status(calling), await _status_16(store, site="Harbour", tags=["staff"])) == words


@pytest.mark.octt("TC_023_1_CSMS", "TC_C_02_CSMS")
async def test_an_unknown_token_is_unknown_in_2_and_invalid_in_1_6(store: Store, calling: CallingStation) -> None:
    assert await _asks(calling) == {"idTokenInfo": {"status": "Unknown"}}
    assert await _status_16(store) == "Invalid"


async def test_who_lets_anybody_charge_needs_no_token(calling: CallingStation) -> None:
    assert await _asks(calling, "", "NoAuthorization") == {"idTokenInfo": {"status": "Accepted"}}


async def test_a_word_of_no_standard_is_a_kind_of_its_own(api: httpx.AsyncClient, store: Store) -> None:
    calling = await connect(store, await make_station(store), Version.V21)
    token_id = await _register(api, kind="key_code")
    assert await _status(calling, kind="x-face") == "Invalid"
    assert (await api.patch(f"{TOKENS}/{token_id}", json={"kind": "other"})).status_code == 200
    assert await _status(calling, kind="x-face") == "Accepted"


@pytest.mark.robustness(26)
@pytest.mark.parametrize("token", [None, 7, [], {}, {"idToken": 5}, {"idToken": None, "type": {}}], ids=str)
async def test_an_odd_token_is_unknown_and_no_crash(calling: CallingStation, token: Any) -> None:
    answer = await calling.call("Authorize", idToken=token)
    assert answer["idTokenInfo"]["status"] == "Unknown"


async def test_the_card_of_a_group_belongs_to_it(api: httpx.AsyncClient, store: Store, calling: CallingStation) -> None:
    """Presented itself, it must show the group too, or the station could not match it (1.6, 4.10; 2.0.1 C09)."""
    await api.post(TOKENS, json={"uid": "PARENT", "kind": "iso14443"})
    assert "groupIdToken" not in (await _asks(calling, "PARENT"))["idTokenInfo"]
    await _register(api, group_uid="parent")
    info = (await _asks(calling, "PARENT"))["idTokenInfo"]
    assert info["groupIdToken"] == {"idToken": "PARENT", "type": "ISO14443"}
    assert (await _asks(calling))["idTokenInfo"]["groupIdToken"] == {"idToken": "parent", "type": "Central"}


async def test_tokens_of_a_group_and_kind_can_be_listed(api: httpx.AsyncClient) -> None:
    await _register(api, group_uid="Fleet", kind="emaid")
    await api.post(TOKENS, json={"uid": "OTHER"})
    for params in ({"group_uid": "FLEET"}, {"kind": "emaid"}):
        assert [one["uid"] for one in (await api.get(TOKENS, params=params)).json()["items"]] == [UID]


async def test_a_master_pass_ends_charges_and_begins_none(
    api: httpx.AsyncClient, store: Store, calling: CallingStation
) -> None:
    await _register(api, group_uid="MASTER")
    policy = {"unknown_tokens": "refuse", "master_pass_group_uid": "master"}
    assert (await api.put(POLICY, json=policy)).status_code == 200
    assert await _status(calling) == "Accepted"
    old = await connect(store, await make_station(store))
    assert (await old.call("Authorize", idTag=UID))["idTagInfo"]["status"] == "Accepted"
    assert (await old.call("StartTransaction", idTag=UID, **START))["idTagInfo"]["status"] == "Invalid"


@pytest.mark.ocpp("2.x TransactionEvent")
@pytest.mark.parametrize(
    "ended",
    [
        pytest.param([1, 2], marks=pytest.mark.octt("TC_C_47_CSMS", "TC_C_49_CSMS"), id="all"),
        pytest.param([2], marks=pytest.mark.octt("TC_C_48_CSMS"), id="one"),
    ],
)
async def test_a_master_pass_ends_the_charges_of_others(
    api: httpx.AsyncClient, calling: CallingStation, ended: list[int]
) -> None:
    """2.0.1 C16: on a station with a display the chosen ones, without one all of them."""
    await _register(api, group_uid="MASTER")
    await api.post(TOKENS, json={"uid": "DRIVER", "kind": "iso14443"})
    await api.put(POLICY, json={"unknown_tokens": "refuse", "master_pass_group_uid": "master"})

    async def tell(kind: str, trigger: str, number: int, uid: str, **info: str) -> dict[str, Any]:
        told = {"eventType": kind, "triggerReason": trigger, "timestamp": START["timestamp"], "evse": {"id": number}}
        transaction = {"transactionId": f"T-{number}", **info}
        token = {"idToken": uid, "type": "ISO14443"}
        seq_no = 0 if kind == "Started" else 1
        return await calling.call("TransactionEvent", **told, seqNo=seq_no, transactionInfo=transaction, idToken=token)

    for number in (1, 2):
        assert (await tell("Started", "Authorized", number, "DRIVER"))["idTokenInfo"]["status"] == "Accepted"
    answers = [await _asks(calling)]
    answers += [await tell("Ended", "StopAuthorized", number, UID, stoppedReason="MasterPass") for number in ended]
    for answer in answers:
        info = answer["idTokenInfo"]
        assert (info["status"], info["groupIdToken"]["idToken"]) == ("Accepted", "MASTER")
    logs = (await api.get("/api/v1/charge-logs")).json()["items"]
    assert sorted(log["charge_point_number"] for log in logs if log["state"] == "finished") == ended


async def test_the_policy_may_allow_one_charge_at_a_time(api: httpx.AsyncClient, store: Store) -> None:
    await _register(api)
    await api.put(POLICY, json={"unknown_tokens": "refuse", "is_one_charge_at_a_time": True})
    first, second = [await connect(store, await make_station(store)) for _ in range(2)]
    assert (await first.call("StartTransaction", idTag=UID, **START))["idTagInfo"]["status"] == "Accepted"
    assert (await second.call("Authorize", idTag=UID))["idTagInfo"]["status"] == "Accepted", "it may still be a stop"
    assert (await second.call("StartTransaction", idTag=UID, **START))["idTagInfo"]["status"] == "ConcurrentTx"


async def test_stations_go_by_an_answer_as_long_as_the_policy_says(
    api: httpx.AsyncClient, calling: CallingStation, clock: FixedClock
) -> None:
    await api.put(POLICY, json={"unknown_tokens": "accept", "cache_kept_s": 3600})
    in_an_hour, soon = clock() + timedelta(hours=1), clock() + timedelta(minutes=5)
    assert (await _asks(calling))["idTokenInfo"]["cacheExpiryDateTime"] == write(in_an_hour)
    await _register(api, valid_until=soon.isoformat())
    assert (await _asks(calling))["idTokenInfo"]["cacheExpiryDateTime"] == write(soon), "its own end comes first"


async def test_a_start_at_a_charge_point_that_the_token_may_not_use_is_refused(
    api: httpx.AsyncClient, store: Store
) -> None:
    calling = await connect(store, await make_station(store))
    await _register(api, allowed_at=[{"station_id": calling.connected.identity, "charge_point_numbers": [2]}])
    assert (await calling.call("StartTransaction", idTag=UID, **START))["idTagInfo"]["status"] == "Invalid"
    elsewhere = START | {"connectorId": 2}
    assert (await calling.call("StartTransaction", idTag=UID, **elsewhere))["idTagInfo"]["status"] == "Accepted"
    log = (await api.get("/api/v1/charge-logs")).json()["items"][-1]
    assert log["verdict"] == "not_allowed_type_evse"


@pytest.mark.parametrize(
    ("status", "chain", "expected"),
    [
        (TokenStatus.ACCEPTED, ChainStatus.VALID, ("Accepted", TokenStatus.ACCEPTED)),
        (TokenStatus.BLOCKED, ChainStatus.VALID, ("ContractCancelled", TokenStatus.BLOCKED)),
        (TokenStatus.UNKNOWN, ChainStatus.VALID, ("ContractCancelled", TokenStatus.UNKNOWN)),
        (TokenStatus.NO_CREDIT, ChainStatus.VALID, ("Accepted", TokenStatus.NO_CREDIT)),
        (TokenStatus.ACCEPTED, ChainStatus.EXPIRED, ("CertificateExpired", TokenStatus.EXPIRED)),
        (TokenStatus.ACCEPTED, ChainStatus.REVOKED, ("CertificateRevoked", TokenStatus.INVALID)),
        (TokenStatus.BLOCKED, ChainStatus.UNVERIFIABLE, ("CertChainError", TokenStatus.INVALID)),
    ],
)
def test_certificate_and_token_are_told_together(
    status: TokenStatus, chain: ChainStatus, expected: tuple[str, TokenStatus]
) -> None:
    assert with_chain(status, chain) == expected


async def test_a_contract_whose_certificate_nobody_can_verify_is_refused(
    api: httpx.AsyncClient, calling: CallingStation
) -> None:
    """2.0.1 C07.FR.17"""
    await _register(api, kind="emaid")
    answer = await _asks(calling, UID, "eMAID", certificate="no certificate")
    assert (answer["certificateStatus"], answer["idTokenInfo"]["status"]) == ("CertChainError", "Invalid")
    assert "certificateStatus" not in await _asks(calling, UID, "eMAID")


@pytest.mark.parametrize("word", ["Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "VIN"])
def test_a_kind_is_read_and_written_alike(word: str) -> None:
    _, kind = read_id_token({"idToken": "X", "type": word})
    assert kind is not None
    assert kind_word(kind, is_21=True) == word


def test_2_0_1_has_no_word_for_kinds_of_2_1() -> None:
    assert kind_word(TokenKind.VIN) == "Central"
    assert kind_word(None) == "ISO14443"


def test_a_typed_in_card_number_is_no_card() -> None:
    assert not are_same_kind(TokenKind.ISO14443, TokenKind.KEY_CODE)
    assert are_same_kind(TokenKind.ISO14443, TokenKind.CENTRAL)
    assert are_same_kind(None, TokenKind.KEY_CODE)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "card"},
        {"allowed_at": [{}]},
        {"allowed_at": [{"site": "A", "tag": "B"}]},
        {"allowed_at": [{"site": "A", "charge_point_numbers": [0]}]},
        {"charging_priority": 10},
        {"language": "norwegian bokmål"},
        {"personal_message": ""},
        {"additional_info": [{"additional_id": "A"}]},
    ],
    ids=str,
)
async def test_what_no_token_can_have_is_refused(api: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    assert (await api.post(TOKENS, json={"uid": UID, **fields})).status_code == 422


async def test_the_further_ids_of_a_token_are_kept(api: httpx.AsyncClient) -> None:
    info = [{"additional_id": "NL-TNM-1", "kind": "contract"}]
    token_id = await _register(api, additional_info=info, group_uid="G")
    assert (await api.get(f"{TOKENS}/{token_id}")).json()["additional_info"] == info
    changed = (await api.patch(f"{TOKENS}/{token_id}", json={"group_uid": None})).json()
    assert (changed["group_uid"], changed["additional_info"]) == (None, info)
