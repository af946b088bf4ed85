"""B10: the certificate messages of stations, and what they answer to ours (1.6 whitepaper; 2.x A02, M03 to M06)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload, Prepare, Route
from csms.station.certificates.service.asking import ask_chain, ask_contract, ask_status
from csms.station.certificates.service.certificates import (
    delete_answered,
    install_answered,
    listed_answered,
    signed_answered,
)
from csms.station.certificates.service.requests import Taken, take_request
from csms.station.certificates.service.statuses import certificate_status, chain_status, ev_certificate
from csms.station.certificates.service.trust import refusal_of
from csms.store import Work

ALL = (Version.V16, *VERSIONS_2)
INFO_CHARS_MAX = 512


async def sign_certificate(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """A02.FR.03: the answer says whether it will be signed; CertificateSigned brings the certificate."""
    return sign_answer(await take_request(work, station, payload), station.version)


def sign_answer(taken: Taken, version: Version) -> dict[str, Any]:
    """SignCertificateResponse; only 2.x has room for the reason."""
    answer: dict[str, Any] = {"status": "Accepted" if taken.is_accepted else "Rejected"}
    if version is not Version.V16 and not taken.is_accepted and taken.reason:
        info: Mapping[str, str] = {"reasonCode": taken.reason_code, "additionalInfo": taken.reason[:INFO_CHARS_MAX]}
        answer["statusInfo"] = info
    return answer


ROUTES = (
    Route(ALL, "SignCertificate", sign_certificate),
    Route(VERSIONS_2, "GetCertificateStatus", certificate_status),
    Route(VERSIONS_2, "Get15118EVCertificate", ev_certificate),
    Route(Version.V21, "GetCertificateChainStatus", chain_status),
)
PREPARES = (
    Prepare(VERSIONS_2, "GetCertificateStatus", ask_status),
    Prepare(VERSIONS_2, "Get15118EVCertificate", ask_contract),
    Prepare(Version.V21, "GetCertificateChainStatus", ask_chain),
)
ANSWERED = (
    Answered(ALL, "CertificateSigned", signed_answered),
    Answered(ALL, "InstallCertificate", install_answered),
    Answered(ALL, "DeleteCertificate", delete_answered),
    Answered(ALL, "GetInstalledCertificateIds", listed_answered),
)


class Presented(Protocol):
    """What a TLS port knows of a certificate whose chain is verified."""

    @property
    def issuer(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def not_after(self) -> datetime: ...

    @property
    def issuers(self) -> tuple[str, ...]: ...


async def is_refused(work: Work, station_id: int, certificate: Presented) -> str | None:
    """Why a station may not log in with that certificate, or None."""
    return await refusal_of(
        work, station_id, fingerprint=certificate.sha256, issuer=certificate.issuer, issuers=certificate.issuers
    )


CERTIFICATE_CHECKS = is_refused
