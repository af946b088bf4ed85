"""B10: what the broker's TLS port trusts."""

from csms.platform.certificate_authority.service import trusted_roots

TRUSTED_ROOTS = trusted_roots
