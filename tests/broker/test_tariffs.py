"""S26: tariffs, settlements and VAT numbers of OCPP 2.1 over a real socket and the API."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.tariffs.rules import vat_fault
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = pytest.mark.feature("S26", "B2", "B3")
STATION = "/api/v1/stations/CS-1"
PATH = f"{STATION}/tariffs"
ACCEPTED = {"status": "Accepted"}
AT = "2026-01-01T00:00:00Z"


def tariff(tariff_id: str = "day", price: float = 0.49) -> dict[str, Any]:
    return {"tariffId": tariff_id, "currency": "EUR", "energy": {"prices": [{"priceKwh": price}]}}


@pytest.fixture
async def station(bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version.V21) as booted:
        for action in ("SetDefaultTariff", "GetTariffs", "ChangeTransactionTariff"):
            booted.answers[action] = ACCEPTED
        booted.answers["NotifyWebPaymentStarted"] = {}
        yield booted


async def put(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"tariff": tariff(), **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def states(api: httpx.AsyncClient) -> dict[str, str]:
    return {one["tariff_id"]: one["state"] for one in (await api.get(PATH)).json()["items"]}


@pytest.mark.ocpp("2.1 SetDefaultTariff")
async def test_a_default_tariff_takes_the_place_of_the_one_before(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    first = await put(api, charge_point_number=1)
    assert (first["state"], first["content"]) == ("installed", tariff())
    assert station.sent("SetDefaultTariff") == [{"evseId": 1, "tariff": tariff()}]
    await put(api, charge_point_number=1, tariff=tariff("night", 0.29))
    assert await states(api) == {"day": "gone", "night": "installed"}


@pytest.mark.ocpp("2.1 SetDefaultTariff")
async def test_a_tariff_that_is_wrong_or_refused(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    wrong = await api.post(PATH, json={"tariff": {"tariffId": "x", "energy": {"prices": []}}})
    assert (wrong.status_code, station.sent("SetDefaultTariff")) == (422, [])
    station.answers["SetDefaultTariff"] = {"status": "ConditionNotSupported"}
    refused = await put(api)
    assert (refused["state"], refused["reason"]) == (
        "refused",
        "the station cannot check one of the tariff's conditions",
    )


@pytest.mark.ocpp("2.1 GetTariffs")
async def test_what_the_station_does_not_name_any_more_is_gone(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    await put(api)
    driver = {"tariffId": "fleet", "tariffKind": "DriverTariff", "evseIds": [2], "idTokens": ["04E9"]}
    station.answers["GetTariffs"] = {**ACCEPTED, "tariffAssignments": [driver]}
    assert (await api.post(f"{PATH}/refresh")).json()["status"] == "Accepted"
    assert await states(api) == {"day": "gone", "fleet": "installed"}
    station.answers["GetTariffs"] = {"status": "NoTariff"}
    await api.post(f"{PATH}/refresh")
    assert await states(api) == {"day": "gone", "fleet": "gone"}


@pytest.mark.ocpp("2.1 ClearTariffs")
async def test_a_tariff_is_cleared(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    made = await put(api, charge_point_number=1)
    station.answers["ClearTariffs"] = {"clearTariffsResult": [{"tariffId": "day", "status": "Accepted"}]}
    assert (await api.delete(f"{PATH}/{made['id']}")).json()["state"] == "cleared"
    assert station.sent("ClearTariffs") == [{"tariffIds": ["day"], "evseId": 1}]
    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 409


@pytest.mark.ocpp("2.1 ChangeTransactionTariff")
async def test_a_running_charge_goes_on_at_another_tariff(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    await station.call(
        "TransactionEvent",
        eventType="Started",
        timestamp=AT,
        triggerReason="CablePluggedIn",
        seqNo=0,
        transactionInfo={"transactionId": "T-1"},
        evse={"id": 1, "connectorId": 1},
    )
    (charge,) = (await api.get(f"{STATION}/charge-logs")).json()["items"]
    body = {"charge_log_id": charge["id"], "tariff": tariff("night")}
    changed = await api.post(f"{PATH}/change-charge", json=body)
    assert changed.json() == {"outcome": "answered", "status": "Accepted", "reason": None}
    assert station.sent("ChangeTransactionTariff") == [{"transactionId": "T-1", "tariff": tariff("night")}]
    station.answers["ChangeTransactionTariff"] = {"status": "NoCurrencyChange"}
    refused = (await api.post(f"{PATH}/change-charge", json=body)).json()
    assert refused["reason"] == "the currency may not change during a charge"


@pytest.mark.ocpp("2.1 NotifySettlement", "2.1 NotifyWebPaymentStarted")
async def test_payments_are_kept(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    started = {"evseId": 1, "timeout": 120}
    await api.post(f"{STATION}/commands/NotifyWebPaymentStarted", json=started)
    assert station.sent("NotifyWebPaymentStarted") == [started]
    answer = await station.call(
        "NotifySettlement", pspRef="psp-9", status="Settled", settlementAmount=12.3, settlementTime=AT, receiptId="R7"
    )
    assert answer == {}
    (payment,) = (await api.get(f"{STATION}/settlements")).json()["items"]
    assert (payment["reference"], payment["amount"], payment["receipt_id"]) == ("psp-9", 12.3, "R7")


@pytest.mark.ocpp("2.1 VatNumberValidation")
async def test_no_vat_number_is_confirmed_that_nobody_has_checked(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    well_formed = await station.call("VatNumberValidation", vatNumber="DE123456789", evseId=1)
    assert (well_formed["status"], well_formed["statusInfo"]["reasonCode"]) == ("Rejected", "NotVerified")
    wrong = await station.call("VatNumberValidation", vatNumber="DE12")
    assert (wrong["status"], wrong["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidVatNumber")
    later, earlier = (await api.get(f"{STATION}/vat-checks")).json()["items"]
    assert (earlier["charge_point_number"], earlier["is_confirmed"]) == (1, False)
    assert later["reason"] == "numbers of DE have another form"


@pytest.mark.parametrize(
    ("number", "is_right"),
    [
        ("DE 123 456 789", True),
        ("ATU12345678", True),
        ("NL123456789B01", True),
        ("NO123456785MVA", True),
        ("CHE-123.456.789 MWST", True),
        ("FR0012345678", False),
        ("US123456789", False),
        ("", False),
    ],
)
def test_the_form_of_vat_numbers(number: str, is_right: bool) -> None:
    assert (vat_fault(number) is None) is is_right


async def test_older_versions_hold_no_tariffs(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V201.value)
    assert (await api.post(PATH, json={"tariff": tariff()})).status_code == 409
