"""B10: warns of certificates that expire, once for each step, and has stations renew theirs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import delete
from sqlmodel import col, select

from csms.exceptions import CsmsError
from csms.platform.certificate_authority import CertificateAuthority
from csms.platform.organisations import default_organisation
from csms.rights import SYSTEM
from csms.runtime import Runtime
from csms.station.certificates.model import CertificatePolicy, StationCertificate
from csms.station.certificates.rules.expiry import due_step, is_urgent, must_renew, words_of
from csms.station.certificates.rules.installed import CertificateKind
from csms.station.certificates.rules.requests import renewal_request
from csms.station.certificates.service.certificates import version_of
from csms.station.commands import send
from csms.station.connections import server_certificates
from csms.station.errors import Severity, noticed_stations, raise_noticed, resolve_noticed
from csms.station.information import Station, fact_about
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

EXPIRING: Final = "CertificateExpiring"
"""The code of the error that a certificate on the station expires, and of the fact."""
BATCH: Final = 200
AHEAD: Final = timedelta(days=3650)
"""The longest warning that a policy may ask for."""
Policies = dict[int, CertificatePolicy]


def _is_in_use() -> list[Any]:
    certificate = StationCertificate
    return [
        col(certificate.installed_at).is_not(None),
        col(certificate.removed_at).is_(None),
        col(certificate.revoked_at).is_(None),
    ]


async def watch(runtime: Runtime) -> None:
    """One round: warnings, what is over, renewals, and what nobody needs any more."""
    await _warn_of_authorities(runtime)
    await _warn_of_servers(runtime)
    after: int | None = 0
    while after is not None:
        async with runtime.store.writing() as work:
            after = await _warn(work, after)
    async with runtime.store.writing() as work:
        await _clear(work)
    await _renew(runtime)
    async with runtime.store.writing() as work:
        before = work.now - timedelta(days=runtime.settings.history_kept_days)
        await work.session.exec(delete(StationCertificate).where(col(StationCertificate.removed_at) < before))


async def _policies(work: Work) -> Policies:
    rows = (await work.session.exec(select(CertificatePolicy))).all()
    return {row.organisation_id: row for row in rows}


def _of(policies: Policies, organisation_id: int) -> CertificatePolicy:
    return policies.get(organisation_id) or CertificatePolicy(organisation_id=organisation_id)


async def _warn_of_authorities(runtime: Runtime) -> None:
    async with runtime.store.writing() as work:
        policies = await _policies(work)
        rows = await work.session.exec(
            select(CertificateAuthority).where(col(CertificateAuthority.retired_at).is_(None))
        )
        for row in rows:
            steps = _of(policies, row.organisation_id).warn_days
            step = due_step(steps, row.not_after, work.now, row.warned_days)
            if step is None:
                continue
            row.warned_days = step
            text = words_of(row.name, row.not_after, work.now)
            log.warning("a certificate authority expires", authority=row.name, not_after=row.not_after.isoformat())
            data = {"what": "certificate_authority", "text": text, "not_after": row.not_after.isoformat()}
            work.emit(Fact(kind="certificate_expiring", organisation_id=row.organisation_id, data=data))


async def _warn_of_servers(runtime: Runtime) -> None:
    """The broker's own certificates: when one expires, no station of profile 2 or 3 gets in any more."""
    async with runtime.store.writing() as work:
        owner = await default_organisation(work)
        steps = _of(await _policies(work), owner.id).warn_days
        for row in await server_certificates(work):
            step = due_step(steps, row.not_after, work.now, row.warned_days)
            if step is None:
                continue
            row.warned_days = step
            text = words_of(f"the TLS port's certificate {row.subject} ({row.file})", row.not_after, work.now)
            log.warning("a certificate of the TLS port expires", file=row.file, not_after=row.not_after.isoformat())
            data = {"what": "server_certificate", "text": text, "not_after": row.not_after.isoformat()}
            work.emit(Fact(kind="certificate_expiring", organisation_id=owner.id, data=data))


async def _warn(work: Work, after: int) -> int | None:
    """Some rows in the order of their ids; returns where to go on, or None at the end."""
    policies = await _policies(work)
    query = (
        select(StationCertificate, Station)
        .join(Station, col(Station.id) == StationCertificate.station_id)
        .where(col(StationCertificate.id) > after, col(StationCertificate.not_after) <= work.now + AHEAD, *_is_in_use())
        .order_by(col(StationCertificate.id))
        .limit(BATCH)
    )
    rows = (await work.session.exec(query)).all()
    for row, station in rows:
        await _warn_of(work, row, station, _of(policies, row.organisation_id).warn_days)
    return rows[-1][0].id if len(rows) == BATCH else None


async def _warn_of(work: Work, row: StationCertificate, station: Station, warn_days: Sequence[int]) -> None:
    if row.not_after is None:
        return
    step = due_step(warn_days, row.not_after, work.now, row.warned_days)
    if step is None:
        return
    row.warned_days = step
    text = words_of(row.subject or f"certificate {row.serial_number}", row.not_after, work.now)
    severity = Severity.ERROR if is_urgent(warn_days, step) else Severity.WARNING
    await raise_noticed(work, station, EXPIRING, severity=severity, info=text)
    data = {
        "what": row.kind.value,
        "certificate_id": str(row.id),
        "text": text,
        "not_after": row.not_after.isoformat(),
    }
    work.emit(fact_about(station, "certificate_expiring", data))


async def _clear(work: Work) -> None:
    """Resolve the errors of stations on which nothing expires any more: renewed, deleted or revoked."""
    for station in await noticed_stations(work, EXPIRING):
        query = (
            select(StationCertificate.id)
            .where(
                StationCertificate.station_id == station.id,
                col(StationCertificate.warned_days).is_not(None),
                *_is_in_use(),
            )
            .limit(1)
        )
        if (await work.session.exec(query)).first() is None:
            await resolve_noticed(work, station, EXPIRING)


async def _renew(runtime: Runtime) -> None:
    """Ask stations that are online for a renewal where the policy says so, one after the other."""
    async with runtime.store.writing() as work:
        stations = await _to_renew(work)
    for station in stations:
        action, payload = renewal_request(version_of(station))
        try:
            await send(runtime, SYSTEM, station.identity, action, payload)
        except CsmsError as error:
            log.warning("a station could not be asked to renew", station=station.identity, error=error.detail)


async def _to_renew(work: Work) -> list[Station]:
    policies = [policy for policy in (await _policies(work)).values() if policy.renew_days is not None]
    found = []
    for policy in policies:
        query = (
            select(StationCertificate, Station)
            .join(Station, col(Station.id) == StationCertificate.station_id)
            .where(
                StationCertificate.organisation_id == policy.organisation_id,
                StationCertificate.kind == CertificateKind.STATION,
                col(StationCertificate.not_after) <= work.now + timedelta(days=policy.renew_days or 0),
                col(Station.is_online),
                *_is_in_use(),
            )
            .limit(BATCH)
        )
        for row, station in (await work.session.exec(query)).all():
            if row.not_after and must_renew(policy.renew_days, row.not_after, work.now, row.renewal_asked_at):
                row.renewal_asked_at = work.now
                found.append(station)
    return found
