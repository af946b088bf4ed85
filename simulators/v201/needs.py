"""F5: what a car tells over ISO 15118 that it needs, and when it leaves (2.0.1, K15)."""

from datetime import datetime
from typing import Any, Final

from csms.ocpp.timestamps import write as timestamp
from simulators.battery import PHASE_VOLTAGE_V, Battery

MIN_CURRENT_A: Final = 6  # IEC 61851: a car does not charge with less
DC_VOLTAGE_V: Final = 400.0


def charging_needs(battery: Battery, departs_at: datetime) -> dict[str, Any]:
    """ChargingNeedsType."""
    parameters = _dc(battery) if battery.supply.is_dc else _ac(battery)
    return {**parameters, "departureTime": timestamp(departs_at)}


def _energy_wh(battery: Battery) -> int:
    return round((battery.target_soc - battery.soc) * battery.car.capacity_wh)


def _ac(battery: Battery) -> dict[str, Any]:
    return {
        "requestedEnergyTransfer": "AC_single_phase" if battery.phases == 1 else "AC_three_phase",
        "acChargingParameters": {
            "energyAmount": _energy_wh(battery),
            "evMinCurrent": MIN_CURRENT_A,
            "evMaxCurrent": round(battery.car.max_ac_power_w / PHASE_VOLTAGE_V / battery.car.ac_phases),
            "evMaxVoltage": round(PHASE_VOLTAGE_V),
        },
    }


def _dc(battery: Battery) -> dict[str, Any]:
    return {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {
            "evMaxCurrent": round(battery.car.max_dc_power_w / DC_VOLTAGE_V),
            "evMaxVoltage": round(DC_VOLTAGE_V),
            "energyAmount": _energy_wh(battery),
            "evMaxPower": round(battery.car.max_dc_power_w),
            "stateOfCharge": round(battery.soc * 100),
            "evEnergyCapacity": round(battery.car.capacity_wh),
        },
    }
