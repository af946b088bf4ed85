"""B10, B2, B3: certificates of stations: signed on request, installed, listed, deleted, revoked, watched."""

from csms.station.certificates.model import CertificateRequest, StationCertificate

NEEDS = ("platform.certificate_authority", "station.commands", "station.errors", "station.information")
__all__ = ["CertificateRequest", "StationCertificate"]
