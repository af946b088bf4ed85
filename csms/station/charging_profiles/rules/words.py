"""S25: the names that the API has for what only OCPP 2.1 has, and OCPP's own."""

from collections.abc import Mapping
from typing import Any, Final

PERIOD_WORDS: Final[Mapping[str, str]] = {
    "limit_l2": "limit_L2",
    "limit_l3": "limit_L3",
    "discharge_limit": "dischargeLimit",
    "discharge_limit_l2": "dischargeLimit_L2",
    "discharge_limit_l3": "dischargeLimit_L3",
    "setpoint": "setpoint",
    "setpoint_l2": "setpoint_L2",
    "setpoint_l3": "setpoint_L3",
    "setpoint_reactive": "setpointReactive",
    "setpoint_reactive_l2": "setpointReactive_L2",
    "setpoint_reactive_l3": "setpointReactive_L3",
    "preconditioning_request": "preconditioningRequest",
    "evse_sleep": "evseSleep",
    "v2x_baseline": "v2xBaseline",
    "operation_mode": "operationMode",
    "v2x_frequency_curve": "v2xFreqWattCurve",
    "v2x_signal_curve": "v2xSignalWattCurve",
    "custom_data": "customData",
}
SCHEDULE_WORDS: Final[Mapping[str, str]] = {
    "limit_at_soc": "limitAtSoC",
    "power_tolerance": "powerTolerance",
    "signature_id": "signatureId",
    "digest_value": "digestValue",
    "use_local_time": "useLocalTime",
    "randomized_delay_s": "randomizedDelay",
    "sales_tariff": "salesTariff",
    "absolute_price_schedule": "absolutePriceSchedule",
    "price_level_schedule": "priceLevelSchedule",
    "custom_data": "customData",
}
PROFILE_WORDS: Final[Mapping[str, str]] = {
    "max_offline_duration_s": "maxOfflineDuration",
    "invalid_after_offline_duration": "invalidAfterOfflineDuration",
    "dynamic_update_interval_s": "dynUpdateInterval",
    "dynamic_updated_at": "dynUpdateTime",
    "price_schedule_signature": "priceScheduleSignature",
    "custom_data": "customData",
}


def to_wire(words: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are there, by OCPP's names."""
    return {wire: values[name] for name, wire in words.items() if values.get(name) is not None}


def from_wire(words: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the API's names."""
    return {name: more[wire] for name, wire in words.items() if wire in more}
