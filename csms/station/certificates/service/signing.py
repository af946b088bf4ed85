"""B10: signs what is approved and brings it to the stations; never inside a transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from cryptography import x509
from sqlalchemy import update
from sqlmodel import col, select

from csms.exceptions import CsmsError, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.platform.certificate_authority import (
    Issuer,
    active_authority,
    chain_text,
    open_issuer,
    sent_chain,
    sign_station,
    take_over_files,
)
from csms.rights import SYSTEM
from csms.runtime import Runtime
from csms.station.certificates.model import CertificateRequest
from csms.station.certificates.rules.requests import (
    USE_WORDS,
    ReadRequest,
    RequestState,
    next_attempt,
    read_request,
)
from csms.station.certificates.service.certificates import note_issued, version_of
from csms.station.certificates.service.policies import policy_of
from csms.station.commands import Command, CommandOutcome, send
from csms.station.information import Station
from csms.store import Work

log = structlog.get_logger(__name__)

BATCH: Final = 50
SENT_AT_ONCE: Final = 20
KEPT_FOR: Final = timedelta(days=14)
"""How long a certificate waits for a station that is offline."""


async def take_files(runtime: Runtime) -> None:
    """Follow the settings' files; a fault there must not keep other authorities from signing."""
    if runtime.settings.ca_certificate_file is None:
        return
    try:
        async with runtime.store.writing() as work:
            await take_over_files(work, runtime.settings)
    except (CsmsError, OSError) as error:
        log.warning("the certificate authority's files cannot be used", error=str(error))


async def sign_due(runtime: Runtime) -> int:
    """Sign what is approved; returns how many."""
    async with runtime.store.reading() as work:
        requests = await _due(work, RequestState.APPROVED)
    issuers: dict[int, Issuer] = {}
    for request in requests:
        try:
            await _sign(runtime, request, issuers)
        except CsmsError as error:
            await _postpone(runtime, request.id, RequestState.APPROVED, error.detail)
    return len(requests)


async def _due(work: Work, state: RequestState) -> Sequence[CertificateRequest]:
    query = (
        select(CertificateRequest)
        .where(CertificateRequest.state == state, col(CertificateRequest.next_attempt_at) <= work.now)
        .order_by(col(CertificateRequest.next_attempt_at))
        .limit(BATCH)
    )
    return (await work.session.exec(query)).all()


async def _sign(runtime: Runtime, request: CertificateRequest, issuers: dict[int, Issuer]) -> None:
    read = read_request(request.csr)
    if not isinstance(read, ReadRequest):
        raise Invalid("the request cannot be read any more")
    async with runtime.store.reading() as work:
        policy = await policy_of(work, request.organisation_id)
        authority = await active_authority(work, request.organisation_id)
    if authority is None:
        raise NotFound("there is no certificate authority any more")
    issuer = issuers.get(authority.id)
    if issuer is None:
        issuer = issuers[authority.id] = await open_issuer(authority, runtime.settings, runtime.secret_key)
    leaf = await asyncio.to_thread(
        sign_station,
        issuer,
        read.csr.public_key(),  # type: ignore[arg-type]  # RSA or EC: `fault_of` refuses others
        read.common_name or request.identity,
        authority.operator_name,
        days=policy.days,
        now=runtime.clock(),
    )
    async with runtime.store.writing() as work:
        await _keep(work, request.id, issuer, leaf)


async def _keep(work: Work, request_id: int, issuer: Issuer, leaf: x509.Certificate) -> None:
    """Unless the station has asked anew, or an operator has decided otherwise meanwhile."""
    request = await work.session.get(CertificateRequest, request_id, with_for_update=True, populate_existing=True)
    if request is None or request.state is not RequestState.APPROVED:
        return
    request.certificate_id = note_issued(work, request, [leaf, issuer.certificate], is_issued_here=True)
    request.chain = chain_text(sent_chain(issuer, leaf))
    request.state, request.next_attempt_at = RequestState.SIGNED, work.now
    request.attempts, request.problem = 0, None


async def _postpone(runtime: Runtime, request_id: int, state: RequestState, problem: str) -> None:
    async with runtime.store.writing() as work:
        request = await work.session.get(CertificateRequest, request_id, with_for_update=True, populate_existing=True)
        if request is None or request.state is not state:
            return
        request.attempts += 1
        request.problem = problem
        request.next_attempt_at = next_attempt(request.attempts, work.now)
        if request.next_attempt_at is None:
            request.state, request.reason, request.ended_at = RequestState.FAILED, problem, work.now


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A certificate on its way: what is sent to whom."""

    request_id: int
    identity: str
    payload: dict[str, Any]


async def deliver_due(runtime: Runtime) -> int:
    """Send signed certificates to stations that are online; returns how many were sent."""
    async with runtime.store.reading() as work:
        waiting = select(CertificateRequest.id).where(CertificateRequest.state == RequestState.SIGNED).limit(1)
        if (await work.session.exec(waiting)).first() is None:
            return 0  # nearly always: writers need not wait for us
    async with runtime.store.writing() as work:
        await _give_up(work)
        parcels = await _lease(work)
    places = asyncio.Semaphore(SENT_AT_ONCE)

    async def deliver(parcel: _Parcel) -> None:
        async with places:
            await _deliver(runtime, parcel)

    async with asyncio.TaskGroup() as group:
        for parcel in parcels:
            group.create_task(deliver(parcel))
    return len(parcels)


async def _give_up(work: Work) -> None:
    reason = "the station could not be reached for two weeks"
    await work.session.exec(
        update(CertificateRequest)
        .where(
            col(CertificateRequest.state) == RequestState.SIGNED,
            col(CertificateRequest.last_seen_at) < work.now - KEPT_FOR,
        )
        .values(state=RequestState.FAILED, reason=reason, ended_at=work.now)
    )


async def _lease(work: Work) -> list[_Parcel]:
    """What is due, put off before it is sent: a process that dies now sends it twice at worst."""
    query = (
        select(CertificateRequest, Station)
        .join(Station, col(Station.id) == CertificateRequest.station_id)
        .where(
            CertificateRequest.state == RequestState.SIGNED,
            col(CertificateRequest.next_attempt_at) <= work.now,
            col(Station.is_online),
        )
        .order_by(col(CertificateRequest.next_attempt_at))
        .limit(BATCH)
        .with_for_update(of=CertificateRequest, skip_locked=True)
    )
    parcels = []
    for request, station in (await work.session.exec(query)).all():
        request.attempts += 1
        request.next_attempt_at = next_attempt(request.attempts, work.now)
        parcels.append(_Parcel(request.id, station.identity, _payload(request, version_of(station))))
    return parcels


def _payload(request: CertificateRequest, version: Version) -> dict[str, Any]:
    """CertificateSigned of that version (1.6 security whitepaper 5.2; 2.0.1 A02.FR.06; 2.1 A02.FR.21)."""
    payload: dict[str, Any] = {"certificateChain": request.chain or ""}
    if version is not Version.V16:
        payload["certificateType"] = USE_WORDS[request.use]
    if version is Version.V21 and request.ocpp_request_id is not None:
        payload["requestId"] = request.ocpp_request_id
    return payload


async def _deliver(runtime: Runtime, parcel: _Parcel) -> None:
    """Send it; what the station answers is stored where it arrives, before the outcome is known here."""
    try:
        command = await send(runtime, SYSTEM, parcel.identity, "CertificateSigned", parcel.payload)
    except CsmsError as error:
        await _note(runtime, parcel.request_id, error.detail, is_final=isinstance(error, Invalid | NotFound))
        return
    if command.outcome is CommandOutcome.REFUSED:
        await _note(runtime, parcel.request_id, _refusal(command), is_final=True)
    elif command.outcome is not CommandOutcome.ANSWERED:
        await _note(runtime, parcel.request_id, command.reason or command.outcome.value, is_final=False)


def _refusal(command: Command) -> str:
    error = command.error or {}
    return f"the station refused it: {error.get('code', '')} {error.get('description', '')}".strip()[:500]


async def _note(runtime: Runtime, request_id: int, problem: str, *, is_final: bool) -> None:
    async with runtime.store.writing() as work:
        request = await work.session.get(CertificateRequest, request_id, with_for_update=True, populate_existing=True)
        if request is None or request.state is not RequestState.SIGNED:
            return
        request.problem = problem[:500]
        if is_final or request.next_attempt_at is None:
            request.state, request.reason, request.ended_at = RequestState.FAILED, request.problem, work.now


async def station_is_back(work: Work, station_id: int) -> None:
    """What waited for it is due now."""
    await work.session.exec(
        update(CertificateRequest)
        .where(col(CertificateRequest.station_id) == station_id, col(CertificateRequest.state) == RequestState.SIGNED)
        .values(next_attempt_at=work.now)
    )


async def work_through(runtime: Runtime) -> None:
    """One round: files, signatures, deliveries."""
    await take_files(runtime)
    while await sign_due(runtime) == BATCH:
        pass
    await deliver_due(runtime)
