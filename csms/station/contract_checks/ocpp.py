"""S27: the certificates in an Authorize are verified before it is handled."""

from csms.ocpp.versions import VERSIONS_2
from csms.routing import Prepare
from csms.station.contract_checks.service import check_contract

PREPARES = (Prepare(VERSIONS_2, "Authorize", check_contract),)
