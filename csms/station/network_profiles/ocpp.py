"""B10: SetNetworkProfile (2.0.1 B09), whoever sent it."""

from csms.ocpp.versions import VERSIONS_2
from csms.routing import Answered
from csms.station.network_profiles.service import set_answered

ANSWERED = (Answered(VERSIONS_2, "SetNetworkProfile", set_answered),)
