"""B10: what the broker's TLS port trusts."""

from csms.platform.certificate_authority.service import operator_names, trusted_roots

TRUSTED_ROOTS = trusted_roots
OPERATOR_NAMES = operator_names
