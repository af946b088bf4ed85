"""S5: alarms and problems that components of OCPP 2.x tell by NotifyEvent are errors until they are over."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel import col, select

from csms.ocpp.versions import VERSIONS_2, Version
from csms.outbox import Event
from csms.station.charge_points import ChargePoint, Connector
from csms.station.errors import StationError
from csms.station.errors.rules import OPEN_ERRORS_MAX, Observed, read_observed
from csms.station.information import Station
from csms.store import Store
from tests.builders import CallingStation, connect, make_station

pytestmark = [pytest.mark.feature("S5"), pytest.mark.ocpp("2.x NotifyEvent")]
AT = "2026-01-01T00:00:00Z"


@pytest.fixture(params=VERSIONS_2)
async def calling(request: pytest.FixtureRequest, store: Store) -> CallingStation:
    return await connect(store, await make_station(store), Version(request.param))


def seen(component: str, variable: str, value: str, evse: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    of = {"name": component} | ({} if evse is None else {"evse": evse})
    told = {"eventId": 1, "timestamp": AT, "trigger": "Delta", "eventNotificationType": "HardWiredNotification"}
    return told | {"actualValue": value, "component": of, "variable": {"name": variable}} | more


async def tell(calling: CallingStation, *events: dict[str, Any]) -> None:
    assert await calling.call("NotifyEvent", generatedAt=AT, seqNo=0, eventData=list(events)) == {}


async def errors(store: Store) -> Sequence[StationError]:
    async with store.reading() as work:
        return (await work.session.exec(select(StationError).order_by(col(StationError.id)))).all()


@pytest.mark.octt("TC_G_20_CSMS")
async def test_a_problem_is_an_error_until_it_is_over(store: Store, calling: CallingStation) -> None:
    lock = ("ConnectorPlugRetentionLock", "Problem")
    place = {"id": 1, "connectorId": 2}
    await tell(calling, seen(*lock, "true", place, techCode="L-7", techInfo="does not lock"))
    (error,) = await errors(store)
    assert (error.charge_point_number, error.connector_number, error.severity) == (1, 2, "error")
    assert (error.code, error.vendor_code, error.info) == (
        "ConnectorPlugRetentionLock.Problem",
        "L-7",
        "does not lock",
    )
    await tell(calling, seen(*lock, "true", place), seen(*lock, "TRUE", place))
    (error,) = await errors(store)
    assert (error.repeat_count, error.resolved_at) == (2, None)
    await tell(calling, seen(*lock, "false", place))
    (error,) = await errors(store)
    assert error.resolution == "station"
    async with store.reading() as work:
        told = (await work.session.exec(select(Event).where(col(Event.kind).startswith("error_")))).all()
    assert [one.kind for one in told] == ["error_raised", "error_resolved"]


@pytest.mark.octt("TC_N_49_CSMS")
async def test_an_alarm_ends_when_it_is_cleared(store: Store, calling: CallingStation) -> None:
    alarm = {"trigger": "Alerting", "variableMonitoringId": 9, "eventNotificationType": "CustomMonitor"}
    await tell(calling, seen("FanControl", "Temperature", "91", {"id": 2}, **alarm))
    (error,) = await errors(store)
    assert (error.charge_point_number, error.connector_number, error.severity) == (2, None, "warning")
    assert (error.code, error.info) == ("FanControl.Temperature", "91")
    await tell(calling, seen("FanControl", "Temperature", "60", {"id": 2}, **alarm, cleared=True))
    assert (await errors(store))[0].resolution == "station"


async def test_what_begins_and_ends_in_one_message(store: Store, calling: CallingStation) -> None:
    await tell(calling, *(seen("Controller", "Problem", value) for value in ("true", "false", "true")))
    first, second = await errors(store)
    assert (first.resolution, second.resolved_at, second.charge_point_number) == ("station", None, 0)


async def test_news_without_harm_is_no_error(store: Store, calling: CallingStation) -> None:
    await tell(
        calling,
        seen("Connector", "Temperature", "30", {"id": 1, "connectorId": 1}),
        seen("Controller", "Problem", "false"),
        seen("AuthCtrlr", "Enabled", "true", trigger="Periodic"),
        seen("Controller", "Problem", "true", {"id": 99_999}),
    )
    assert await errors(store) == []


async def test_a_fault_gives_way_to_what_is_wrong(store: Store, calling: CallingStation) -> None:
    status = {"connectorStatus": "Faulted", "evseId": 1, "connectorId": 1, "timestamp": AT}
    await calling.call("StatusNotification", **status)
    await tell(calling, seen("Connector", "Tripped", "true", {"id": 1, "connectorId": 1}))
    await calling.call("StatusNotification", **status)
    vague, precise = await errors(store)
    assert (vague.code, vague.resolution) == ("Faulted", "displaced")
    assert (precise.code, precise.repeat_count, precise.resolved_at) == ("Connector.Tripped", 1, None)
    await calling.call("StatusNotification", **(status | {"connectorStatus": "Available"}))
    assert (await errors(store))[1].resolved_at is None  # its own event ends it
    await tell(calling, seen("Connector", "Tripped", "false", {"id": 1, "connectorId": 1}))
    assert (await errors(store))[1].resolution == "station"


async def test_states_of_connectors_may_come_as_events(store: Store, calling: CallingStation) -> None:
    """2.0.1 G01.FR.01: a station may send NotifyEvent instead of StatusNotification."""
    state = ("Connector", "AvailabilityState")
    await tell(
        calling,
        seen(*state, "Occupied", {"id": 1, "connectorId": 1}),
        seen(*state, "Faulted", {"id": 1, "connectorId": 2}),
        seen("EVSE", "AvailabilityState", "Occupied", {"id": 1}),
        seen("ChargingStation", "AvailabilityState", "Unavailable"),
        seen(*state, "Available", {"id": 1, "connectorId": 9999}),
    )
    async with store.reading() as work:
        point = (await work.session.exec(select(ChargePoint))).one()
        plugs = (await work.session.exec(select(Connector).order_by(col(Connector.number)))).all()
        station = (await work.session.exec(select(Station))).one()
    assert (point.status, [one.status for one in plugs]) == ("occupied", ["occupied", "faulted"])
    assert station.status == "unavailable"
    (error,) = await errors(store)
    assert (error.code, error.connector_number) == ("Faulted", 2)


async def test_a_station_that_makes_up_components_displaces_its_own_errors(
    store: Store, calling: CallingStation
) -> None:
    for number in range(OPEN_ERRORS_MAX + 4):
        await tell(calling, seen(f"Made{number}", "Problem", "true"))
    found = await errors(store)
    assert [one.resolution for one in found] == ["displaced"] * 4 + [None] * OPEN_ERRORS_MAX


@pytest.mark.parametrize(
    ("told", "severity"),
    [
        (0, "critical"),
        (1, "error"),
        (4, "error"),
        (5, "warning"),
        (6, "warning"),
        (7, None),
        (9, None),
        (None, "warning"),
    ],
)
def test_severities_of_the_standard(told: int | None, severity: str | None) -> None:
    alarm = Observed("Fan", "1", "Speed", None, "0", is_alerting=True, is_cleared=False, severity=told)
    report = read_observed(alarm)
    assert (None if report is None else report.severity) == severity
    if report is not None:
        assert report.code == "Fan[1].Speed"
