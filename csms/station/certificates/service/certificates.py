"""B10: keeps what is known of the certificates on each station."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.platform.certificate_authority import chain_text, fingerprint_of, read_chain, shown_name
from csms.routing import ConnectedStation, Payload
from csms.station.certificates.model import CertificateRequest, StationCertificate
from csms.station.certificates.rules.installed import (
    ALGORITHMS,
    CertificateKind,
    HashData,
    Listed,
    hash_data,
    kind_of,
    kinds_asked,
    plain_serial,
    read_hash_data,
    read_listed,
    status_info,
)
from csms.station.certificates.rules.requests import SIGNING_USES, CertificateUse, RequestState
from csms.station.connections import request_disconnect
from csms.station.information import Station, fact_about
from csms.store import Work

ROWS_READ_MAX: Final = 1000
WITH_CERTIFICATE: Final = 3
"""The security profile."""


def columns_of(certificate: x509.Certificate, issuer: x509.Certificate | None = None) -> dict[str, Any]:
    """What a certificate says, as columns; with its issuer (or as its own), the hashes by which stations name it."""
    if issuer is None and certificate.subject == certificate.issuer:
        issuer = certificate
    data = _own_hashes(certificate, issuer)
    return {
        "hash_algorithm": data.algorithm if data else None,
        "issuer_name_hash": data.issuer_name_hash if data else None,
        "issuer_key_hash": data.issuer_key_hash if data else None,
        "serial_number": f"{certificate.serial_number:x}",
        "fingerprint": fingerprint_of(certificate),
        "subject": shown_name(certificate.subject),
        "issuer": shown_name(certificate.issuer),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "pem": chain_text([certificate]),
    }


def _own_hashes(certificate: x509.Certificate, issuer: x509.Certificate | None) -> HashData | None:
    return hash_data(certificate, issuer) if issuer is not None else None


def note_issued(
    work: Work, request: CertificateRequest, chain: Sequence[x509.Certificate], *, is_issued_here: bool
) -> int:
    """Note a certificate that is to be sent to the station of the request; returns its id."""
    issuer = chain[1] if len(chain) > 1 else None
    return work.insert(
        StationCertificate,
        **columns_of(chain[0], issuer),
        organisation_id=request.organisation_id,
        station_id=request.station_id,
        identity=request.identity,
        kind=CertificateKind(request.use.value),
        is_child=False,
        is_issued_here=is_issued_here,
        created_at=work.now,
    )


# --- what stations answer (in the broker) -----------------------------------------------------------------------------


async def signed_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """CertificateSigned: whether the station took its certificate."""
    certificate = _first_of(request.get("certificateChain"))
    if certificate is None:
        return
    use = SIGNING_USES.get(str(request.get("certificateType")), CertificateUse.STATION)
    row = await _by_fingerprint(work, station, fingerprint_of(certificate))
    if answer.get("status") != "Accepted":
        if row is not None:
            reason = status_info(answer) or "the station gives no reason"
            await _end_request(work, row, RequestState.REFUSED, reason)
        return
    kind = CertificateKind(use.value)
    await _replace(work, station, kind, fingerprint_of(certificate))
    if row is None:
        _insert_known(work, station, kind, certificate)
    else:
        work.change(StationCertificate, row.id, installed_at=work.now, last_seen_at=work.now, removed_at=None)
        await _end_request(work, row, RequestState.INSTALLED, None)
    data = {"kind": kind.value, "fingerprint": fingerprint_of(certificate)}
    work.emit(fact_about(station, "certificate_installed", data))


async def _end_request(work: Work, certificate: StationCertificate, state: RequestState, reason: str | None) -> None:
    query = select(CertificateRequest.id).where(
        CertificateRequest.certificate_id == certificate.id, CertificateRequest.state == RequestState.SIGNED
    )
    for request_id in (await work.session.exec(query)).all():
        work.change(CertificateRequest, request_id, state=state, reason=reason, problem=None, ended_at=work.now)


async def _replace(work: Work, station: ConnectedStation, kind: CertificateKind, fingerprint: str) -> None:
    """A station uses one certificate of that kind: the newer takes the older one's place."""
    query = select(StationCertificate.id).where(
        StationCertificate.station_id == station.id,
        StationCertificate.kind == kind,
        col(StationCertificate.installed_at).is_not(None),
        col(StationCertificate.removed_at).is_(None),
        col(StationCertificate.fingerprint) != fingerprint,
    )
    for row_id in (await work.session.exec(query)).all():
        work.change(StationCertificate, row_id, removed_at=work.now, removed_because="a newer one took its place")


async def install_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """InstallCertificate: a root that the station took."""
    certificate, kind = _first_of(request.get("certificate")), kind_of(request.get("certificateType"))
    if certificate is None or kind is None or answer.get("status") != "Accepted":
        return
    query = select(StationCertificate).where(
        StationCertificate.station_id == station.id,
        StationCertificate.kind == kind,
        StationCertificate.fingerprint == fingerprint_of(certificate),
    )
    row = (await work.session.exec(query)).first()
    if row is None:
        _insert_known(work, station, kind, certificate)
    else:
        _seen_again(work, row)
    data = {"kind": kind.value, "fingerprint": fingerprint_of(certificate)}
    work.emit(fact_about(station, "certificate_installed", data))


async def delete_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """DeleteCertificate: gone, or never there."""
    reasons = {"Accepted": "deleted", "NotFound": "the station says that it does not have it"}
    reason = reasons.get(str(answer.get("status")))
    data = read_hash_data(request.get("certificateHashData"))
    if reason is None or data is None:
        return
    for row in await _rows_of(work, station):
        if row.removed_at is None and _is_named(row, data):
            work.change(StationCertificate, row.id, removed_at=work.now, removed_because=reason)
            gone = {"kind": row.kind.value, "fingerprint": row.fingerprint}
            work.emit(fact_about(station, "certificate_removed", gone))


async def listed_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """GetInstalledCertificateIds: what is on the station, complete for the kinds that were asked for."""
    if answer.get("status") not in ("Accepted", "NotFound"):
        return
    rows = await _rows_of(work, station)
    seen: set[int] = set()
    for listed in read_listed(request, answer):
        row = next((one for one in rows if one.kind is listed.kind and _is_named(one, listed.data)), None)
        if row is None:
            seen.add(await _insert_listed(work, station, listed))
        elif row.id not in seen:
            seen.add(row.id)
            _seen_again(work, row, listed.data)
    asked = kinds_asked(request, station.version)
    for row in rows:
        if row.kind in asked and row.is_installed and row.id not in seen:
            reason = "the station does not list it any more"
            work.change(StationCertificate, row.id, removed_at=work.now, removed_because=reason)


def _seen_again(work: Work, row: StationCertificate, data: HashData | None = None) -> None:
    values: dict[str, Any] = {"last_seen_at": work.now}
    if not row.is_installed:
        values |= {"installed_at": work.now, "removed_at": None, "removed_because": None}
    if data is not None and row.hash_data != data:
        values |= _hash_columns(data)
    work.change(StationCertificate, row.id, **values)


def _hash_columns(data: HashData) -> dict[str, str]:
    return {
        "hash_algorithm": data.algorithm,
        "issuer_name_hash": data.issuer_name_hash,
        "issuer_key_hash": data.issuer_key_hash,
    }


def _is_named(row: StationCertificate, data: HashData) -> bool:
    """Whether the station means this certificate."""
    if row.serial_number != plain_serial(data.serial_number):
        return False
    own = row.hash_data
    if own is not None and own.algorithm == data.algorithm:
        return own.key == data.key
    if row.pem is None or row.subject != row.issuer or data.algorithm not in ALGORITHMS:
        return own is None
    certificate = read_chain(row.pem)[0]
    return hash_data(certificate, certificate, data.algorithm).key == data.key


async def _insert_listed(work: Work, station: ConnectedStation, listed: Listed) -> int:
    known = await _known_elsewhere(work, station, listed.data)
    names = ("fingerprint", "subject", "issuer", "not_before", "not_after", "pem")
    return work.insert(
        StationCertificate,
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        kind=listed.kind,
        is_child=listed.is_child,
        is_issued_here=False,
        **_hash_columns(listed.data),
        serial_number=plain_serial(listed.data.serial_number),
        **({name: getattr(known, name) for name in names} if known is not None else {}),
        created_at=work.now,
        installed_at=work.now,
        last_seen_at=work.now,
    )


async def _known_elsewhere(work: Work, station: ConnectedStation, data: HashData) -> StationCertificate | None:
    """The same certificate on another station of the organisation, of which more than the hashes is known."""
    query = (
        select(StationCertificate)
        .where(
            StationCertificate.organisation_id == station.organisation_id,
            StationCertificate.serial_number == plain_serial(data.serial_number),
            col(StationCertificate.pem).is_not(None),
        )
        .limit(20)
    )
    rows = (await work.session.exec(query)).all()
    return next((row for row in rows if row.hash_data is not None and _is_named(row, data)), None)


def _insert_known(work: Work, station: ConnectedStation, kind: CertificateKind, certificate: x509.Certificate) -> None:
    work.insert(
        StationCertificate,
        **columns_of(certificate),
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        kind=kind,
        is_child=False,
        is_issued_here=False,
        created_at=work.now,
        installed_at=work.now,
        last_seen_at=work.now,
    )


def _first_of(pem: object) -> x509.Certificate | None:
    """The first certificate of a payload's text; None for what is none (raw commands may hold anything)."""
    try:
        return read_chain(pem)[0] if isinstance(pem, str) else None
    except Invalid:
        return None


async def _by_fingerprint(work: Work, station: ConnectedStation, fingerprint: str) -> StationCertificate | None:
    query = select(StationCertificate).where(
        StationCertificate.station_id == station.id, StationCertificate.fingerprint == fingerprint
    )
    return (await work.session.exec(query)).first()


async def _rows_of(work: Work, station: ConnectedStation) -> Sequence[StationCertificate]:
    query = (
        select(StationCertificate)
        .where(StationCertificate.station_id == station.id)
        .order_by(col(StationCertificate.id).desc())
        .limit(ROWS_READ_MAX)
    )
    return (await work.session.exec(query)).all()


# --- for the API ------------------------------------------------------------------------------------------------------


def certificates_query(
    station: Station, *, kinds: Sequence[CertificateKind] = (), is_installed: bool | None = None
) -> SelectOfScalar[StationCertificate]:
    """The certificates of a station."""
    query = select(StationCertificate).where(StationCertificate.station_id == station.id)
    if kinds:
        query = query.where(col(StationCertificate.kind).in_(kinds))
    if is_installed is not None:
        present = col(StationCertificate.installed_at).is_not(None) & col(StationCertificate.removed_at).is_(None)
        query = query.where(present if is_installed else ~present)
    return query


def expiring_query(now: datetime, days: int) -> SelectOfScalar[StationCertificate]:
    """What is in use on any of the caller's stations and ends within that time."""
    return select(StationCertificate).where(
        col(StationCertificate.not_after).is_not(None),
        col(StationCertificate.not_after) <= now + timedelta(days=days),
        col(StationCertificate.installed_at).is_not(None),
        col(StationCertificate.removed_at).is_(None),
        col(StationCertificate.revoked_at).is_(None),
    )


async def get_certificate(
    work: Work, station: Station, certificate_id: int, *, to_change: bool = False
) -> StationCertificate:
    """Raises NotFound, also for another station's."""
    query = select(StationCertificate).where(
        StationCertificate.station_id == station.id, StationCertificate.id == certificate_id
    )
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such certificate; GET …/certificates lists them")
    return found


def revoke(work: Work, station: Station, certificate: StationCertificate, reason: str) -> None:
    """The station cannot log in with it any more; one that did is disconnected. Raises Conflict if it was before."""
    if certificate.revoked_at is not None:
        raise Conflict(f"it was revoked on {certificate.revoked_at:%Y-%m-%d} by {certificate.revoked_by}")
    certificate.revoked_at, certificate.revoked_by = work.now, work.actor.name
    certificate.revoked_because = reason
    work.emit(fact_about(station, "certificate_revoked", {"fingerprint": certificate.fingerprint, "reason": reason}))
    is_login = certificate.kind is CertificateKind.STATION and station.security_profile == WITH_CERTIFICATE
    if is_login and station.is_online:
        request_disconnect(work, station)


def version_of(station: Station) -> Version:
    """The version that the station spoke last; 1.6 for one that never connected."""
    try:
        return Version(station.protocol or Version.V16)
    except ValueError:
        return Version.V16
