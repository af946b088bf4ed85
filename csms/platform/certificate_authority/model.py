"""B10: the authorities of each organisation."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.store import Owned, UtcDateTime

_ACTIVE = text("retired_at IS NULL")


class CertificateAuthority(Owned, table=True):
    """Who signs stations' certificates; a retired one signs no more, and is trusted until it expires."""

    __tablename__ = "certificate_authority"
    __table_args__ = (
        Index(
            "uq_certificate_authority_active",
            "organisation_id",
            unique=True,
            postgresql_where=_ACTIVE,
            sqlite_where=_ACTIVE,
        ),
    )

    name: str
    """Its subject, as in `CN=Example Station CA,O=Example`."""
    operator_name: str | None = None
    """O of the certificates it signs (A00.FR.404)."""
    chain: str
    """PEM: its certificate first, its issuers after it."""
    fingerprint: str = Field(max_length=64)
    serial_number: str
    key_kind: str
    not_before: datetime = Field(sa_type=UtcDateTime)
    not_after: datetime = Field(sa_type=UtcDateTime)
    is_imported: bool = False
    """Its key was made elsewhere, where it may have signed too."""
    private_key: str | None = None
    """PKCS #8, encrypted with the installation's secret key; None where it stays in the file of the settings."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    warned_days: int | None = None
    """The smallest number of days before its end that was warned of."""
