"""P1: the companies that share an installation; each sees only its own things."""

from csms.platform.organisations.model import Organisation
from csms.platform.organisations.service import default_organisation, ensure_default, find_organisation

NEEDS = ()
__all__ = ["Organisation", "default_organisation", "ensure_default", "find_organisation"]
