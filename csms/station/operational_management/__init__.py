"""S21: service packages, switched on for a station by those who hold the right; what they open to others."""

from csms.station.operational_management.model import ServicePackage
from csms.station.operational_management.service import has_active_package, switch_package

NEEDS = ("station.information",)
__all__ = ["ServicePackage", "has_active_package", "switch_package"]
