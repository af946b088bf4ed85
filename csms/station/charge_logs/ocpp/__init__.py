"""B6, B7: what stations tell of charges, in all versions of OCPP."""

from csms.station.charge_logs.ocpp import v2, v16
from csms.station.charge_logs.service.memory import load
from csms.station.charge_logs.service.records import CHARGE_PAIRED

ROUTES = (*v16.ROUTES, *v2.ROUTES)
OBSERVES = (*v16.OBSERVES, *v2.OBSERVES)
ANSWERED = v2.ANSWERED
RELOADS = frozenset({CHARGE_PAIRED})
__all__ = ["ANSWERED", "OBSERVES", "RELOADS", "ROUTES", "load"]
