"""S3: charge points go with their station, so that their EVSE ids are free again."""

from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.information import goes_with_station

CONSUMERS = (goes_with_station("charge_points.forget", Connector, ChargePoint),)
