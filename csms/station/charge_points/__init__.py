"""S3: charge points (EVSEs) and connectors: state, label, EVSE id, plug, power, and what maps and apps still lack."""

from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.charge_points.rules import ChargePointStatus, PlugType, Problem, Severity
from csms.station.charge_points.service import (
    CHARGE_POINTS_MAX,
    ChargePoints,
    KnownChargePoint,
    KnownConnector,
    charge_point_id,
    charge_points_of,
    check_station,
    connectors_of,
    get_charge_point,
    release,
    set_charging,
    set_connector_status,
    set_status,
)

NEEDS = ("station.information",)
__all__ = [
    "CHARGE_POINTS_MAX",
    "ChargePoint",
    "ChargePointStatus",
    "ChargePoints",
    "Connector",
    "KnownChargePoint",
    "KnownConnector",
    "PlugType",
    "Problem",
    "Severity",
    "charge_point_id",
    "charge_points_of",
    "check_station",
    "connectors_of",
    "get_charge_point",
    "release",
    "set_charging",
    "set_connector_status",
    "set_status",
]
