"""A simulated 2.0.1 or 2.1 station at the real system: it charges, it obeys, and the API shows all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.battery import CARS, Battery
from simulators.clock import RunningClock
from simulators.counters import Counters
from simulators.v201 import Nameplate, Station, running_station
from tests.e2e.system import System, eventually, until

pytestmark = [pytest.mark.slow, pytest.mark.feature("F5")]

BOTH = [Version.V201, Version.V21]
TOKEN = "04A1B2C3"
ID_TOKEN = {"idToken": TOKEN, "type": "ISO14443"}
SPEED, BEHIND_S = 120.0, 12 * 3600.0

TOUR: dict[str, dict[str, Any]] = {
    "GetBaseReport": {"requestId": 1, "reportBase": "FullInventory"},
    "GetReport": {"requestId": 2, "componentCriteria": ["Problem"]},
    "GetVariables": {"getVariableData": [{"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}]},
    "SetVariables": {
        "setVariableData": [
            {
                "component": {"name": "TxCtrlr"},
                "variable": {"name": "EVConnectionTimeOut"},
                "attributeValue": "90",
            }
        ]
    },
    "SetVariableMonitoring": {
        "setMonitoringData": [
            {
                "type": "Periodic",
                "value": 60.0,
                "severity": 5,
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "Power"},
            }
        ]
    },
    "GetMonitoringReport": {"requestId": 3},
    "SetMonitoringLevel": {"severity": 9},
    "SetMonitoringBase": {"monitoringBase": "All"},
    "SendLocalList": {
        "versionNumber": 1,
        "updateType": "Full",
        "localAuthorizationList": [{"idToken": ID_TOKEN, "idTokenInfo": {"status": "Accepted"}}],
    },
    "GetLocalListVersion": {},
    "ClearCache": {},
    "ReserveNow": {"id": 1, "expiryDateTime": "2099-01-01T00:00:00Z", "idToken": ID_TOKEN, "evseId": 2},
    "CancelReservation": {"reservationId": 1},
    "ChangeAvailability": {"operationalStatus": "Operative"},
    "UnlockConnector": {"evseId": 1, "connectorId": 1},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "SetChargingProfile": {
        "evseId": 1,
        "chargingProfile": {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": "2026-01-01T00:00:00Z",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6000.0}],
                }
            ],
        },
    },
    "GetChargingProfiles": {"requestId": 4, "chargingProfile": {}},
    "GetCompositeSchedule": {"duration": 60, "evseId": 1},
    "ClearChargingProfile": {"chargingProfileId": 1},
    "SetDisplayMessage": {
        "message": {"id": 1, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "hello"}}
    },
    "GetDisplayMessages": {"requestId": 5},
    "ClearDisplayMessage": {"id": 1},
    "CustomerInformation": {"requestId": 6, "report": True, "clear": False, "idToken": ID_TOKEN},
    "GetTransactionStatus": {},
    "GetInstalledCertificateIds": {},
    "DataTransfer": {"vendorId": "Simulated Charging", "messageId": "Echo", "data": "x"},
}
"""What an operator can ask of a station that is idle; all of it is answered."""

FOLLOWING = (
    "NotifyReport",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "ReportChargingProfiles",
    "NotifyDisplayMessages",
    "NotifyCustomerInformation",
    "Heartbeat",
)
"""What the station sends because of it."""


@asynccontextmanager
async def a_station(system: System, version: Version) -> AsyncIterator[tuple[Station, Counters]]:
    """A station that is online, and what it counts. It lives fast, and starts in the past."""
    counters = Counters()
    options: dict[str, Any] = {
        "nameplate": Nameplate(serial_number="S-2", connectors=2),
        "observer": counters,
        "clock": RunningClock(SPEED, BEHIND_S),
    }
    async with running_station(system.url, "SIM-201", versions=(version,), **options) as station:
        await until(lambda: station.is_online and not station.is_busy)
        yield station, counters


@pytest.mark.ocpp("2.x BootNotification", "2.x StatusNotification", "2.x Authorize", "2.x TransactionEvent")
@pytest.mark.parametrize("version", BOTH)
async def test_a_charge_at_a_2_x_station_is_seen_over_the_api(system: System, version: Version) -> None:
    await system.post("tokens", {"uid": TOKEN, "kind": "iso14443"})
    async with a_station(system, version) as (station, counters):
        charging = station.charging
        charging.plug_in(1, Battery(CARS[3], station.nameplate.supply, soc=0.3))
        assert await charging.present_tag(1, TOKEN)
        transaction = charging.evses[1].transaction
        assert transaction is not None
        await until(lambda: transaction.seq_no >= 8)
        station.go_offline(180.0)
        await until(lambda: transaction.seq_no >= 11)
        assert await charging.present_tag(1, TOKEN)
        charging.unplug(1)
        energy_wh = charging.evses[1].meter.energy_wh

        async def finished() -> Any:
            logs = await system.items("stations/SIM-201/charge-logs")
            return next((log for log in logs if log["state"] == "finished"), None)

        log = await eventually(finished)
        assert (log["transaction_id"], log["token"]) == (transaction.transaction_id, TOKEN)
        assert log["energy_wh"] == energy_wh > 500
        assert log["stop_reason"] == "Local"
        assert log["missing_events"] in (None, [], 0)
        curve = await system.get(f"stations/SIM-201/charge-logs/{log['id']}/meter-curve")
        assert len(str(curve)) > 300
        head = await system.get("stations/SIM-201")
        assert head["hardware"]["serial_number"] == "S-2"
        assert head["communication"]["protocol"] == version
        points = await system.items("stations/SIM-201/charge-points")
        assert [point["status"] for point in points] == ["available", "available"]
        assert counters.errors == 0, counters.report()


@pytest.mark.ocpp(*(f"2.x {action}" for action in TOUR))
@pytest.mark.parametrize("version", BOTH)
async def test_a_2_x_station_answers_every_command(system: System, version: Version) -> None:
    async with a_station(system, version) as (_station, counters):
        for action, payload in TOUR.items():
            command = await system.command("SIM-201", action, payload)
            assert command["outcome"] == "answered", command
            results = [command["payload"], *(command["payload"].get("setVariableResult") or [])]
            statuses = {result.get("status") or result.get("attributeStatus") for result in results}
            assert "Rejected" not in statuses, command
        for action in FOLLOWING:
            await until(lambda action=action: counters.answered[action])
        reset = await system.command("SIM-201", "Reset", {"type": "Immediate"})
        assert reset["outcome"] == "answered"
        await until(lambda: counters.answered["BootNotification"] == 2)
        assert counters.errors == 0, counters.report()
