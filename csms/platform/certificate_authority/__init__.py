"""B10: the operator's own certificate authority: it signs the certificates with which stations log in."""

from csms.platform.certificate_authority.model import CertificateAuthority
from csms.platform.certificate_authority.rules import (
    Issuer,
    KeyKind,
    chain_text,
    fingerprint_of,
    first_text,
    read_chain,
    shown_name,
    shown_text,
    sign_station,
)
from csms.platform.certificate_authority.service import (
    active_authority,
    authorities,
    create_authority,
    get_authority,
    import_authority,
    issue_server,
    new_root,
    open_issuer,
    operator_name_of,
    sent_chain,
    take_over_files,
    trusted_roots,
)

NEEDS = ("platform.organisations",)
__all__ = [
    "CertificateAuthority",
    "Issuer",
    "KeyKind",
    "active_authority",
    "authorities",
    "chain_text",
    "create_authority",
    "fingerprint_of",
    "first_text",
    "get_authority",
    "import_authority",
    "issue_server",
    "new_root",
    "open_issuer",
    "operator_name_of",
    "read_chain",
    "sent_chain",
    "shown_name",
    "shown_text",
    "sign_station",
    "take_over_files",
    "trusted_roots",
]
