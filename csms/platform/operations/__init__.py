"""P6: metrics, structured logs, health and readiness, backup and restore."""

from csms.platform.operations.redaction import HIDDEN, is_secret_name, redact, redacted_text, shortened

NEEDS = ()
__all__ = ["HIDDEN", "is_secret_name", "redact", "redacted_text", "shortened"]
