"""B10: whose station certificates are trusted.

The broker asks here; features join by offering, in their `ocpp.py`:

    TRUSTED_ROOTS = trusted_roots        async (work) -> PEM texts of certificate authorities
    OPERATOR_NAMES = operator_names      async (work, organisation_id) -> O of its stations' certificates
    CERTIFICATE_CHECKS = is_not_revoked  async (work, station_id, certificate) -> why it is refused, or None
    SERVES_TLS = serves_tls              async (work) -> whether a broker has a TLS port now

Emit a fact `trusted_roots_changed` when the roots change: every broker then reads them anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from csms.config import Settings
from csms.features import offered
from csms.store import Work

ROOTS_CHANGED = "trusted_roots_changed"


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """What a station's certificate says; where it was not verified, only what somebody claims."""

    common_name: str | None
    organisation: str | None
    issuer: str
    """RFC 4514, as in `CN=Station CA,O=Example`."""
    serial_number: str
    """Hexadecimal digits, as in OCPP's CertificateHashData."""
    sha256: str
    """Of the whole certificate (DER), hexadecimal."""
    not_before: datetime
    not_after: datetime
    issuers: tuple[str, ...] = ()
    """SHA-256 of the certificates above it, up to the one that is trusted; empty where nothing was verified."""


CertificateCheck = Callable[[Work, int, PresentedCertificate], Awaitable[str | None]]


async def trusted_roots(work: Work) -> list[str]:
    """PEM texts of all certificate authorities that features trust."""
    return [pem for find in offered("ocpp", "TRUSTED_ROOTS") for pem in await find(work)]


async def operator_names(work: Work, organisation_id: int) -> list[str]:
    """What features know as O of the certificates of that organisation's stations (A00.FR.404)."""
    return [name for find in offered("ocpp", "OPERATOR_NAMES") for name in await find(work, organisation_id)]


def certificate_checks() -> tuple[CertificateCheck, ...]:
    """What features want asked before a verified certificate is accepted."""
    return tuple(offered("ocpp", "CERTIFICATE_CHECKS"))


@dataclass(frozen=True, slots=True)
class TlsOffer:
    """What this installation offers to stations of higher security profiles."""

    has_tls: bool
    has_client_tls: bool
    """TLS ends here, so that stations' certificates are seen."""
    has_authority: bool
    """Somebody is trusted to have issued stations' certificates, as far as this process can know."""


async def tls_offer(work: Work, settings: Settings) -> TlsOffer:
    """What the brokers offer: told by this process's settings, or by the brokers themselves where they are others."""
    is_ours = settings.broker_tls_port is not None
    has_port = is_ours or any([await serves(work) for serves in offered("ocpp", "SERVES_TLS")])
    roots = await trusted_roots(work)
    return TlsOffer(
        has_tls=has_port or settings.broker_port_behind_tls,
        has_client_tls=has_port,
        has_authority=bool(roots or settings.tls_client_ca_files) or (has_port and not is_ours),
    )
