"""F5: the variables of a simulated 2.x station that tell what happens at its EVSEs at this moment."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from csms.ocpp.timestamps import write as timestamp
from simulators.v201.evse import Evse, Status

if TYPE_CHECKING:
    from simulators.v201.station import Station

IDLE_C = 20.0


def bind(station: "Station") -> None:
    """Let the device model read from the station."""
    nameplate, model = station.nameplate, station.model
    model.change("ChargingStation.Model", nameplate.model)
    model.change("ChargingStation.VendorName", nameplate.vendor)
    model.change("ChargingStation.SerialNumber", nameplate.serial_number)
    model.change("SecurityCtrlr.Identity", station.endpoint.identity)
    statuses = station.charging.statuses
    authorization = station.authorization
    for name, read in {
        "ChargingStation.AvailabilityState": lambda: str(statuses.overall()),
        "ChargingStation.Available": lambda: _flag(statuses.overall() is not Status.UNAVAILABLE),
        "ChargingStation.Problem": lambda: _flag(statuses.overall() is Status.FAULTED),
        "ChargingStation.FirmwareVersion": lambda: station.firmware_version,
        "ClockCtrlr.DateTime": lambda: timestamp(station.clock.now()),
        "LocalAuthListCtrlr.Entries": lambda: str(len(authorization.local_list)),
        "AuthCacheCtrlr.Storage": lambda: str(64 * len(authorization.cache)),
    }.items():
        model.variable(name).live = read
    for evse in station.charging.evses.values():
        _bind_evse(station, evse)


def _bind_evse(station: "Station", evse: Evse) -> None:
    model, number = station.model, evse.evse_id
    model.variable("EVSE.Power", number).values["MaxSet"] = f"{evse.supply.max_power_w:.0f}"
    model.variable("EVSE.SupplyPhases", number).values["Actual"] = str(evse.supply.phases)
    reads: dict[str, Callable[[], str]] = {
        "EVSE.AvailabilityState": lambda: str(evse.status),
        "EVSE.Available": lambda: _flag(evse.is_operative),
        "EVSE.Problem": lambda: _flag(evse.is_faulted),
        "EVSE.Power": lambda: f"{evse.measure().power_w:.0f}",
        "ConnectedEV.Available": lambda: _flag(evse.battery is not None),
        "ConnectedEV.StateOfCharge": lambda: f"{evse.battery.soc * 100 if evse.battery else 0:.0f}",
        "ElectricalFeed.ACCurrent": lambda: f"{evse.measure().currents_a[0]:.1f}",
        "ElectricalFeed.ACVoltage": lambda: f"{evse.measure().voltages_v[0]:.1f}",
        "FiscalMetering.EnergyImportRegister": lambda: str(evse.meter.energy_wh),
        "TemperatureSensor.Temperature": lambda: f"{_temperature_c(evse):.1f}",
    }
    for name, read in reads.items():
        model.variable(name, number).live = read
    for plug, connector in evse.connectors.items():
        model.variable("Connector.ConnectorType", number, plug).values["Actual"] = connector.kind
        _bind_connector(station, evse, plug)


def _bind_connector(station: "Station", evse: Evse, plug: int) -> None:
    reads: dict[str, Callable[[], str]] = {
        "Connector.AvailabilityState": lambda: str(evse.status_of(plug)),
        "Connector.Available": lambda: _flag(evse.connectors[plug].is_operative),
        "Connector.Problem": lambda: _flag(evse.status_of(plug) is Status.FAULTED),
    }
    for name, read in reads.items():
        station.model.variable(name, evse.evse_id, plug).live = read


def _temperature_c(evse: Evse) -> float:
    """The contacts warm with the current: about 45 degrees above the surroundings at full power."""
    ambient_c = evse.battery.ambient_c if evse.battery is not None else IDLE_C
    return ambient_c + 45.0 * evse.measure().power_w / evse.supply.max_power_w


def _flag(is_so: bool) -> str:
    return "true" if is_so else "false"
