"""B7: whatever a station of 2.x begins and ends a transaction with (2.0.1 E01, E06), and how it measures (J01, J02)."""

from typing import Any

import pytest

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.information import Station
from csms.store import Store
from tests.builders import CallingStation, connect, make_station
from tests.station.test_transaction_events import (
    ACCEPTED,
    CARD,
    log_of,
    logs_of,
    register,
    samples_of,
    state_of,
    tell,
    values,
)

pytestmark = [pytest.mark.feature("B7", "S6"), pytest.mark.ocpp("2.x TransactionEvent")]
STRANGER = {"idToken": "AABBCCDD", "type": "ISO14443"}
SIGNED = {"signedMeterData": "T0NNRnx7fQ==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
Step = tuple[str, dict[str, Any]]


@pytest.fixture(params=VERSIONS_2)
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


@pytest.fixture
async def station(store: Store) -> Station:
    await register(store, CARD["idToken"])
    return await make_station(store)


@pytest.fixture
async def calling(store: Store, station: Station, version: Version) -> CallingStation:
    return await connect(store, station, version)


def step(trigger: str, state: str | None = None, token: dict[str, str] | None = None, **more: Any) -> Step:
    return trigger, {"state": state, "idToken": token, **more}


async def follow(calling: CallingStation, clock: FixedClock, *steps: Step, tx: str = "T-1", ends: bool = False) -> None:
    """Tell them in order, the first as Started, and the last as Ended if it `ends`; all are answered."""
    for number, (trigger, more) in enumerate(steps):
        kind = "Updated" if number else "Started"
        if ends and number == len(steps) - 1:
            kind = "Ended"
        told = {name: value for name, value in more.items() if value is not None}
        answer = await tell(calling, kind, number, clock.advance(seconds=20), triggerReason=trigger, tx=tx, **told)
        if "idToken" not in told:
            assert answer == {}
        elif told["idToken"] == STRANGER:
            assert answer["idTokenInfo"]["status"] in {"Invalid", "Unknown"}
        else:
            assert answer == ACCEPTED


PLUGGED = step("CablePluggedIn", "EVConnected")
AUTHORISED = step("Authorized", None, CARD)
CHARGING = step("ChargingStateChanged", "Charging")


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        pytest.param(
            [step("ChargingStateChanged", "SuspendedEVSE", CARD), CHARGING],
            "charging",
            marks=pytest.mark.octt("TC_E_01_CSMS"),
            id="power path closed",
        ),
        pytest.param(
            [step("ChargingStateChanged", "Charging", CARD)],
            "charging",
            marks=pytest.mark.octt("TC_E_02_CSMS"),
            id="energy flows",
        ),
        pytest.param(
            [PLUGGED, AUTHORISED, CHARGING], "charging", marks=pytest.mark.octt("TC_E_03_CSMS"), id="cable first"
        ),
        pytest.param(
            [AUTHORISED, PLUGGED, CHARGING], "charging", marks=pytest.mark.octt("TC_E_04_CSMS"), id="card first"
        ),
        pytest.param([PLUGGED], "preparing", marks=pytest.mark.octt("TC_E_09_CSMS"), id="vehicle connected"),
        pytest.param(
            [step("Authorized", "Idle", CARD)], "preparing", marks=pytest.mark.octt("TC_E_10_CSMS"), id="authorised"
        ),
        pytest.param(
            [step("SignedDataReceived", "EVConnected", CARD, wh=1000.0)],
            "preparing",
            marks=pytest.mark.octt("TC_E_11_CSMS"),
            id="signed",
        ),
        pytest.param([step("EVDetected", "Idle")], "preparing", marks=pytest.mark.octt("TC_E_12_CSMS"), id="parked"),
        pytest.param(
            [AUTHORISED, PLUGGED, step("ChargingStateChanged", "SuspendedEV")],
            "suspended_ev",
            marks=pytest.mark.octt("TC_E_38_CSMS"),
            id="vehicle not ready",
        ),
        pytest.param(
            [
                step("CablePluggedIn", "Charging", CARD),
                step("EVCommunicationLost", "SuspendedEV"),
                step("CablePluggedIn", "EVConnected"),
                CHARGING,
            ],
            "charging",
            marks=pytest.mark.octt("TC_E_26_CSMS"),
            id="unplugged and plugged in again",
        ),
    ],
)
async def test_a_transaction_begins_in_any_way(
    store: Store, calling: CallingStation, clock: FixedClock, steps: list[Step], state: str
) -> None:
    await follow(calling, clock, *steps)
    log = await log_of(store)
    has_token = any(more["idToken"] for _, more in steps)
    assert (log.state, log.token) == ("running", CARD["idToken"] if has_token else "")
    assert await state_of(store) == state


def end(trigger: str, reason: str, state: str | None = None, token: dict[str, str] | None = None) -> Step:
    return step(trigger, state, token, info={"stoppedReason": reason}, wh=3000.0)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        pytest.param(
            [step("StopAuthorized", "SuspendedEVSE", CARD), end("ChargingStateChanged", "Local", "EVConnected")],
            "Local",
            marks=pytest.mark.octt("TC_E_07_CSMS"),
            id="power path open",
        ),
        pytest.param(
            [step("StopAuthorized", None, CARD), end("ChargingStateChanged", "Local", "EVConnected")],
            "Local",
            marks=pytest.mark.octt("TC_E_08_CSMS"),
            id="no energy flows",
        ),
        pytest.param(
            [step("StopAuthorized", "EVConnected", CARD), end("EVCommunicationLost", "EVDisconnected", "Idle")],
            "EVDisconnected",
            marks=pytest.mark.octt("TC_E_14_CSMS"),
            id="unplugged at the station",
        ),
        pytest.param(
            [end("StopAuthorized", "Local", "EVConnected", CARD)],
            "Local",
            marks=pytest.mark.octt("TC_E_15_CSMS"),
            id="stopped with the card",
        ),
        pytest.param(
            [step("EVCommunicationLost", "SuspendedEV"), end("EVCommunicationLost", "EVDisconnected", "Idle")],
            "EVDisconnected",
            marks=pytest.mark.octt("TC_E_17_CSMS", "TC_E_20_CSMS"),
            id="unplugged at the vehicle",
        ),
        pytest.param(
            [step("StopAuthorized", "EVConnected", CARD), end("EVDeparted", "Local", "Idle")],
            "Local",
            marks=pytest.mark.octt("TC_E_19_CSMS"),
            id="driven away",
        ),
        pytest.param(
            [end("RemoteStop", "Remote", "EVConnected")], "Remote", marks=pytest.mark.octt("TC_E_21_CSMS"), id="remote"
        ),
        pytest.param(
            [end("ChargingStateChanged", "StoppedByEV", "SuspendedEV")],
            "StoppedByEV",
            marks=pytest.mark.octt("TC_E_22_CSMS"),
            id="stopped by the vehicle",
        ),
    ],
)
async def test_a_transaction_ends_in_any_way(
    store: Store, calling: CallingStation, clock: FixedClock, steps: list[Step], reason: str
) -> None:
    begun = step("CablePluggedIn", "Charging", CARD, wh=1000.0)
    await follow(calling, clock, begun, *steps, ends=True)
    log = await log_of(store)
    assert (log.state, log.energy_wh, log.stop_reason, log.flags) == ("finished", 2000, reason, [])


@pytest.mark.parametrize(
    ("steps", "reason", "flags"),
    [
        pytest.param(
            [step("Authorized", "EVConnected", STRANGER, wh=0.0), end("Deauthorized", "DeAuthorized", "EVConnected")],
            "DeAuthorized",
            ["unauthorised"],
            marks=pytest.mark.octt("TC_E_16_CSMS"),
            id="a card that nobody knows",
        ),
        pytest.param(
            [step("Authorized", "Idle", CARD, wh=0.0), end("EVConnectTimeout", "Timeout", "Idle")],
            "Timeout",
            [],
            marks=pytest.mark.octt("TC_E_39_CSMS"),
            id="no cable in time",
        ),
    ],
)
async def test_a_transaction_that_comes_to_nothing(
    store: Store, calling: CallingStation, clock: FixedClock, *, steps: list[Step], reason: str, flags: list[str]
) -> None:
    await follow(calling, clock, *steps, ends=True)
    log = await log_of(store)
    assert (log.state, log.stop_reason, log.flags) == ("finished", reason, flags)


@pytest.mark.octt("TC_E_53_CSMS")
async def test_each_transaction_counts_from_0(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    for tx in ("T-1", "T-2"):
        await follow(calling, clock, PLUGGED, AUTHORISED, end("EVDeparted", "Local", "Idle"), tx=tx, ends=True)
    assert [(log.transaction_id, log.state, log.missing_events) for log in await logs_of(store)] == [
        ("T-1", "finished", None),
        ("T-2", "finished", None),
    ]


@pytest.mark.ocpp("2.x MeterValues")
@pytest.mark.parametrize(
    ("kind", "trigger", "context", "is_signed"),
    [
        pytest.param("Updated", "MeterValueClock", "Sample.Clock", False, marks=pytest.mark.octt("TC_J_02_CSMS")),
        pytest.param("Ended", "EVDeparted", "Sample.Clock", False, marks=pytest.mark.octt("TC_J_03_CSMS")),
        pytest.param("Ended", "EVDeparted", "Sample.Clock", True, marks=pytest.mark.octt("TC_J_04_CSMS")),
        pytest.param("Started", "CablePluggedIn", "Transaction.Begin", False, marks=pytest.mark.octt("TC_J_07_CSMS")),
        pytest.param("Updated", "CablePluggedIn", "Transaction.Begin", False, marks=pytest.mark.octt("TC_J_08_CSMS")),
        pytest.param("Updated", "MeterValuePeriodic", "Sample.Periodic", False, marks=pytest.mark.octt("TC_J_09_CSMS")),
        pytest.param("Ended", "EVDeparted", "Sample.Periodic", False, marks=pytest.mark.octt("TC_J_10_CSMS")),
        pytest.param("Ended", "EVDeparted", "Sample.Periodic", True, marks=pytest.mark.octt("TC_J_11_CSMS")),
    ],
)
async def test_values_of_every_context_belong_to_their_charge(
    store: Store,
    calling: CallingStation,
    clock: FixedClock,
    *,
    kind: str,
    trigger: str,
    context: str,
    is_signed: bool,
) -> None:
    """Those of the clock are told of the station as a whole besides, and belong to no charge there."""
    more: dict[str, Any] = {"signedMeterValue": SIGNED} if is_signed else {}
    at = clock()
    told = [values(at, 1000, context, **more)]
    if kind == "Ended":
        at = clock.advance(minutes=5)
        told.append(values(at, 1400, "Transaction.End", **more))
    number = 0
    if kind != "Started":
        await tell(calling, "Started", 0, clock(), triggerReason="Authorized", idToken=CARD)
        number = 1
    if context == "Sample.Clock":
        whole = [values(clock(), 77, context)]
        assert await calling.call("MeterValues", evseId=0, meterValue=whole) == {}
    assert await tell(calling, kind, number, at, triggerReason=trigger, meterValue=told) == {}
    log = await log_of(store)
    mine = [one for one in await samples_of(store) if one.charge_log_id == log.id]
    assert [one.energy_wh for one in mine] == [1000, 1400][: len(told)]
    assert [one["context"] for sample in mine for one in sample.sampled_values] == [context, "Transaction.End"][
        : len(told)
    ]
    assert all(sample.sampled_values[0].get("signedMeterValue") == more.get("signedMeterValue") for sample in mine)
