"""An OCPP 2.0.1 or 2.1 station made with the `ocpp` package lives its life; all of it is in its datasheet."""

# mypy: disable-error-code="untyped-decorator"
# (the package's `on` and `after` have no types)

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from ocpp.routing import after, on
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from csms.config import Settings, UnknownStations
from csms.ocpp.timestamps import write as timestamp
from csms.ocpp.versions import VERSIONS_2, Version
from tests.e2e.system import System, eventually, until, whole_system

pytestmark = [
    pytest.mark.slow,
    pytest.mark.feature("B1", "B2", "B3", "B6", "B7", "S1", "S3", "S5", "S6", "S10", "S11"),
    pytest.mark.parametrize("version", VERSIONS_2),
]

STATION = "FOREIGN-2"
CARD = {"id_token": "04E91C5A6F2A80", "type": "ISO14443"}
REGISTER_WH = 1_250_000
SAMPLES = 4
SAMPLE_EVERY = timedelta(seconds=60)
STEP_WH = 180
MODULES = {Version.V201: "v201", Version.V21: "v21"}


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[System]:
    """The system as an operator runs it: stations must be registered."""
    async with whole_system(settings, unknown=UnknownStations.HOLD) as started:
        yield started


class Firmware:
    """What a firmware made with the package looks like, whichever 2.x it speaks."""

    call: Any
    """The package's own."""

    def __init__(self, package: Any, connection: Any) -> None:
        super().__init__(STATION, connection)  # type: ignore[call-arg]  # of the package's ChargePoint
        self.calls, self.results = package.call, package.call_result
        self.commands: list[str] = []
        self.transaction_id = "f9a3c1d2-5f0e-4e8b-9f43-7d5b7e0c2a11"
        self.seq_no = 0
        self.is_charging = False
        self.must_reboot = asyncio.Event()

    # --- what it tells

    async def boot(self) -> Any:
        told = {"model": "FW 22", "vendor_name": "Foreign Works", "serial_number": "FW-0815"}
        told |= {"firmware_version": "5.0.1", "modem": {"iccid": "8947000000000000001"}}
        return await self.call(self.calls.BootNotification(charging_station=told, reason="PowerUp"))

    async def beat(self) -> Any:
        return await self.call(self.calls.Heartbeat())

    async def authorize(self) -> Any:
        return await self.call(self.calls.Authorize(id_token=CARD))

    async def status(self, evse_id: int, word: str, connector_id: int = 1) -> None:
        now = timestamp(datetime.now(UTC))
        await self.call(
            self.calls.StatusNotification(
                timestamp=now, connector_status=word, evse_id=evse_id, connector_id=connector_id
            )
        )

    async def event(self, kind: str, at: datetime, register_wh: int, trigger: str, **more: Any) -> Any:
        info = {"transaction_id": self.transaction_id, **more.pop("info", {})}
        sampled = [{"value": register_wh / 1000, "unit_of_measure": {"unit": "kWh"}}]
        if kind == "Updated":
            sampled.append({"value": 10.8, "measurand": "Power.Active.Import", "unit_of_measure": {"unit": "kW"}})
            sampled.append({"value": 15.7, "measurand": "Current.Import", "phase": "L1"})
        told = self.calls.TransactionEvent(
            event_type=kind,
            timestamp=timestamp(at),
            trigger_reason=trigger,
            seq_no=self.seq_no,
            transaction_info=info,
            meter_value=[{"timestamp": timestamp(at), "sampled_value": sampled}],
            **({"evse": {"id": 1, "connector_id": 1}} | more),
        )
        self.seq_no += 1
        self.is_charging = kind != "Ended"
        return await self.call(told)

    async def transfer(self, data: Any) -> Any:
        told = self.calls.DataTransfer(vendor_id="foreign.example", message_id="Hi", data=data)
        return await self.call(told)

    # --- what it obeys

    @on("RequestStartTransaction")
    def on_start(self, **asked: Any) -> Any:
        self.commands.append(f"start {asked['id_token']['id_token']}")
        return self.results.RequestStartTransaction(status="Accepted")

    @after("RequestStartTransaction")
    async def after_start(self, id_token: Any, remote_start_id: int, **_more: Any) -> None:
        self.transaction_id, self.seq_no = "remote-1", 0
        more = {"id_token": id_token, "info": {"remote_start_id": remote_start_id}}
        await self.event("Started", datetime.now(UTC), REGISTER_WH, "RemoteStart", **more)

    @on("RequestStopTransaction")
    def on_stop(self, transaction_id: str, **_more: Any) -> Any:
        is_ours = transaction_id == self.transaction_id
        return self.results.RequestStopTransaction(status="Accepted" if is_ours else "Rejected")

    @after("RequestStopTransaction")
    async def after_stop(self, transaction_id: str, **_more: Any) -> None:
        if transaction_id == self.transaction_id:
            info = {"stopped_reason": "Remote"}
            await self.event("Ended", datetime.now(UTC), REGISTER_WH + 5, "RemoteStop", info=info)

    @on("GetTransactionStatus")
    def on_transaction_status(self, **_more: Any) -> Any:
        return self.results.GetTransactionStatus(messages_in_queue=False, ongoing_indicator=self.is_charging)

    @on("CostUpdated")
    def on_cost(self, total_cost: float, **_more: Any) -> Any:
        self.commands.append(f"cost {total_cost}")
        return self.results.CostUpdated()

    @on("UnlockConnector")
    def on_unlock(self, evse_id: int, connector_id: int, **_more: Any) -> Any:
        self.commands.append(f"unlock {evse_id}.{connector_id}")
        return self.results.UnlockConnector(status="Unlocked")

    @on("ChangeAvailability")
    def on_change_availability(self, **_more: Any) -> Any:
        return self.results.ChangeAvailability(status="Accepted")

    @after("ChangeAvailability")
    async def after_change_availability(self, operational_status: str, **_more: Any) -> None:
        await self.status(1, "Available" if operational_status == "Operative" else "Unavailable")

    @on("Reset")
    def on_reset(self, **asked: Any) -> Any:
        self.commands.append(f"reset {asked['type']}")
        return self.results.Reset(status="Accepted")

    @after("Reset")
    def after_reset(self, **_more: Any) -> None:
        self.must_reboot.set()


def foreign_station(version: Version, connection: Any) -> Any:
    """A station of that version."""
    package = import_module(f"ocpp.{MODULES[version]}")
    return type("ForeignStation", (Firmware, package.ChargePoint), {})(package, connection)


@asynccontextmanager
async def connected(system: System, version: Version, password: str) -> AsyncIterator[Any]:
    """The station on the wire, with its password, until the end of the block: then it closes with 1000."""
    basic = base64.b64encode(f"{STATION}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    protocols = [Subprotocol(version)]
    async with connect(
        f"{system.url}/{STATION}", subprotocols=protocols, additional_headers=headers, proxy=None
    ) as connection:
        station = foreign_station(version, connection)
        listening = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            await connection.close(1001 if station.must_reboot.is_set() else 1000)
            with pytest.raises(ConnectionClosed):
                await listening


async def registered(system: System) -> str:
    """The password of the station, which is registered now, as its card is."""
    await system.post("tokens", {"uid": CARD["id_token"], "holder": "Alex Example"})
    made = await system.post("stations", {"station_id": STATION, "security_profile": 1, "protocol": "ocpp2.0.1"})
    return str(made["password"])


async def charge(station: Any, started_at: datetime) -> None:
    """One whole charge at EVSE 1 that began four minutes ago."""
    assert (await station.authorize()).id_token_info["status"] == "Accepted"
    await station.status(1, "Occupied")
    info = {"charging_state": "EVConnected"}
    started = await station.event("Started", started_at, REGISTER_WH, "CablePluggedIn", info=info)
    assert started.id_token_info is None
    for step in range(1, SAMPLES + 1):
        more: dict[str, Any] = {"info": {"charging_state": "Charging"}}
        if step == 1:
            more["id_token"] = CARD
        at, register_wh = started_at + step * SAMPLE_EVERY, REGISTER_WH + step * STEP_WH
        updated = await station.event("Updated", at, register_wh, "MeterValuePeriodic", **more)
    assert updated.id_token_info is None
    stopped_at, register_wh = started_at + SAMPLES * SAMPLE_EVERY, REGISTER_WH + SAMPLES * STEP_WH
    info = {"stopped_reason": "EVDisconnected"}
    await station.event("Ended", stopped_at, register_wh, "EVCommunicationLost", info=info, id_token=CARD)
    await station.status(1, "Available")


@pytest.mark.ocpp(
    "2.x BootNotification",
    "2.x Heartbeat",
    "2.x StatusNotification",
    "2.x TransactionEvent",
    "2.x DataTransfer",
    "2.x Authorize",
)
async def test_a_station_made_with_the_ocpp_package_charges_and_its_datasheet_shows_it(
    held: System, version: Version
) -> None:
    password = await registered(held)
    started_at = datetime.now(UTC).replace(microsecond=0) - SAMPLES * SAMPLE_EVERY
    async with connected(held, version, password) as station:
        booted = await station.boot()
        assert (booted.status, 270 <= booted.interval <= 330) == ("Accepted", True)
        assert (await station.beat()).current_time.endswith("Z")
        for evse_id, connector_id in ((1, 1), (2, 1), (2, 2)):
            await station.status(evse_id, "Available", connector_id)
        await charge(station, started_at)
        await station.status(2, "Faulted", 2)
        assert (await station.transfer({"price": [1, {"HTTPPort": 2}]})).status == "UnknownVendorId"
    await eventually(lambda: is_offline(held))
    await check_head(held, version)
    await check_charge_points(held)
    await check_charge_log(held, started_at)
    await check_others(held)


async def is_offline(system: System) -> bool:
    head = await system.get(f"stations/{STATION}")
    return not head["communication"]["is_online"]


async def check_head(system: System, version: Version) -> None:
    head = await system.get(f"stations/{STATION}")
    hardware, communication = head["hardware"], head["communication"]
    assert (hardware["vendor"], hardware["model"], hardware["serial_number"]) == ("Foreign Works", "FW 22", "FW-0815")
    assert (hardware["firmware_version"], hardware["boot_reason"]) == ("5.0.1", "PowerUp")
    assert (communication["protocol"], communication["sim_card"]["iccid"]) == (version, "8947000000000000001")
    assert communication["last_heartbeat_at"] is not None
    assert head["status"] == "available"


async def check_charge_points(system: System) -> None:
    points = {point["number"]: point for point in await system.items(f"stations/{STATION}/charge-points")}
    assert {number: point["status"] for number, point in points.items()} == {1: "available", 2: "available"}
    assert [one["status"] for one in points[2]["connectors"]] == ["available", "faulted"]


async def check_charge_log(system: System, started_at: datetime) -> None:
    [log] = await system.items(f"stations/{STATION}/charge-logs")
    assert (log["state"], log["token"], log["holder"]) == ("finished", CARD["id_token"], "Alex Example")
    assert datetime.fromisoformat(log["started_at"]) == started_at
    assert (log["meter_start_wh"], log["energy_wh"]) == (REGISTER_WH, SAMPLES * STEP_WH)
    assert log["duration_s"] == SAMPLES * SAMPLE_EVERY.total_seconds()
    assert (log["stop_reason"], log["flags"]) == ("EVDisconnected", [])
    path = f"stations/{STATION}/charge-logs/{log['id']}"
    curve = await system.get(f"{path}/meter-curve")
    measured = [point for point in curve["points"] if point["power_w"] == 10_800]
    assert [point["energy_wh"] for point in measured] == [step * STEP_WH for step in range(1, SAMPLES + 1)]
    events = await system.items(f"{path}/events")
    assert [one["seq_no"] for one in events] == list(range(SAMPLES + 2))
    samples = await system.items(f"{path}/meter-values")
    current = next(one for one in samples[1]["quantities"] if one["measurand"] == "Current.Import")
    assert (current["phase"], current["unit"], current["value"]) == ("L1", "A", 15.7)


async def check_others(system: System) -> None:
    [error] = await system.items(f"stations/{STATION}/errors", state="open")
    assert (error["code"], error["charge_point_number"], error["connector_number"]) == ("Faulted", 2, 2)
    [transfer] = await system.items(f"stations/{STATION}/data-transfers")
    assert transfer["data"] == {"price": [1, {"HTTPPort": 2}]}
    lines = await system.items(f"stations/{STATION}/logs")
    assert {line["action"] for line in lines} >= {"TransactionEvent", "Authorize", "StatusNotification"}
    assert all(line["text"] for line in lines)
    frames = await system.items(f"stations/{STATION}/communication-logs")
    assert {frame["outcome"] for frame in frames} == {"answered"}
    assert [frame["violation"] for frame in frames if frame["violation"]] == []
    [row] = await system.items(f"stations/{STATION}/connection-history")
    assert (row["code"], row["closed_by"]) == ("1000", "station")


@pytest.mark.ocpp(
    "2.x RequestStartTransaction",
    "2.x RequestStopTransaction",
    "2.x GetTransactionStatus",
    "2.x CostUpdated",
    "2.x UnlockConnector",
    "2.x ChangeAvailability",
    "2.x Reset",
)
async def test_a_station_made_with_the_ocpp_package_obeys(held: System, version: Version) -> None:
    password = await registered(held)
    async with connected(held, version, password) as station:
        await station.boot()
        await station.status(1, "Available")
        await check_availability(held)
        await held.post(f"stations/{STATION}/charge-points/1/unlock")
        log = await check_remote_charge(held, station)
        restarted = await held.post(f"stations/{STATION}/restart", {"kind": "when_idle"})
        assert restarted["payload"]["status"] == "Accepted"
        await station.must_reboot.wait()
        assert station.commands == ["unlock 1.1", f"start {CARD['id_token']}", "cost 1.25", "reset OnIdle"]
    await eventually(lambda: is_offline(held))
    commands = await held.items(f"stations/{STATION}/commands")
    assert {one["outcome"] for one in commands} == {"answered"}
    [start] = [one for one in commands if one["action"] == "RequestStartTransaction"]
    assert start["charge_log_id"] == log["id"]
    [row] = await held.items(f"stations/{STATION}/connection-history")
    assert row["code"] == "1001"


async def check_availability(system: System) -> None:
    """Out of service and back, as the charge point's row shows."""

    async def is_shown(wanted: tuple[bool, str]) -> bool:
        [point] = await system.items(f"stations/{STATION}/charge-points")
        return (point["is_operative"], point["status"]) == wanted

    path = f"stations/{STATION}/charge-points/1/availability"
    await system.post(path, {"state": "inoperative"})
    await eventually(lambda: is_shown((False, "unavailable")))
    await system.post(path, {"state": "operative"})
    await eventually(lambda: is_shown((True, "available")))


async def check_remote_charge(system: System, station: Any) -> Any:
    """Started, asked about, told its cost and stopped from here."""
    await system.post(f"stations/{STATION}/charge-points/1/start", {"token": CARD["id_token"]})
    await until(lambda: station.is_charging)

    async def logs(state: str) -> Any:
        return await system.items(f"stations/{STATION}/charge-logs", state=state)

    [running] = await eventually(lambda: logs("running"))
    assert (running["transaction_id"], running["token"]) == ("remote-1", CARD["id_token"])
    for what, body in (("ask-status", None), ("cost", {"total_cost": 1.25}), ("stop", None)):
        assert (await system.post(f"charge-logs/{running['id']}/{what}", body))["outcome"] == "answered"
    [log] = await eventually(lambda: logs("finished"))
    assert (log["energy_wh"], log["stop_reason"]) == (5, "Remote")
    shown = await system.get(f"stations/{STATION}/charge-logs/{log['id']}")
    assert (shown["cost_told"], shown["status_told"]["is_ongoing"]) == (1.25, True)
    return log
