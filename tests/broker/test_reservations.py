"""S9: reservations over the API and a real socket, in every version."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeLog
from csms.station.reservations.jobs import end_by_time
from csms.station.reservations.service.sending import cancel_pending
from tests.broker.conftest import Bench, eventually
from tests.broker.scripted import ScriptedStation, scripted

pytestmark = pytest.mark.feature("S9")
PATH = "/api/v1/stations/CS-1/reservations"
CARD, OTHER = "04E91C5A6F2A80", "04FFFFFFFFFFFF"
ACCEPTED = {"status": "Accepted"}


@pytest.fixture(params=[Version.V16, *VERSIONS_2])
async def station(
    request: pytest.FixtureRequest, bench: Bench, api: httpx.AsyncClient
) -> AsyncIterator[ScriptedStation]:
    for uid in (CARD, OTHER):
        await api.post("/api/v1/tokens", json={"uid": uid, "kind": "iso14443", "group_uid": f"G-{uid[-4:]}"})
    async with scripted(bench, Version(request.param)) as booted:
        await booted.tell_status(1)
        await booted.tell_status(2)
        booted.answers |= {"ReserveNow": ACCEPTED, "CancelReservation": ACCEPTED}
        yield booted


def body(clock: FixedClock, **fields: Any) -> dict[str, Any]:
    return {"charge_point_number": 1, "token": CARD, "until": write(clock() + timedelta(hours=1)), **fields}


async def reserve(api: httpx.AsyncClient, clock: FixedClock, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json=body(clock, **fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def state_of(api: httpx.AsyncClient, reservation: dict[str, Any]) -> dict[str, Any]:
    return dict((await api.get(f"{PATH}/{reservation['id']}")).json())


async def status_of(api: httpx.AsyncClient, number: int = 1) -> str:
    points = (await api.get("/api/v1/stations/CS-1/charge-points")).json()
    items = points["items"] if isinstance(points, dict) else points
    return str(next(one["status"] for one in items if one["number"] == number))


async def start(
    station: ScriptedStation, clock: FixedClock, token: str = CARD, *, number: int = 1, reservation: int | None = None
) -> str:
    """A charge begins; returns what the station is told of the token."""
    named = {} if reservation is None else {"reservationId": reservation}
    at = write(clock())
    if station.version is Version.V16:
        answer = await station.call(
            "StartTransaction", connectorId=number, idTag=token, meterStart=0, timestamp=at, **named
        )
        return str(answer["idTagInfo"]["status"])
    answer = await station.call(
        "TransactionEvent",
        eventType="Started",
        timestamp=at,
        triggerReason="Authorized",
        seqNo=0,
        transactionInfo={"transactionId": f"T-{token}-{number}"},
        evse={"id": number, "connectorId": 1},
        idToken={"idToken": token, "type": "ISO14443"},
        **named,
    )
    return str(answer["idTokenInfo"]["status"])


@pytest.mark.ocpp("1.6 ReserveNow", "2.x ReserveNow")
@pytest.mark.octt("TC_H_01_CSMS")
async def test_a_station_keeps_a_charge_point(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock, contact="Alex")
    assert (made["state"], made["created_by"], made["contact"]) == ("active", made["created_by"], "Alex")
    (request,) = station.sent("ReserveNow")
    until = write(clock() + timedelta(hours=1))
    if station.version is Version.V16:
        assert request == {
            "connectorId": 1,
            "expiryDate": until,
            "idTag": CARD,
            "parentIdTag": "G-2A80",
            "reservationId": made["number"],
        }
    else:
        assert request == {
            "id": made["number"],
            "expiryDateTime": until,
            "idToken": {"idToken": CARD, "type": "ISO14443"},
            "evseId": 1,
            "groupIdToken": {"idToken": "G-2A80", "type": "Central"},
        }
    assert await status_of(api) == "reserved"
    assert (await api.get(PATH)).json()["items"] == [await state_of(api, made)]


@pytest.mark.parametrize("word", ["Faulted", "Occupied", "Unavailable", "Rejected"])
@pytest.mark.octt("TC_048_1_CSMS", "TC_048_2_CSMS", "TC_048_3_CSMS", "TC_048_4_CSMS", "TC_H_22_CSMS")
async def test_the_station_s_own_word_is_kept_when_it_says_no(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, word: str
) -> None:
    station.answers["ReserveNow"] = {"status": word}
    made = await reserve(api, clock)
    assert (made["state"], made["station_word"]) == ("refused", word)
    assert made["reason"]
    station.answers["ReserveNow"] = ACCEPTED
    assert (await reserve(api, clock))["state"] == "active", "a refused one keeps nobody out"


async def test_a_station_that_does_not_know_how_refuses(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    del station.answers["ReserveNow"]
    made = await reserve(api, clock)
    assert made["state"] == "refused"
    assert "NotSupported" in made["reason"]


@pytest.mark.ocpp("1.6 CancelReservation", "2.x CancelReservation")
@pytest.mark.octt("TC_051_CSMS", "TC_H_17_CSMS")
async def test_a_reservation_is_cancelled(station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock) -> None:
    made = await reserve(api, clock)
    cancelled = (await api.post(f"{PATH}/{made['id']}/cancel")).json()
    assert cancelled["state"] == "cancelled"
    assert station.sent("CancelReservation") == [{"reservationId": made["number"]}]
    assert await status_of(api) == "available"
    assert (await api.post(f"{PATH}/{made['id']}/cancel")).status_code == 409


@pytest.mark.octt("TC_052_CSMS")
async def test_a_station_that_rejects_to_cancel_has_no_such_reservation(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock)
    station.answers["CancelReservation"] = {"status": "Rejected"}
    cancelled = (await api.post(f"{PATH}/{made['id']}/cancel")).json()
    assert (cancelled["state"], cancelled["station_word"]) == ("cancelled", "Rejected")


async def test_a_registered_token_can_be_named_by_its_id(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    (token,) = (await api.get("/api/v1/tokens", params={"q": CARD})).json()["items"]
    made = await reserve(api, clock, token=None, token_id=token["id"])
    assert (made["state"], made["token"], made["group_uid"]) == ("active", CARD, "G-2A80")


async def test_a_place_is_kept_once(station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock) -> None:
    await reserve(api, clock)
    refused = await api.post(PATH, json=body(clock, token=OTHER))
    assert refused.status_code == 409
    assert "charge point 1 is reserved" in refused.json()["detail"]
    assert (await reserve(api, clock, token=OTHER, charge_point_number=2))["state"] == "active"
    full = await api.post(PATH, json=body(clock, token=OTHER, charge_point_number=None))
    assert "all 2 charge points are reserved" in full.json()["detail"]


@pytest.mark.octt("TC_H_14_CSMS")
async def test_as_many_reservations_of_any_charge_point_as_there_are_charge_points(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    for uid in (CARD, OTHER):
        assert (await reserve(api, clock, token=uid, charge_point_number=None))["state"] == "active"
    assert (await api.post(PATH, json=body(clock, token="04AAAA", charge_point_number=None))).status_code == 409
    assert len({request.get("reservationId", request.get("id")) for request in station.sent("ReserveNow")}) == 2


async def test_of_two_at_once_one_gets_the_place(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    answers = await asyncio.gather(*(api.post(PATH, json=body(clock, token=uid)) for uid in (CARD, OTHER)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len(station.sent("ReserveNow")) == 1


@pytest.mark.octt("TC_046_CSMS", "TC_H_01_CSMS")
async def test_a_charge_uses_its_reservation(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, bench: Bench
) -> None:
    made = await reserve(api, clock)
    assert await start(station, clock, reservation=made["number"]) == "Accepted"
    used = await state_of(api, made)
    assert used["state"] == "used"
    async with bench.store.reading() as work:
        log = (await work.session.exec(select(ChargeLog).order_by(col(ChargeLog.id).desc()))).one()
    assert used["charge_log_id"] == str(log.id)
    assert (await reserve(api, clock, charge_point_number=2))["state"] == "active"


@pytest.mark.parametrize("station", VERSIONS_2, indirect=True)
async def test_the_token_may_come_after_the_charge_began(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    """2.0.1 E03: first the cable, then the card."""
    made = await reserve(api, clock)
    event = {
        "timestamp": write(clock()),
        "transactionInfo": {"transactionId": "T-1"},
        "evse": {"id": 1, "connectorId": 1},
    }
    await station.call("TransactionEvent", eventType="Started", triggerReason="CablePluggedIn", seqNo=0, **event)
    assert (await state_of(api, made))["state"] == "active"
    card = {"idToken": CARD, "type": "ISO14443"}
    await station.call(
        "TransactionEvent",
        eventType="Updated",
        triggerReason="Authorized",
        seqNo=1,
        idToken=card,
        reservationId=made["number"],
        **event,
    )
    used = await state_of(api, made)
    assert used["state"] == "used"
    (log,) = (await api.get("/api/v1/charge-logs")).json()["items"]
    assert used["charge_log_id"] == log["id"]


@pytest.mark.octt("TC_049_CSMS", "TC_H_08_CSMS")
async def test_a_start_that_does_not_name_its_reservation_uses_it_all_the_same(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock, charge_point_number=None)
    assert await start(station, clock, CARD.lower(), number=2) == "Accepted"
    assert (await state_of(api, made))["state"] == "used"


async def test_only_the_right_token_may_start_there(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock)
    refused = await start(station, clock, OTHER, reservation=made["number"])
    assert refused == ("Invalid" if station.version is Version.V16 else "NotAtThisTime")
    assert (await state_of(api, made))["state"] == "active"
    assert await start(station, clock, OTHER, number=2) == "Accepted", "the other charge point is free"


@pytest.mark.octt("TC_053_CSMS", "TC_H_19_CSMS")
async def test_a_member_of_the_group_may_use_it(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock, group_uid="g-ffff")
    assert await start(station, clock, OTHER, reservation=made["number"]) == "Accepted"
    assert (await state_of(api, made))["state"] == "used"


@pytest.mark.octt("TC_047_CSMS")
async def test_a_reservation_ends_by_time(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, runtime: Runtime
) -> None:
    made = await reserve(api, clock)
    await end_by_time(runtime)
    assert (await state_of(api, made))["state"] == "active"
    clock.advance(seconds=3600)
    await end_by_time(runtime)
    assert (await state_of(api, made))["state"] == "expired"
    assert await status_of(api) == "available"
    assert await start(station, clock, OTHER) == "Accepted"


async def test_a_start_queued_offline_uses_a_reservation_that_has_expired_meanwhile(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, runtime: Runtime
) -> None:
    made = await reserve(api, clock)
    clock.advance(seconds=3600)
    await end_by_time(runtime)
    await start(station, clock, reservation=made["number"])
    assert (await state_of(api, made))["state"] == "used"


@pytest.mark.ocpp("2.x ReservationStatusUpdate")
@pytest.mark.parametrize("station", VERSIONS_2, indirect=True)
@pytest.mark.parametrize(("word", "state"), [("Expired", "expired"), ("Removed", "removed")])
@pytest.mark.octt("TC_H_07_CSMS", "TC_H_20_CSMS")
async def test_a_station_tells_that_it_gave_a_reservation_up(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, word: str, state: str
) -> None:
    made = await reserve(api, clock)
    told = {"reservationId": made["number"], "reservationUpdateStatus": word}
    assert await station.call("ReservationStatusUpdate", **told) == {}
    ended = await state_of(api, made)
    assert (ended["state"], ended["station_word"]) == (state, word)
    assert await station.call("ReservationStatusUpdate", **told) == {}, "again changes nothing"
    assert await station.call("ReservationStatusUpdate", **told | {"reservationId": 7}) == {}
    assert await state_of(api, made) == ended


@pytest.mark.parametrize("station", [Version.V21], indirect=True)
async def test_a_reservation_that_nobody_used_in_time_has_ended(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await reserve(api, clock)
    await station.call("ReservationStatusUpdate", reservationId=made["number"], reservationUpdateStatus="NoTransaction")
    assert (await state_of(api, made))["state"] == "expired"


@pytest.mark.octt("TC_H_08_CSMS", "TC_H_15_CSMS")
async def test_any_charge_point_or_one_with_a_plug_can_be_reserved(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    connectors = [{"plug_type": "iec_62196_t2", "format": "socket"}]
    described = await api.put("/api/v1/stations/CS-1/charge-points/1/connectors", json={"connectors": connectors})
    assert described.status_code == 200, described.text
    await reserve(api, clock, charge_point_number=None)
    fields = {"charge_point_number": None, "plug_type": "iec_62196_t2", "token": OTHER}
    if station.version is Version.V16:
        assert station.sent("ReserveNow")[0]["connectorId"] == 0
        assert (await api.post(PATH, json=body(clock, **fields))).status_code == 422
        return
    assert "evseId" not in station.sent("ReserveNow")[0]
    await reserve(api, clock, **fields)
    assert station.sent("ReserveNow")[1]["connectorType"] == "sType2"


async def test_a_raw_command_s_reservation_is_kept_like_the_others(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    until = write(clock() + timedelta(hours=1))
    if station.version is Version.V16:
        request: dict[str, Any] = {"connectorId": 1, "expiryDate": until, "idTag": CARD, "reservationId": 17}
    else:
        token = {"idToken": CARD, "type": "ISO14443"}
        request = {"id": 17, "expiryDateTime": until, "idToken": token, "evseId": 1}
    assert (await api.post("/api/v1/stations/CS-1/commands/ReserveNow", json=request)).json()["outcome"] == "answered"
    (made,) = (await api.get(PATH, params={"state": "active"})).json()["items"]
    assert (made["number"], made["charge_point_number"], made["token"]) == (17, 1, CARD)
    assert (await start(station, clock, OTHER)) != "Accepted"
    await api.post("/api/v1/stations/CS-1/commands/CancelReservation", json={"reservationId": 17})
    assert (await state_of(api, made))["state"] == "cancelled"


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_a_station_that_is_away_cannot_keep_a_place_and_is_told_later_to_give_it_up(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock, runtime: Runtime, bench: Bench
) -> None:
    made = await reserve(api, clock)
    await station._client.close()
    await bench.closed()
    refused = await reserve(api, clock, charge_point_number=2)
    assert (refused["state"], refused["reason"]) == ("refused", "the station is not connected")
    waiting = (await api.post(f"{PATH}/{made['id']}/cancel")).json()
    assert (waiting["state"], waiting["cancel_requested_at"] is not None) == ("active", True)
    clock.advance(seconds=300)
    await cancel_pending(runtime)
    async with scripted(bench, Version.V16) as back:
        back.answers["CancelReservation"] = ACCEPTED
        await cancel_pending(runtime)
        assert back.sent("CancelReservation") == [{"reservationId": made["number"]}]

        async def is_cancelled() -> bool:
            return str((await state_of(api, made))["state"]) == "cancelled"

        await eventually(is_cancelled)
        assert await start(back, clock, OTHER) == "Accepted"


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_a_reservation_without_an_answer_keeps_the_place_until_it_is_over(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    station.answers["ReserveNow"] = None
    answer = await api.post(PATH, json=body(clock))
    made = answer.json()
    assert (made["state"], "may have acted" in made["reason"]) == ("requested", True)
    assert (await api.post(PATH, json=body(clock, token=OTHER))).status_code == 409
    assert (await api.post(f"{PATH}/{made['id']}/cancel")).json()["state"] == "cancelled"


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_what_cannot_be_reserved_is_refused(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    tokens = (await api.get("/api/v1/tokens", params={"q": CARD})).json()["items"]
    for fields, status in (
        ({"until": write(clock())}, 422),
        ({"until": write(clock() + timedelta(days=31))}, 422),
        ({"charge_point_number": 9}, 422),
        ({"token": "X" * 21}, 422),
        ({"token_id": tokens[0]["id"]}, 422),
        ({"token": None}, 422),
        ({"token": None, "token_id": "1"}, 422),
        ({"charge_point_number": None, "plug_type": "chademo"}, 422),
    ):
        assert (await api.post(PATH, json=body(clock, **fields))).status_code == status, fields
    await api.patch(f"/api/v1/tokens/{tokens[0]['id']}", json={"is_blocked": True})
    assert (await api.post(PATH, json=body(clock))).status_code == 409
    policy = "/api/v1/stations/CS-1/reservation-policy"
    assert (await api.get(policy)).json() == {"is_allowed": True}
    assert (await api.put(policy, json={"is_allowed": False})).json() == {"is_allowed": False}
    assert (await api.post(PATH, json=body(clock, token=OTHER))).status_code == 409
    assert station.requests == []
