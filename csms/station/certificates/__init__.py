"""B10, B2, B3: certificates of stations: signed on request, installed, listed, deleted, revoked, watched."""

from csms.station.certificates.model import CertificateRequest, StationCertificate
from csms.station.certificates.rules.installed import CertificateKind, HashData, hash_data, read_hash_data
from csms.station.certificates.rules.status import CertificateStatus
from csms.station.certificates.service.asking import ask_about, known_issuers

NEEDS = (
    "platform.certificate_authority",
    "platform.organisations",
    "station.commands",
    "station.connections",
    "station.errors",
    "station.information",
)
__all__ = [
    "CertificateKind",
    "CertificateRequest",
    "CertificateStatus",
    "HashData",
    "StationCertificate",
    "ask_about",
    "hash_data",
    "known_issuers",
    "read_hash_data",
]
