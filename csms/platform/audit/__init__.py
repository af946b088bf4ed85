"""P3: the audit log: when, what, who, from which machine; every write, in the transaction that wrote."""

from csms.platform.audit.model import AuditLog
from csms.platform.audit.recorder import acting, install
from csms.platform.audit.service import ChainCheck, verify_all, verify_chain

NEEDS = ("platform.operations", "platform.organisations")
__all__ = ["AuditLog", "ChainCheck", "acting", "install", "verify_all", "verify_chain"]
