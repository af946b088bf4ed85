"""An OCPP 1.6 station made with the `ocpp` package lives its life; everything it did is in its datasheet."""

# mypy: disable-error-code="untyped-decorator"
# (the package's `on` and `after` have no types)

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.datatypes import KeyValue, MeterValue, SampledValue
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    AvailabilityStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    ClearCacheStatus,
    ConfigurationStatus,
    DataTransferStatus,
    Measurand,
    Phase,
    Reason,
    RegistrationStatus,
    RemoteStartStopStatus,
    ResetStatus,
    TriggerMessageStatus,
    UnitOfMeasure,
    UnlockStatus,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from csms.config import Settings, UnknownStations
from csms.ocpp.timestamps import write as timestamp
from tests.e2e.system import System, eventually, until, whole_system

pytestmark = [pytest.mark.slow, pytest.mark.feature("B1", "B2", "B3", "B6", "B7", "S1", "S3", "S5", "S6", "S10", "S11")]

STATION = "FOREIGN 1"
"""With a blank, as in the example of OCPP-J 1.6, 3.1.1."""
TOKEN = "04E91C5A6F2A80"
REGISTER_WH = 1_250_000
SAMPLES = 4
SAMPLE_EVERY = timedelta(seconds=60)
STEP_WH = 180
"""What 10.8 kW are in a minute."""


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[System]:
    """The system as an operator runs it: stations must be registered."""
    async with whole_system(settings, unknown=UnknownStations.HOLD) as started:
        yield started


class ForeignStation(ChargePoint):  # type: ignore[misc]  # the package has no types
    """What a firmware made with the package looks like."""

    def __init__(self, connection: Any) -> None:
        super().__init__(STATION, connection)
        self.configuration = {"HeartbeatInterval": "300", "MeterValueSampleInterval": "60"}
        self.commands: list[str] = []
        self.transaction_id: int | None = None
        self.must_reboot = asyncio.Event()

    # --- what it tells

    async def boot(self) -> Any:
        return await self.call(
            call.BootNotification(
                charge_point_vendor="Foreign Works",
                charge_point_model="FW 22",
                charge_point_serial_number="FW-0815",
                firmware_version="4.2.0",
                iccid="8947000000000000001",
                meter_type="FW-M1",
            )
        )

    async def status(
        self,
        connector_id: int,
        status: ChargePointStatus,
        error_code: ChargePointErrorCode = ChargePointErrorCode.no_error,
        **more: str,
    ) -> None:
        now = timestamp(datetime.now(UTC))
        await self.call(
            call.StatusNotification(
                connector_id=connector_id, error_code=error_code, status=status, timestamp=now, **more
            )
        )

    async def begin(self, connector_id: int, id_tag: str, started_at: datetime) -> Any:
        started = await self.call(
            call.StartTransaction(
                connector_id=connector_id, id_tag=id_tag, meter_start=REGISTER_WH, timestamp=timestamp(started_at)
            )
        )
        self.transaction_id = started.transaction_id
        return started

    async def measure(self, at: datetime, register_wh: int, soc_percent: int) -> None:
        values = [
            SampledValue(value=f"{register_wh / 1000:.3f}", unit=UnitOfMeasure.kwh),  # the default measurand, in kWh
            SampledValue(value="10800", measurand=Measurand.power_active_import, unit=UnitOfMeasure.w),
            SampledValue(value="15.7", measurand=Measurand.current_import, phase=Phase.l1, unit=UnitOfMeasure.a),
            SampledValue(value=str(soc_percent), measurand=Measurand.soc, unit=UnitOfMeasure.percent),
        ]
        await self.call(
            call.MeterValues(
                connector_id=1,
                transaction_id=self.transaction_id,
                meter_value=[MeterValue(timestamp=timestamp(at), sampled_value=values)],
            )
        )

    async def end(self, at: datetime, meter_stop_wh: int, reason: Reason, id_tag: str | None = None) -> Any:
        return await self.call(
            call.StopTransaction(
                meter_stop=meter_stop_wh,
                timestamp=timestamp(at),
                transaction_id=self.transaction_id,
                reason=reason,
                id_tag=id_tag,
            )
        )

    # --- what it obeys

    @on(Action.remote_start_transaction)
    def on_remote_start(self, id_tag: str, **_more: Any) -> Any:
        self.commands.append(f"start {id_tag}")
        return call_result.RemoteStartTransaction(status=RemoteStartStopStatus.accepted)

    @after(Action.remote_start_transaction)
    async def after_remote_start(self, id_tag: str, connector_id: int = 1, **_more: Any) -> None:
        await self.begin(connector_id, id_tag, datetime.now(UTC))

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> Any:
        is_ours = transaction_id == self.transaction_id
        status = RemoteStartStopStatus.accepted if is_ours else RemoteStartStopStatus.rejected
        return call_result.RemoteStopTransaction(status=status)

    @after(Action.remote_stop_transaction)
    async def after_remote_stop(self, transaction_id: int) -> None:
        if transaction_id == self.transaction_id:
            await self.end(datetime.now(UTC), REGISTER_WH + 5, Reason.remote)

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str) -> Any:
        if key not in self.configuration:
            return call_result.ChangeConfiguration(status=ConfigurationStatus.not_supported)
        self.configuration[key] = value
        return call_result.ChangeConfiguration(status=ConfigurationStatus.accepted)

    @on(Action.get_configuration)
    def on_get_configuration(self, key: list[str]) -> Any:
        known = [
            KeyValue(key=name, readonly=False, value=self.configuration[name])
            for name in key
            if name in self.configuration
        ]
        return call_result.GetConfiguration(
            configuration_key=known, unknown_key=[name for name in key if name not in self.configuration]
        )

    @on(Action.unlock_connector)
    def on_unlock(self, connector_id: int) -> Any:
        status = UnlockStatus.unlocked if connector_id == 1 else UnlockStatus.not_supported
        return call_result.UnlockConnector(status=status)

    @on(Action.change_availability)
    def on_change_availability(self, connector_id: int, **_more: Any) -> Any:
        self.commands.append(f"availability {connector_id}")
        return call_result.ChangeAvailability(status=AvailabilityStatus.accepted)

    @after(Action.change_availability)
    async def after_change_availability(self, connector_id: int, type: str) -> None:  # noqa: A002  # OCPP's name
        is_operative = type == "Operative"
        await self.status(connector_id, ChargePointStatus.available if is_operative else ChargePointStatus.unavailable)

    @on(Action.clear_cache)
    def on_clear_cache(self) -> Any:
        return call_result.ClearCache(status=ClearCacheStatus.accepted)

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, **_more: Any) -> Any:
        is_known = requested_message == "Heartbeat"
        status = TriggerMessageStatus.accepted if is_known else TriggerMessageStatus.not_implemented
        return call_result.TriggerMessage(status=status)

    @after(Action.trigger_message)
    async def after_trigger(self, requested_message: str, **_more: Any) -> None:
        if requested_message == "Heartbeat":
            await self.call(call.Heartbeat())

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id: str, **more: Any) -> Any:
        return call_result.DataTransfer(status=DataTransferStatus.accepted, data=f"{vendor_id}: {more['data']}")

    @on(Action.reset)
    def on_reset(self, **_more: Any) -> Any:
        return call_result.Reset(status=ResetStatus.accepted)

    @after(Action.reset)
    def after_reset(self, **_more: Any) -> None:
        self.must_reboot.set()


@asynccontextmanager
async def connected(system: System, password: str) -> AsyncIterator[ForeignStation]:
    """The station on the wire, with its password, until the end of the block: then it closes with 1000."""
    url = f"{system.url}/{STATION.replace(' ', '%20')}"
    basic = base64.b64encode(f"{STATION}:{password}".encode()).decode()
    async with connect(
        url,
        subprotocols=[Subprotocol("ocpp1.6")],
        additional_headers={"Authorization": f"Basic {basic}"},
        proxy=None,
    ) as connection:
        station = ForeignStation(connection)
        listening = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            await connection.close(1001 if station.must_reboot.is_set() else 1000)
            with pytest.raises(ConnectionClosed):
                await listening


async def charge(station: ForeignStation, started_at: datetime) -> None:
    """One whole charge at connector 1 that began four minutes ago."""
    assert (await station.call(call.Authorize(id_tag=TOKEN))).id_tag_info["status"] == AuthorizationStatus.accepted
    await station.status(1, ChargePointStatus.preparing)
    started = await station.begin(1, TOKEN, started_at)
    assert started.id_tag_info["status"] == AuthorizationStatus.accepted
    await station.status(1, ChargePointStatus.charging)
    for step in range(1, SAMPLES + 1):
        await station.measure(started_at + step * SAMPLE_EVERY, REGISTER_WH + step * STEP_WH, 40 + step)
    stopped_at = started_at + SAMPLES * SAMPLE_EVERY
    stopped = await station.end(stopped_at, REGISTER_WH + SAMPLES * STEP_WH, Reason.local, TOKEN)
    assert stopped.id_tag_info["status"] == AuthorizationStatus.accepted
    await station.status(1, ChargePointStatus.available)


async def test_a_station_made_with_the_ocpp_package_charges_and_its_datasheet_shows_it(held: System) -> None:
    await held.post("tokens", {"uid": TOKEN, "holder": "Alex Example"})
    registered = await held.post("stations", {"station_id": STATION, "security_profile": 1})
    started_at = datetime.now(UTC).replace(microsecond=0) - SAMPLES * SAMPLE_EVERY

    async with connected(held, registered["password"]) as station:
        booted = await station.boot()
        assert booted.status == RegistrationStatus.accepted
        assert 270 <= booted.interval <= 330
        assert (await station.call(call.Heartbeat())).current_time.endswith("Z")
        await station.status(0, ChargePointStatus.available)
        await station.status(1, ChargePointStatus.available)
        await station.status(2, ChargePointStatus.available)
        await charge(station, started_at)
        fault = {"info": "residual current", "vendor_id": "foreign.example", "vendor_error_code": "RCD-31"}
        await station.status(2, ChargePointStatus.faulted, ChargePointErrorCode.ground_failure, **fault)
        transferred = await station.call(call.DataTransfer(vendor_id="foreign.example", message_id="Hi", data="42"))
        assert (
            transferred.status == DataTransferStatus.unknown_vendor_id
        )  # it is kept, but nobody here knows the vendor
        await check_head(held, is_online=True)
    await eventually(lambda: is_offline(held))

    await check_head(held, is_online=False)
    await check_charge_points(held)
    await check_charge_log(held, started_at)
    await check_error(held)
    await check_data_transfers(held)
    await check_logs(held)
    await check_frames(held)
    await check_connection(held, ["1000"])


async def test_a_station_made_with_the_ocpp_package_obeys_every_command(held: System) -> None:
    await held.post("tokens", {"uid": TOKEN})
    registered = await held.post("stations", {"station_id": STATION, "security_profile": 1})

    async with connected(held, registered["password"]) as station:
        await station.boot()
        await station.status(1, ChargePointStatus.available)

        await check_answer(held, "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "600"}, "Accepted")
        assert station.configuration["HeartbeatInterval"] == "600"
        await check_answer(held, "ChangeConfiguration", {"key": "Colour", "value": "red"}, "NotSupported")
        read = await held.command(STATION, "GetConfiguration", {"key": ["HeartbeatInterval", "Colour"]})
        assert read["payload"] == {
            "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "600"}],
            "unknownKey": ["Colour"],
        }
        await check_answer(held, "UnlockConnector", {"connectorId": 1}, "Unlocked")
        await check_answer(held, "ClearCache", {}, "Accepted")
        await check_answer(held, "TriggerMessage", {"requestedMessage": "Heartbeat"}, "Accepted")
        await check_answer(held, "TriggerMessage", {"requestedMessage": "MeterValues"}, "NotImplemented")
        transfer = {"vendorId": "com.example", "messageId": "SetDisplay", "data": "Welcome"}
        await check_answer(held, "DataTransfer", transfer, "Accepted")
        await check_availability(held, station)
        await check_remote_charge(held, station)

        refused = await held.command(STATION, "GetDiagnostics", {"location": "https://files.example.com/"})
        assert refused["outcome"] == "refused"
        assert refused["error"]["code"] in ("NotImplemented", "NotSupported")

        await check_answer(held, "Reset", {"type": "Soft"}, "Accepted")
        await station.must_reboot.wait()
    await eventually(lambda: is_offline(held))

    asked_too_late = await held.command(STATION, "ClearCache", {})
    assert asked_too_late["outcome"] == "offline"
    async with connected(held, registered["password"]) as station:
        await station.boot()
        await check_answer(held, "ClearCache", {}, "Accepted")
    await eventually(lambda: is_offline(held))

    await check_connection(held, ["1001", "1000"])
    await check_command_log(held)


# --- what the datasheet shows ---------------------------------------------------------------------------------------


async def is_offline(system: System) -> bool:
    head = await system.get(f"stations/{STATION}")
    return not head["communication"]["is_online"]


async def check_head(system: System, *, is_online: bool) -> None:
    head = await system.get(f"stations/{STATION}")
    assert head["station_id"] == STATION
    assert head["registration"] == "accepted"
    assert head["status"] == "available"
    hardware = head["hardware"]
    assert (hardware["vendor"], hardware["model"]) == ("Foreign Works", "FW 22")
    assert (hardware["serial_number"], hardware["firmware_version"]) == ("FW-0815", "4.2.0")
    assert hardware["last_boot_at"] is not None
    communication = head["communication"]
    assert communication["is_online"] is is_online
    assert communication["protocol"] == "ocpp1.6"
    assert communication["security_profile"] == 1
    assert communication["sim_card"]["iccid"] == "8947000000000000001"
    assert communication["last_heartbeat_at"] is not None


async def check_charge_points(system: System) -> None:
    points = {point["number"]: point for point in await system.items(f"stations/{STATION}/charge-points")}
    assert set(points) == {1, 2}
    assert (points[1]["status"], points[1]["status_word"]) == ("available", "Available")
    assert (points[2]["status"], points[2]["status_word"]) == ("faulted", "Faulted")
    assert points[1]["is_announced"]


async def check_charge_log(system: System, started_at: datetime) -> None:
    [log] = await system.items(f"stations/{STATION}/charge-logs")
    assert log["state"] == "finished"
    assert (log["token"], log["holder"], log["verdict"]) == (TOKEN, "Alex Example", "accepted")
    assert datetime.fromisoformat(log["started_at"]) == started_at
    assert log["meter_start_wh"] == REGISTER_WH
    assert log["energy_wh"] == SAMPLES * STEP_WH
    assert log["duration_s"] == SAMPLES * SAMPLE_EVERY.total_seconds()
    assert log["stop_reason"] == "Local"
    assert log["flags"] == []

    curve = await system.get(f"stations/{STATION}/charge-logs/{log['id']}/meter-curve")
    assert curve["samples"] >= SAMPLES
    measured = [point for point in curve["points"] if point["soc_percent"] is not None]
    assert [point["energy_wh"] for point in measured] == [step * STEP_WH for step in range(1, SAMPLES + 1)]
    assert [point["soc_percent"] for point in measured] == [41, 42, 43, 44]
    assert {point["power_w"] for point in measured} == {10_800}

    samples = await system.items(f"stations/{STATION}/charge-logs/{log['id']}/meter-values")
    assert [sample["energy_wh"] for sample in samples] == [
        REGISTER_WH + step * STEP_WH for step in range(1, SAMPLES + 1)
    ]
    current = next(one for one in samples[0]["quantities"] if one["measurand"] == "Current.Import")
    assert (current["phase"], current["unit"], current["value"]) == ("L1", "A", 15.7)


async def check_error(system: System) -> None:
    [error] = await system.items(f"stations/{STATION}/errors", state="open")
    assert error["code"] == "GroundFailure"
    assert (error["vendor_code"], error["vendor_id"], error["info"]) == (
        "RCD-31",
        "foreign.example",
        "residual current",
    )
    assert error["charge_point_number"] == 2


async def check_data_transfers(system: System) -> None:
    [transfer] = await system.items(f"stations/{STATION}/data-transfers")
    assert (transfer["vendor_id"], transfer["message_id"], transfer["data"]) == ("foreign.example", "Hi", "42")


async def check_logs(system: System) -> None:
    lines = await system.items(f"stations/{STATION}/logs")
    assert {line["action"] for line in lines} >= {
        "BootNotification",
        "Heartbeat",
        "StatusNotification",
        "Authorize",
        "StartTransaction",
        "MeterValues",
        "StopTransaction",
        "DataTransfer",
    }
    assert all(line["text"] for line in lines)


async def check_frames(system: System) -> None:
    frames = await system.items(f"stations/{STATION}/communication-logs")
    assert {frame["outcome"] for frame in frames} == {"answered"}
    assert {frame["asked_by"] for frame in frames} == {"station"}
    assert [frame["violation"] for frame in frames if frame["violation"]] == []
    [start] = [frame for frame in frames if frame["action"] == "StartTransaction"]
    assert start["request"]["parsed"][3]["idTag"] == TOKEN
    [log] = await system.items(f"stations/{STATION}/charge-logs")
    assert start["answer"]["parsed"][2]["transactionId"] == int(log["transaction_id"])


async def check_connection(system: System, codes: list[str]) -> None:
    """The codes of all connections, oldest first."""
    rows = (await system.items(f"stations/{STATION}/connection-history"))[::-1]
    assert [row["code"] for row in rows] == codes
    assert {row["closed_by"] for row in rows} == {"station"}
    assert all(row["closed_at"] and row["messages_in"] and row["messages_out"] for row in rows)


async def check_answer(system: System, action: str, payload: dict[str, Any], status: str) -> None:
    """The station answers the command with that status."""
    command = await system.command(STATION, action, payload)
    assert command["outcome"] == "answered", command
    assert command["payload"]["status"] == status


async def check_availability(system: System, station: ForeignStation) -> None:
    """Out of service and back, as the charge point's row shows."""

    async def word() -> str:
        [point] = await system.items(f"stations/{STATION}/charge-points")
        return f"{point['is_operative']} {point['status_word']}"

    async def is_shown(wanted: str) -> bool:
        return await word() == wanted

    await check_answer(system, "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}, "Accepted")
    await eventually(lambda: is_shown("False Unavailable"))
    await check_answer(system, "ChangeAvailability", {"connectorId": 1, "type": "Operative"}, "Accepted")
    await eventually(lambda: is_shown("True Available"))
    assert station.commands == ["availability 1", "availability 1"]


async def check_remote_charge(system: System, station: ForeignStation) -> None:
    """Started and stopped from here."""
    await check_answer(system, "RemoteStartTransaction", {"connectorId": 1, "idTag": TOKEN}, "Accepted")
    await until(lambda: station.transaction_id)
    [running] = await system.items(f"stations/{STATION}/charge-logs", state="running")
    assert running["transaction_id"] == str(station.transaction_id)
    await check_answer(
        system, "RemoteStopTransaction", {"transactionId": 1 + int(running["transaction_id"])}, "Rejected"
    )
    await check_answer(system, "RemoteStopTransaction", {"transactionId": int(running["transaction_id"])}, "Accepted")

    async def stopped() -> Any:
        return await system.items(f"stations/{STATION}/charge-logs", state="finished")

    [log] = await eventually(stopped)
    assert (log["energy_wh"], log["stop_reason"]) == (5, "Remote")


async def check_command_log(system: System) -> None:
    """Every command of the test is in the log with its outcome, newest first."""
    commands = (await system.items(f"stations/{STATION}/commands"))[::-1]
    assert [(command["action"], command["outcome"]) for command in commands] == [
        ("ChangeConfiguration", "answered"),
        ("ChangeConfiguration", "answered"),
        ("GetConfiguration", "answered"),
        ("UnlockConnector", "answered"),
        ("ClearCache", "answered"),
        ("TriggerMessage", "answered"),
        ("TriggerMessage", "answered"),
        ("DataTransfer", "answered"),
        ("ChangeAvailability", "answered"),
        ("ChangeAvailability", "answered"),
        ("RemoteStartTransaction", "answered"),
        ("RemoteStopTransaction", "answered"),
        ("RemoteStopTransaction", "answered"),
        ("GetDiagnostics", "refused"),
        ("Reset", "answered"),
        ("ClearCache", "offline"),
        ("ClearCache", "answered"),
    ]
    assert {command["sent_by"] for command in commands} == {"CSMS_ADMIN_KEY"}
    frames = await system.items(f"stations/{STATION}/communication-logs")
    asked = [frame for frame in frames if frame["asked_by"] == "csms"]
    assert len(asked) == sum(command["outcome"] != "offline" for command in commands)
