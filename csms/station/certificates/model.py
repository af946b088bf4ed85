"""B10: the tables of certificates: what is decided about them, what stations ask for, what is on them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlmodel import Field

from csms.station.certificates.rules.installed import CertificateKind, HashData
from csms.station.certificates.rules.requests import CertificateUse, RequestState, Signing
from csms.station.certificates.rules.status import CertificateStatus
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

DAYS = 365
WARN_DAYS = (30, 7, 1)


class CertificatePolicy(Owned, table=True):
    """What an organisation wants done about certificates; without a row, what stands here."""

    __tablename__ = "certificate_policy"
    __table_args__ = (Index("uq_certificate_policy_organisation", "organisation_id", unique=True),)

    signing: Signing = Field(default=Signing.AUTHENTICATED, sa_type=words(Signing))
    days: int = DAYS
    """How long stations' certificates are valid."""
    takes_v2g_requests: bool = False
    """Requests for V2G certificates wait for an operator, who has them signed elsewhere."""
    warn_days: list[int] = Field(default_factory=lambda: list(WARN_DAYS), sa_type=Json)
    """How many days before a certificate's end somebody is warned, once each."""
    renew_days: int | None = None
    """How many days before its end a station is asked to renew its certificate; None: only operators ask."""


class CertificateRequest(Owned, table=True):
    """A SignCertificate of a station, and what became of it."""

    __tablename__ = "certificate_request"
    __table_args__ = (
        Index("ix_certificate_request_station", "station_id", "id"),
        Index("ix_certificate_request_due", "state", "next_attempt_at"),
        Index("ix_certificate_request_certificate", "certificate_id"),
    )

    station_id: int = Field(sa_type=BigInt)
    identity: str
    use: CertificateUse = Field(sa_type=words(CertificateUse))
    state: RequestState = Field(sa_type=words(RequestState))
    reason: str | None = None
    csr: str = Field(sa_type=Text)
    """As the station wrote it, within the standard's limit."""
    common_name: str | None = None
    organisation_name: str | None = None
    key_kind: str | None = None
    key_sha256: str | None = None
    ocpp_request_id: int | None = Field(default=None, sa_type=BigInt)
    """2.1: to be sent back with the certificate."""
    root_hash: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """2.1: which V2G root the certificate is to come from."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    repeat_count: int = 0
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by: str | None = None
    chain: str | None = Field(default=None, sa_type=Text)
    """PEM, as it is sent."""
    certificate_id: int | None = Field(default=None, sa_type=BigInt)
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str | None = None
    """Why the latest attempt came to nothing."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StationCertificate(Owned, table=True):
    """A certificate that is, was or will be on a station, as far as it is known."""

    __tablename__ = "station_certificate"
    __table_args__ = (
        Index("ix_station_certificate_station", "station_id", "id"),
        Index("ix_station_certificate_fingerprint", "fingerprint"),
        Index("ix_station_certificate_serial", "organisation_id", "serial_number"),
        Index("ix_station_certificate_end", "not_after"),
    )

    station_id: int = Field(sa_type=BigInt)
    identity: str
    kind: CertificateKind = Field(sa_type=words(CertificateKind))
    is_child: bool = False
    """Below another one in the chain that the station lists."""
    is_issued_here: bool = False
    hash_algorithm: str | None = None
    issuer_name_hash: str | None = None
    issuer_key_hash: str | None = None
    serial_number: str
    """Hexadecimal, lower case, no leading zeros."""
    fingerprint: str | None = None
    """SHA-256; None while only the station's hashes are known."""
    subject: str | None = None
    issuer: str | None = None
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    not_after: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pem: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    installed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when it is known to be on the station; None: it is on its way."""
    last_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the station last said so."""
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    removed_because: str | None = None
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_by: str | None = None
    revoked_because: str | None = None
    warned_days: int | None = None
    """The smallest number of days before its end that was warned of."""
    renewal_asked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def is_installed(self) -> bool:
        return self.installed_at is not None and self.removed_at is None

    @property
    def hash_data(self) -> HashData | None:
        """How the station names it, or None where that is not known."""
        algorithm, name_hash, key_hash = self.hash_algorithm, self.issuer_name_hash, self.issuer_key_hash
        if not algorithm or not name_hash or not key_hash:
            return None
        return HashData(algorithm, name_hash, key_hash, self.serial_number)


class CertificateStatusCheck(Owned, table=True):
    """A certificate that a station asked about, and the latest answer; one row a certificate."""

    __tablename__ = "certificate_status_check"
    __table_args__ = (Index("ix_certificate_status_check_station", "station_id", "asked_at"),)

    station_id: int = Field(sa_type=BigInt)
    identity: str
    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    source: str
    """OCSP or CRL."""
    url: str
    status: CertificateStatus = Field(sa_type=words(CertificateStatus))
    reason: str | None = None
    next_update_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_asked_at: datetime = Field(sa_type=UtcDateTime)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    ask_count: int = 1


class ContractRequest(Owned, table=True):
    """A car that asked for its contract certificate through a station, and what the provider answered."""

    __tablename__ = "contract_request"
    __table_args__ = (Index("ix_contract_request_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    identity: str
    at: datetime = Field(sa_type=UtcDateTime)
    action: str
    schema_version: str
    is_accepted: bool
    reason: str | None = None
    remaining_contracts: int | None = Field(default=None, sa_type=BigInt)


KEPT = (Kept(CertificateRequest, "history_kept_days"), Kept(ContractRequest, "frames_kept_days"))
