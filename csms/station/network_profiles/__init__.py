"""B10: network profiles: how a 2.x station reaches its central system, slot by slot, and in which order."""

from csms.station.network_profiles.model import NetworkProfile
from csms.station.network_profiles.rules import (
    Interface,
    Link,
    priority_in,
    priority_query,
    priority_request,
    profile_request,
    set_status,
)
from csms.station.network_profiles.service import url_fault

NEEDS = ("station.commands", "station.information")
__all__ = [
    "Interface",
    "Link",
    "NetworkProfile",
    "priority_in",
    "priority_query",
    "priority_request",
    "profile_request",
    "set_status",
    "url_fault",
]
