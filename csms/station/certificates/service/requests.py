"""B10: takes stations' certificate signing requests, and operators' decisions about them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlmodel import col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.platform.certificate_authority import active_authority, read_chain
from csms.routing import ConnectedStation, Payload
from csms.station.certificates.model import CertificateRequest
from csms.station.certificates.rules.requests import (
    CSR_CHARS_MAX,
    OPEN_STATES,
    ROWS_PER_HOUR_MAX,
    SAME_KEY_S,
    SETTLE_S,
    SIGNING_USES,
    Asker,
    CertificateUse,
    ReadRequest,
    RequestState,
    Unusable,
    fault_of,
    needs_approval,
    read_request,
)
from csms.station.certificates.service.certificates import note_issued
from csms.station.certificates.service.policies import policy_of
from csms.station.information import Station, fact_about
from csms.store import Work, unscoped

CHAIN_CHARS_MAX: Final = 10_000
"""CertificateSigned takes no more."""
_NO_AUTHORITY: Final = "there is no certificate authority yet; make one at POST /api/v1/certificate-authority"
_NO_V2G: Final = "certificates for cars (V2G) are signed elsewhere, and the policy does not take requests for them"
_UNPROVEN: Final = "the station logs in without a password or certificate, so an operator decides"
_TOO_MANY: Final = "the station asks too often; it may ask again in an hour"


@dataclass(frozen=True, slots=True)
class Taken:
    """What the station is answered."""

    is_accepted: bool
    reason: str | None = None
    reason_code: str = "InvalidCSR"


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: RequestState
    reason: str | None = None
    code: str = "InvalidCSR"


_VERDICT_V2G: Final = _Verdict(RequestState.WAITING, "have it signed by your V2G provider and approve with its chain")


async def take_request(work: Work, station: ConnectedStation, payload: Payload) -> Taken:
    """Judge a SignCertificate and keep it; what is accepted is signed soon after (2.0.1 A02.FR.03)."""
    text = payload.get("csr")
    use = SIGNING_USES.get(str(payload.get("certificateType")), CertificateUse.STATION)
    read = read_request(text)
    if isinstance(read, ReadRequest):
        same = await _same_request(work, station, use, read.key_sha256)
        if same is not None:
            return _repeated(work, same)
    newest = await _newest_if_too_many(work, station)
    if newest is not None:
        work.change(CertificateRequest, newest.id, repeat_count=newest.repeat_count + 1, last_seen_at=work.now)
        return Taken(False, _TOO_MANY, "Unspecified")
    verdict = await _judge(work, station, use, read)
    if verdict.state is not RequestState.REJECTED:
        await _supersede(work, station, use)
    _insert(work, station, use=use, payload=payload, read=read, verdict=verdict)
    return Taken(verdict.state is not RequestState.REJECTED, verdict.reason, verdict.code)


async def _same_request(
    work: Work, station: ConnectedStation, use: CertificateUse, key_sha256: str
) -> CertificateRequest | None:
    """A recent request for the same key, unless the station could do nothing with what came of it."""
    since = work.now - timedelta(seconds=SAME_KEY_S)
    query = (
        select(CertificateRequest)
        .where(
            CertificateRequest.station_id == station.id,
            CertificateRequest.use == use,
            CertificateRequest.key_sha256 == key_sha256,
            col(CertificateRequest.received_at) >= since,
            col(CertificateRequest.state).in_((*OPEN_STATES, RequestState.INSTALLED)),
        )
        .order_by(col(CertificateRequest.id).desc())
    )
    return (await work.session.exec(query)).first()


def _repeated(work: Work, same: CertificateRequest) -> Taken:
    """One certificate for however many requests; one that is on the station already is sent again."""
    values: dict[str, Any] = {"repeat_count": same.repeat_count + 1, "last_seen_at": work.now}
    if same.state is RequestState.INSTALLED:
        values |= {"state": RequestState.SIGNED, "next_attempt_at": work.now, "ended_at": None}
    work.change(CertificateRequest, same.id, **values)
    return Taken(True)


async def _newest_if_too_many(work: Work, station: ConnectedStation) -> CertificateRequest | None:
    since = work.now - timedelta(hours=1)
    query = (
        select(CertificateRequest)
        .where(CertificateRequest.station_id == station.id, col(CertificateRequest.received_at) >= since)
        .order_by(col(CertificateRequest.id).desc())
        .limit(ROWS_PER_HOUR_MAX)
    )
    rows = (await work.session.exec(query)).all()
    return rows[0] if len(rows) >= ROWS_PER_HOUR_MAX else None


async def _judge(work: Work, station: ConnectedStation, use: CertificateUse, read: ReadRequest | Unusable) -> _Verdict:
    if isinstance(read, Unusable):
        return _Verdict(RequestState.REJECTED, read.reason)
    row = await work.session.get_one(Station, station.id)
    authority = await active_authority(work, station.organisation_id)
    asker = Asker(row.identity, row.serial_number, await _taken_names(work, row, read.common_name))
    fault = fault_of(read, use, asker, authority.operator_name if authority else None)
    if fault is not None:
        return _Verdict(RequestState.REJECTED, fault)
    policy = await policy_of(work, station.organisation_id)
    if use is not CertificateUse.STATION:
        return _VERDICT_V2G if policy.takes_v2g_requests else _Verdict(RequestState.REJECTED, _NO_V2G, "NotEnabled")
    if authority is None:
        return _Verdict(RequestState.REJECTED, _NO_AUTHORITY, "NotEnabled")
    is_authenticated = row.security_profile > 0
    if needs_approval(policy.signing, is_authenticated=is_authenticated):
        return _Verdict(RequestState.WAITING, None if is_authenticated else _UNPROVEN)
    return _Verdict(RequestState.APPROVED)


async def _taken_names(work: Work, station: Station, name: str | None) -> Collection[str]:
    """Other stations that the name means: a station tells its serial number itself, and could tell another's."""
    if not name:
        return ()
    query = (
        select(Station.identity)
        .where(
            col(Station.id) != station.id,
            or_(
                func.lower(col(Station.identity)) == name.lower(),
                func.lower(col(Station.serial_number)) == name.lower(),
            ),
        )
        .limit(3)
    )
    with unscoped(work.session):
        return tuple((await work.session.exec(query)).all())


async def _supersede(work: Work, station: ConnectedStation, use: CertificateUse) -> None:
    """The station has thrown away the key of what it asked for before."""
    query = select(CertificateRequest.id).where(
        CertificateRequest.station_id == station.id,
        CertificateRequest.use == use,
        col(CertificateRequest.state).in_(OPEN_STATES),
    )
    for request_id in (await work.session.exec(query)).all():
        reason = "the station asked again with another key"
        work.change(CertificateRequest, request_id, state=RequestState.SUPERSEDED, reason=reason, ended_at=work.now)


def _insert(
    work: Work,
    station: ConnectedStation,
    *,
    use: CertificateUse,
    payload: Payload,
    read: ReadRequest | Unusable,
    verdict: _Verdict,
) -> None:
    told = read if isinstance(read, ReadRequest) else None
    text, number, root = payload.get("csr"), payload.get("requestId"), payload.get("hashRootCertificate")
    is_over = verdict.state is RequestState.REJECTED
    request_id = work.insert(
        CertificateRequest,
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        use=use,
        state=verdict.state,
        reason=verdict.reason,
        csr=text[:CSR_CHARS_MAX] if isinstance(text, str) else "",
        common_name=told.common_name if told else None,
        organisation_name=told.organisation if told else None,
        key_kind=told.key_words if told else None,
        key_sha256=told.key_sha256 if told else None,
        ocpp_request_id=number if isinstance(number, int) else None,
        root_hash=root if isinstance(root, dict) else None,
        received_at=work.now,
        last_seen_at=work.now,
        repeat_count=0,
        attempts=0,
        next_attempt_at=None if is_over else work.now + timedelta(seconds=SETTLE_S),
        decided_at=None if verdict.state is RequestState.WAITING else work.now,
        ended_at=work.now if is_over else None,
    )
    data = {"request_id": str(request_id), "use": use.value, "state": verdict.state.value, "reason": verdict.reason}
    work.emit(fact_about(station, "certificate_requested", data))


# --- decisions ----------------------------------------------------------------------------------------------------


async def get_request(work: Work, station: Station, request_id: int, *, to_change: bool = False) -> CertificateRequest:
    """Raises NotFound, also for another station's."""
    query = select(CertificateRequest).where(
        CertificateRequest.station_id == station.id, CertificateRequest.id == request_id
    )
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such certificate request; GET …/certificate-requests lists them")
    return found


async def approve(work: Work, request: CertificateRequest, chain_pem: str | None) -> None:
    """Let it be signed here, or send the chain that was signed elsewhere. Raises Conflict, Invalid."""
    _must_wait(request)
    if chain_pem is None:
        if request.use is not CertificateUse.STATION:
            raise Invalid("a V2G certificate is signed elsewhere; give its chain", place="body/certificate_chain")
        if await active_authority(work, request.organisation_id) is None:
            raise Conflict(_NO_AUTHORITY)
        request.state = RequestState.APPROVED
    else:
        chain = _checked_chain(chain_pem, request)
        request.chain = chain_pem.strip() + "\n"
        request.certificate_id = note_issued(work, request, chain, is_issued_here=False)
        request.state = RequestState.SIGNED
    request.decided_at, request.decided_by, request.reason = work.now, work.actor.name, None
    request.next_attempt_at = work.now


def reject(work: Work, request: CertificateRequest, reason: str) -> None:
    """Do not sign it. The station was told that it is looked at, and asks again by itself. Raises Conflict."""
    _must_wait(request)
    request.state, request.reason = RequestState.REJECTED, reason
    request.decided_at, request.decided_by, request.ended_at = work.now, work.actor.name, work.now


def _must_wait(request: CertificateRequest) -> None:
    if request.state is not RequestState.WAITING:
        raise Conflict(f"nobody has to decide about this request any more: it is «{request.state.value}»")


def _checked_chain(text: str, request: CertificateRequest) -> list[x509.Certificate]:
    place = "body/certificate_chain"
    chain = read_chain(text, place=place)
    if len(text) > CHAIN_CHARS_MAX:
        raise Invalid(f"the chain has more than {CHAIN_CHARS_MAX} characters; leave out its root", place=place)
    read = read_request(request.csr)
    key = chain[0].public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if isinstance(read, Unusable) or key.public_bytes(*form) != read.csr.public_key().public_bytes(*form):
        raise Invalid("the first certificate is not for the key of this request", place=place)
    return chain


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests; empty is all."""

    states: frozenset[RequestState] = frozenset()
    uses: frozenset[CertificateUse] = frozenset()


def requests_query(wanted: RequestFilter, station: Station | None = None) -> SelectOfScalar[CertificateRequest]:
    """The requests of a station, or of all of the caller's."""
    query = select(CertificateRequest)
    if station is not None:
        query = query.where(CertificateRequest.station_id == station.id)
    if wanted.states:
        query = query.where(col(CertificateRequest.state).in_(wanted.states))
    if wanted.uses:
        query = query.where(col(CertificateRequest.use).in_(wanted.uses))
    return query
