"""B3: questions about customers over the API and a real socket, in both versions that know them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.rights import Role
from csms.runtime import Runtime
from csms.station.communication_logs import Frame
from csms.station.customer_information.jobs import give_up
from tests.api_client import ApiAs
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = [pytest.mark.feature("B3"), pytest.mark.ocpp("2.x CustomerInformation", "2.x NotifyCustomerInformation")]
PATH = "/api/v1/stations/CS-1/customer-information"
AT = "2026-01-01T00:00:00Z"


@pytest.fixture(params=VERSIONS_2)
async def station(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version(request.param)) as booted:
        booted.answers["CustomerInformation"] = {"status": "Accepted"}
        yield booted


async def ask(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"token": "04E91C5A6F2A80", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def read(api: httpx.AsyncClient, question: dict[str, Any]) -> dict[str, Any]:
    return dict((await api.get(f"{PATH}/{question['id']}")).json())


async def tell(station: ScriptedStation, number: int, text: str, *, more: bool) -> None:
    request_id = station.sent("CustomerInformation")[-1]["requestId"]
    await station.call(
        "NotifyCustomerInformation", requestId=request_id, seqNo=number, data=text, tbc=more, generatedAt=AT
    )


@pytest.mark.octt("TC_N_27_CSMS")
async def test_the_parts_are_put_together_whatever_their_order(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    asked = await ask(api)
    assert (asked["state"], asked["text"]) == ("awaited", "")
    request = station.sent("CustomerInformation")[0]
    assert (request["report"], request["clear"], request["idToken"]["idToken"]) == (True, False, "04E91C5A6F2A80")
    await tell(station, 1, "two charges", more=True)
    await tell(station, 0, "Kari, ", more=True)
    assert (await read(api, asked))["state"] == "awaited"
    await tell(station, 2, " in May", more=False)
    told = await read(api, asked)
    assert (told["state"], told["text"]) == ("complete", "Kari, two charges in May")


async def test_raw_frames_do_not_keep_what_was_told(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    asked = await ask(api)
    await tell(station, 0, "Kari Nordmann", more=False)
    async with runtime.store.reading() as work:
        frames = (await work.session.exec(select(Frame.request))).all()
    assert not any("Nordmann" in (text or "") for text in frames)
    assert (await api.delete(f"{PATH}/{asked['id']}")).status_code == 204
    assert (await api.get(PATH)).json()["items"] == []


@pytest.mark.octt("TC_N_32_CSMS")
async def test_deletion_alone_is_done_with_the_answer(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    done = await ask(api, token=None, identifier="Customer 7", wants_report=False, wants_deletion=True)
    assert (done["state"], done["subject"]) == ("complete", "customer Customer 7")
    request = station.sent("CustomerInformation")[0]
    assert (request["clear"], request["customerIdentifier"]) == (True, "Customer 7")


CERTIFICATE = {"hashAlgorithm": "SHA256", "issuerNameHash": "ab", "issuerKeyHash": "cd", "serialNumber": "f1"}
BY_CERTIFICATE = {
    "token": None,
    "certificate": {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": "ab",
        "issuer_key_hash": "cd",
        "serial_number": "f1",
    },
}


@pytest.mark.parametrize(
    ("asked", "who", "text"),
    [
        pytest.param({}, "idToken", "", marks=pytest.mark.octt("TC_N_28_CSMS"), id="nothing is known"),
        pytest.param(
            {"wants_deletion": True}, "idToken", "Kari", marks=pytest.mark.octt("TC_N_30_CSMS"), id="and deleted"
        ),
        pytest.param(
            {"wants_deletion": True}, "idToken", "", marks=pytest.mark.octt("TC_N_31_CSMS"), id="nothing to delete"
        ),
        pytest.param(
            {"token": None, "identifier": "OpenChargeAlliance", "wants_deletion": True},
            "customerIdentifier",
            "Kari",
            marks=pytest.mark.octt("TC_N_62_CSMS"),
            id="by a name",
        ),
        pytest.param(
            {**BY_CERTIFICATE, "wants_deletion": True},
            "customerCertificate",
            "Kari",
            marks=pytest.mark.octt("TC_N_63_CSMS"),
            id="by a certificate",
        ),
    ],
)
async def test_a_customer_is_named_in_one_way_and_reported_or_deleted(
    api: httpx.AsyncClient, station: ScriptedStation, *, asked: dict[str, Any], who: str, text: str
) -> None:
    question = await ask(api, **asked)
    request = station.sent("CustomerInformation")[0]
    assert (request["report"], request["clear"]) == (True, asked.get("wants_deletion", False))
    assert {"idToken", "customerIdentifier", "customerCertificate"} & set(request) == {who}
    assert who != "customerCertificate" or request[who] == CERTIFICATE
    await tell(station, 0, text, more=False)
    told = await read(api, question)
    assert (told["state"], told["text"]) == ("complete", text)


@pytest.mark.octt("TC_N_29_CSMS")
@pytest.mark.parametrize(
    ("word", "reason"), [("Invalid", "the station found the question"), ("Rejected", "the station will not do it")]
)
async def test_a_refusal_is_kept_with_its_reason(
    api: httpx.AsyncClient, station: ScriptedStation, word: str, reason: str
) -> None:
    station.answers["CustomerInformation"] = {"status": word}
    refused = await ask(api)
    assert (refused["state"], (refused["reason"] or "").startswith(reason)) == ("refused", True)
    del station.answers["CustomerInformation"]
    assert (await ask(api))["reason"] == "the station answered NotSupported: it may not know how"


async def test_parts_that_stay_away_are_given_up(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation, clock: FixedClock
) -> None:
    asked = await ask(api)
    await tell(station, 0, "Kari", more=True)
    clock.advance(minutes=11)
    await give_up(runtime)
    told = await read(api, asked)
    assert (told["state"], told["text"]) == ("incomplete", "Kari")


async def test_only_those_who_manage_customers_see_it(api_as: ApiAs, station: ScriptedStation) -> None:
    user = await api_as(Role.USER)
    assert (await user.get(PATH)).status_code == 403


async def test_a_1_6_station_cannot_be_asked(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V16.value)
    answer = await api.post(PATH, json={"token": "04E91C5A6F2A80"})
    assert (answer.status_code, answer.json()["detail"][:22]) == (409, "OCPP 1.6 cannot ask fo")
