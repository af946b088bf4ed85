"""B10: certificates and certificate requests over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query
from pydantic import Field

from csms.exceptions import Conflict, Invalid
from csms.ids import Id
from csms.ocpp.versions import Version
from csms.platform.certificate_authority import chain_text, get_authority, read_chain
from csms.rights import Area, Caller
from csms.runtime import Runtime
from csms.station.certificates.api.shown import PEM_CHARS_MAX, Reason, organisation_of
from csms.station.certificates.model import StationCertificate
from csms.station.certificates.rules.installed import ROOT_KINDS, CertificateKind, kinds_of, status_info, word_of
from csms.station.certificates.rules.requests import renewal_request
from csms.station.certificates.service.certificates import (
    certificates_query,
    expiring_query,
    get_certificate,
    revoke,
    version_of,
)
from csms.station.commands import Command, CommandOutcome, send
from csms.station.information import Station, StationDep, StationId, StationToChange, get_station
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter()

CertificateId = Annotated[Id, Path(description="the certificate's id")]
_PEM_EXAMPLE = "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----"
_OPERATES = [may_write(Area.OPERATION)]
_SENT: dict[int | str, dict[str, Any]] = {
    409: {"description": "the station may not be sent this now, or its OCPP version does not have it"}
}


class CertificateShown(Shown):
    """A certificate that is, was or will be on a station, as far as it is known."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    kind: CertificateKind
    is_child: bool = Field(description="it stands below another one in the chain that the station lists")
    is_installed: bool
    is_issued_here: bool
    subject: str | None = Field(description="null while only the station's hashes are known")
    issuer: str | None
    serial_number: str
    fingerprint: str | None = Field(description="SHA-256")
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None = Field(description="until it expires; below 0: since then")
    installed_at: datetime | None = Field(description="since when it is known to be on the station")
    last_seen_at: datetime | None = Field(description="when the station last said so")
    removed_at: datetime | None
    removed_because: str | None
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None
    renewal_asked_at: datetime | None = Field(description="when the station was last asked to renew it by itself")
    hash_data: dict[str, str] | None = Field(description="how OCPP names it")
    pem: str | None

    @classmethod
    def of(cls, row: StationCertificate, now: datetime) -> Self:
        data = row.hash_data
        left = (row.not_after - now).days if row.not_after else None
        more = {
            "station_id": row.identity,
            "is_installed": row.is_installed,
            "hash_data": data.payload if data else None,
            "days_left": left,
        }
        return cls.model_validate(row.model_dump() | more)


class Told(Shown):
    """What came of a message to the station."""

    command_id: Id = Field(description="it stands in the command log too")
    outcome: CommandOutcome
    status: str | None = Field(description="what the station answered", examples=["Accepted"])
    reason: str | None = Field(description="why there is no answer, or what the station says about it")

    @classmethod
    def of(cls, command: Command) -> Self:
        payload, error = command.payload or {}, command.error or {}
        said = status_info(payload) or " ".join(str(error[name]) for name in ("code", "description") if error.get(name))
        status = payload.get("status")
        return cls(
            command_id=command.id,
            outcome=command.outcome,
            status=str(status)[:50] if status is not None else None,
            reason=command.reason or said or None,
        )


class AllTold(Shown):
    """What came of several messages; 1.6 asks for one kind at a time."""

    items: list[Told]


class RootToInstall(Strict):
    """A root certificate for the station; without `certificate`, that of your own authority."""

    kind: CertificateKind = Field(description="one of the roots", examples=["csms_root"])
    certificate: str | None = Field(None, max_length=PEM_CHARS_MAX, description="PEM", examples=[_PEM_EXAMPLE])


class Refresh(Strict):
    """Which kinds to ask for; none: all that the station's OCPP version can list."""

    kinds: list[CertificateKind] = Field([], max_length=10, examples=[[]])


class Revocation(Strict):
    reason: Reason = Field(examples=["the station was stolen"])


# --- certificates -----------------------------------------------------------------------------------------------------


@router.get(
    "/stations/{station_id}/certificates",
    summary="What is known to be, or to have been, installed on the station",
    dependencies=[may_read()],
    openapi_extra=behind("GetInstalledCertificateIds", "InstallCertificate", "DeleteCertificate", "CertificateSigned"),
)
async def list_certificates(
    station: StationDep,
    work: Reading,
    page: PageDep,
    kind: Annotated[list[CertificateKind], Query(max_length=10)] = [],  # noqa: B006  # FastAPI copies it
    is_installed: bool | None = None,
) -> Page[CertificateShown]:
    """Newest first. Ask the station itself with `…/certificates/refresh`; it never lists its own login certificate."""
    rows, cursor = await page_of(work, certificates_query(station, kinds=kind, is_installed=is_installed), page)
    return Page(items=[CertificateShown.of(row, work.now) for row in rows], next_cursor=cursor)


@router.get(
    "/certificates",
    summary="Certificates in use on all stations that expire soon, the next one first",
    dependencies=[may_read()],
)
async def list_expiring(
    work: Reading,
    page: PageDep,
    expires_within_days: Annotated[int, Query(ge=0, le=3650, description="0: those that have expired")] = 30,
) -> Page[CertificateShown]:
    """Of certificates of which only hashes are known, nobody knows when they expire: they are not in this list."""
    query = expiring_query(work.now, expires_within_days)
    rows, cursor = await page_of(work, query, page, by=StationCertificate.not_after, descending=False)
    return Page(items=[CertificateShown.of(row, work.now) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/certificates/{certificate_id}", summary="One certificate", dependencies=[may_read()]
)
async def show_certificate(station: StationDep, work: Reading, certificate_id: CertificateId) -> CertificateShown:
    return CertificateShown.of(await get_certificate(work, station, certificate_id), work.now)


async def _known(runtime: Runtime, caller: Caller, station_id: str) -> tuple[Station, Version]:
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
    return station, version_of(station)


@router.post(
    "/stations/{station_id}/certificates",
    summary="Install a root certificate on the station",
    dependencies=_OPERATES,
    responses=_SENT,
    openapi_extra=behind("InstallCertificate"),
)
async def install(station_id: StationId, body: RootToInstall, runtime: RuntimeDep, caller: CallerDep) -> Told:
    """The text is read first: what is no certificate never leaves, and the answer says in which line it is wrong."""
    _station, version = await _known(runtime, caller, station_id)
    word = word_of(body.kind, version) if body.kind in ROOT_KINDS else None
    if word is None:
        names = ", ".join(kind for kind in kinds_of(version) if kind in ROOT_KINDS)
        raise Invalid(f"a station that speaks {version} takes {names}", place="body/kind")
    pem = await _root_pem(runtime, caller, body.certificate)
    payload = {"certificateType": word, "certificate": pem}
    return Told.of(await send(runtime, caller, station_id, "InstallCertificate", payload))


async def _root_pem(runtime: Runtime, caller: Caller, given: str | None) -> str:
    if given is None:
        async with runtime.store.reading(caller) as work:
            authority = await get_authority(work, organisation_of(caller))
        return chain_text(read_chain(authority.chain)[-1:])
    certificates = read_chain(given)
    if len(certificates) > 1:
        raise Invalid("give one certificate: the root", place="body/certificate")
    if certificates[0].not_valid_after_utc <= runtime.clock():
        raise Invalid("this certificate has expired", place="body/certificate")
    return chain_text(certificates)


@router.post(
    "/stations/{station_id}/certificates/refresh",
    summary="Ask the station which certificates it has",
    dependencies=_OPERATES,
    responses=_SENT,
    openapi_extra=behind("GetInstalledCertificateIds"),
)
async def refresh(station_id: StationId, body: Refresh, runtime: RuntimeDep, caller: CallerDep) -> AllTold:
    """What it lists is kept, what it does not list any more is marked as removed."""
    _station, version = await _known(runtime, caller, station_id)
    told = []
    for payload in _lists(body.kinds, version):
        told.append(Told.of(await send(runtime, caller, station_id, "GetInstalledCertificateIds", payload)))
        if told[-1].outcome is not CommandOutcome.ANSWERED:
            break
    return AllTold(items=told)


def _lists(kinds: list[CertificateKind], version: Version) -> list[dict[str, Any]]:
    """The requests that bring these kinds, or all: 1.6 takes one at a time. Raises Invalid for what it cannot list."""
    words = [word_of(kind, version) for kind in dict.fromkeys(kinds)]
    if None in words:
        raise Invalid(f"a station that speaks {version} lists {', '.join(kinds_of(version))}", place="body/kinds")
    if version is Version.V16:
        return [{"certificateType": word} for word in words or map(_word_16, kinds_of(version))]
    return [{"certificateType": words}] if words else [{}]


def _word_16(kind: CertificateKind) -> str | None:
    return word_of(kind, Version.V16)


@router.post(
    "/stations/{station_id}/certificates/renew",
    summary="Have the station ask for a new certificate to log in with",
    dependencies=_OPERATES,
    responses=_SENT,
    openapi_extra=behind("ExtendedTriggerMessage", "TriggerMessage"),
)
async def renew(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> Told:
    """It makes a key, sends a request (`…/certificate-requests`) and gets a certificate, if that breaks no rule."""
    _station, version = await _known(runtime, caller, station_id)
    action, payload = renewal_request(version)
    return Told.of(await send(runtime, caller, station_id, action, payload))


@router.delete(
    "/stations/{station_id}/certificates/{certificate_id}",
    summary="Delete a certificate from the station",
    dependencies=_OPERATES,
    responses=_SENT,
    openapi_extra=behind("DeleteCertificate"),
)
async def delete(station_id: StationId, certificate_id: CertificateId, runtime: RuntimeDep, caller: CallerDep) -> Told:
    """The certificate stays in the list, as removed, when the station has deleted it."""
    async with runtime.store.reading(caller) as work:
        row = await get_certificate(work, await get_station(work, station_id), certificate_id)
    if row.kind is CertificateKind.STATION:  # M04.FR.06
        raise Conflict("a station's own login certificate cannot be deleted over OCPP; revoke it instead")
    data = row.hash_data
    if data is None:
        raise Conflict("it is not known how the station names this certificate; refresh the list first")
    payload = {"certificateHashData": data.payload}
    return Told.of(await send(runtime, caller, station_id, "DeleteCertificate", payload))


@router.post(
    "/stations/{station_id}/certificates/{certificate_id}/revoke",
    summary="Let nobody log in with this certificate any more",
    dependencies=_OPERATES,
    responses={409: {"description": "it was revoked before"}},
)
async def revoke_certificate(
    station: StationToChange, work: Writing, certificate_id: CertificateId, body: Revocation
) -> CertificateShown:
    """The broker refuses it from now on, and a station that logged in with it is disconnected; it needs another one."""
    row = await get_certificate(work, station, certificate_id, to_change=True)
    revoke(work, station, row, body.reason)
    return CertificateShown.of(row, work.now)
