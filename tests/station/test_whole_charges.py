"""B7, B3: whole charges of OCPP 1.6, from the first state of the connector to the last, begun locally and remotely."""

from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.calls import Answered
from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.charge_points import ChargePoint
from csms.station.information import Station
from csms.store import Store
from tests.builders import CallingStation, connect, make_station
from tests.station.test_commands import Node

pytestmark = [pytest.mark.feature("B7", "B3")]
TAG = "04A2B3C4"
ACCEPTED = {"idTagInfo": {"status": "Accepted"}}


class Session:
    """A station with one charge point, its driver, and an operator who answers the phone."""

    def __init__(self, api: httpx.AsyncClient, node: Node, calling: CallingStation, clock: FixedClock) -> None:
        self.api, self.node, self.calling, self.clock = api, node, calling, clock
        self.url = f"/api/v1/stations/{calling.connected.identity}"
        self.transaction_id = 0

    async def charges(self) -> list[dict[str, Any]]:
        return list((await self.api.get(f"{self.url}/charge-logs")).json()["items"])

    async def follow(self, *steps: str) -> None:
        for step in steps:
            self.clock.advance(seconds=10)
            word, _, more = step.partition(" ")
            act = getattr(self, f"_{word.lower()}", None)
            if act is None:
                await self._tell(word, more or "NoError")
            else:
                await act(*more.split())

    async def _tell(self, status: str, code: str) -> None:
        told = {"connectorId": 1, "status": status, "errorCode": code, "timestamp": write(self.clock())}
        assert await self.calling.call("StatusNotification", **told) == {}

    async def _authorize(self) -> None:
        assert await self.calling.call("Authorize", idTag=TAG) == ACCEPTED

    async def _start(self) -> None:
        at = {"timestamp": write(self.clock())}
        answer = await self.calling.call("StartTransaction", connectorId=1, idTag=TAG, meterStart=100, **at)
        self.transaction_id = answer.pop("transactionId")
        assert answer == ACCEPTED

    async def _stop(self, reason: str) -> None:
        told = {"transactionId": self.transaction_id, "meterStop": 900, "reason": reason, "idTag": TAG}
        assert await self.calling.call("StopTransaction", **told, timestamp=write(self.clock())) == ACCEPTED

    async def _remotestart(self) -> None:
        await self._order(f"{self.url}/charge-points/1/start", {"token": TAG})
        assert self.node.orders[-1].payload == {"connectorId": 1, "idTag": TAG}

    async def _remotestop(self) -> None:
        await self._order(f"/api/v1/charge-logs/{(await self.charges())[0]['id']}/stop")
        assert self.node.orders[-1].payload == {"transactionId": self.transaction_id}

    async def _order(self, url: str, body: Any = None) -> None:
        told = (await self.api.post(url, json=body)).json()
        assert (told["outcome"], told["payload"]) == ("answered", {"status": "Accepted"})


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store, protocol=Version.V16.value)


@pytest.fixture
async def node(runtime: Runtime, station: Station) -> Node:
    node = Node(runtime)
    await node.hold(station)
    return node


@pytest.fixture
async def session(api: httpx.AsyncClient, store: Store, station: Station, node: Node, clock: FixedClock) -> Session:
    await api.post("/api/v1/tokens", json={"uid": TAG})
    return Session(api, node, await connect(store, station), clock)


@pytest.mark.ocpp(
    "1.6 StatusNotification",
    "1.6 Authorize",
    "1.6 StartTransaction",
    "1.6 StopTransaction",
    "1.6 RemoteStartTransaction",
    "1.6 RemoteStopTransaction",
)
@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        pytest.param(
            "Preparing, Authorize, Start, Charging, Stop Local, Finishing, Available",
            "Local",
            marks=pytest.mark.octt("TC_003_CSMS"),
            id="cable first",
        ),
        pytest.param(
            "Authorize, Preparing, Start, Charging, Stop Local, Finishing, Available",
            "Local",
            marks=pytest.mark.octt("TC_004_1_CSMS"),
            id="card first",
        ),
        pytest.param(
            "Authorize, Preparing, Start, Charging, SuspendedEV, Stop EVDisconnected, Finishing, Available",
            "EVDisconnected",
            marks=pytest.mark.octt("TC_005_1_CSMS"),
            id="unplugged at the vehicle",
        ),
        pytest.param(
            "Preparing, RemoteStart, Authorize, Start, Charging, Stop Local, Finishing, Available",
            "Local",
            marks=pytest.mark.octt("TC_010_CSMS"),
            id="remote start behind the cable",
        ),
        pytest.param(
            "RemoteStart, Authorize, Preparing, Start, Charging, Stop Local, Finishing, Available",
            "Local",
            marks=pytest.mark.octt("TC_011_1_CSMS"),
            id="remote start before the cable",
        ),
        pytest.param(
            "Authorize, Preparing, Start, Charging, RemoteStop, Stop Remote, Finishing, Available",
            "Remote",
            marks=pytest.mark.octt("TC_012_CSMS"),
            id="remote stop",
        ),
    ],
)
async def test_a_charge_goes_its_way(session: Session, store: Store, steps: str, reason: str) -> None:
    await session.follow(*steps.split(", "))
    (log,) = await session.charges()
    assert (log["state"], log["energy_wh"], log["stop_reason"], log["flags"]) == ("finished", 800, reason, [])
    async with store.reading() as work:
        assert (await work.session.exec(select(col(ChargePoint.status)))).one() == "available"


@pytest.mark.ocpp("1.6 StatusNotification", "1.6 Authorize", "1.6 RemoteStartTransaction")
@pytest.mark.parametrize(
    ("steps", "errors"),
    [
        pytest.param("Authorize, Preparing, Available", [], marks=pytest.mark.octt("TC_004_2_CSMS"), id="no cable"),
        pytest.param(
            "RemoteStart, Authorize, Preparing, Available",
            [],
            marks=pytest.mark.octt("TC_011_2_CSMS"),
            id="remote start and no cable",
        ),
        pytest.param(
            "Authorize, Preparing, Faulted ConnectorLockFailure",
            ["ConnectorLockFailure"],
            marks=pytest.mark.octt("TC_024_CSMS"),
            id="the plug is not locked",
        ),
    ],
)
async def test_a_charge_that_does_not_begin_leaves_no_log(session: Session, steps: str, errors: list[str]) -> None:
    await session.follow(*steps.split(", "))
    assert await session.charges() == []
    shown = (await session.api.get(f"{session.url}/errors")).json()["items"]
    assert [one["code"] for one in shown] == errors


@pytest.mark.ocpp("1.6 RemoteStartTransaction", "1.6 RemoteStopTransaction", "1.6 UnlockConnector")
@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        pytest.param("start", "Rejected", marks=pytest.mark.octt("TC_026_CSMS")),
        pytest.param("stop", "Rejected", marks=pytest.mark.octt("TC_028_CSMS")),
        pytest.param("unlock", "Unlocked", marks=pytest.mark.octt("TC_017_1_CSMS")),
        pytest.param("unlock", "NotSupported", marks=pytest.mark.octt("TC_017_2_CSMS", "TC_031_CSMS")),
        pytest.param("unlock", "UnlockFailed", marks=pytest.mark.octt("TC_030_CSMS")),
    ],
)
async def test_the_stations_own_word_is_told(session: Session, wish: str, answer: str) -> None:
    await session.follow("Authorize", "Start", "Charging")
    urls = {"stop": f"/api/v1/charge-logs/{(await session.charges())[0]['id']}/stop"}
    session.node.outcome = Answered({"status": answer})
    body = {"token": TAG} if wish == "start" else None
    told = (await session.api.post(urls.get(wish, f"{session.url}/charge-points/1/{wish}"), json=body)).json()
    assert (told["outcome"], told["payload"]) == ("answered", {"status": answer})
    assert [one["state"] for one in await session.charges()] == ["running"]


@pytest.mark.ocpp("1.6 UnlockConnector", "1.6 StopTransaction")
@pytest.mark.octt("TC_018_1_CSMS")
async def test_a_charge_ends_when_its_plug_is_unlocked(session: Session) -> None:
    await session.follow("Preparing", "Authorize", "Start", "Charging")
    session.node.outcome = Answered({"status": "Unlocked"})
    told = (await session.api.post(f"{session.url}/charge-points/1/unlock")).json()
    assert told["payload"] == {"status": "Unlocked"}
    await session.follow("Stop UnlockCommand", "Finishing", "Available")
    (log,) = await session.charges()
    assert (log["state"], log["stop_reason"]) == ("finished", "UnlockCommand")


@pytest.mark.ocpp("1.6 BootNotification", "1.6 StatusNotification", "1.6 Heartbeat")
@pytest.mark.octt("TC_001_CSMS")
async def test_a_station_boots_and_tells_of_its_connectors(session: Session, store: Store) -> None:
    boot = await session.calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    assert (boot["status"], boot["interval"] > 0, boot["currentTime"]) == ("Accepted", True, write(session.clock()))
    for number in range(3):
        told = {"connectorId": number, "status": "Available", "errorCode": "NoError"}
        assert await session.calling.call("StatusNotification", **told) == {}
    assert await session.calling.call("Heartbeat") == {"currentTime": write(session.clock())}
    async with store.reading() as work:
        points = (await work.session.exec(select(ChargePoint).order_by(col(ChargePoint.number)))).all()
    assert [(one.number, one.status) for one in points] == [(1, "available"), (2, "available")]
