"""B10: certificate requests over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from csms.ids import Id
from csms.rights import Area
from csms.station.certificates.api.shown import PEM_CHARS_MAX, Reason
from csms.station.certificates.model import CertificateRequest
from csms.station.certificates.rules.requests import CertificateUse, RequestState
from csms.station.certificates.service.requests import RequestFilter, approve, get_request, reject, requests_query
from csms.station.information import StationDep, StationToChange
from csms.web import Page, PageDep, Reading, Shown, Strict, Writing, behind, may_read, may_write, page_of

router = APIRouter()

RequestId = Annotated[Id, Path(description="the request's id")]
_OPERATES = [may_write(Area.OPERATION)]


class RequestShown(Shown):
    """A certificate that a station asked for."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    use: CertificateUse
    state: RequestState
    reason: str | None = Field(description="why it was rejected, refused or given up, or what it waits for")
    common_name: str | None
    organisation_name: str | None
    key_kind: str | None = Field(examples=["EC secp256r1"])
    csr: str = Field(description="as the station wrote it")
    root_hash: dict[str, Any] | None = Field(description="2.1: the V2G root that the certificate is to come from")
    received_at: datetime
    last_seen_at: datetime
    repeat_count: int = Field(description="how often it came again")
    decided_at: datetime | None
    decided_by: str | None = Field(description="null: by the policy")
    certificate_id: Id | None
    attempts: int = Field(description="to send the certificate to the station")
    next_attempt_at: datetime | None
    problem: str | None = Field(description="why the latest attempt came to nothing")
    ended_at: datetime | None

    @classmethod
    def of(cls, row: CertificateRequest) -> Self:
        return cls.model_validate(row.model_dump() | {"station_id": row.identity})


class Approval(Strict):
    certificate_chain: str | None = Field(
        None,
        max_length=PEM_CHARS_MAX,
        description="PEM, the station's certificate first, where somebody else has signed it; left out: sign it here",
        examples=[None],
    )


class Rejection(Strict):
    reason: Reason = Field(examples=["nobody ordered a new certificate"])


async def _request_filter(
    state: Annotated[list[RequestState], Query(max_length=10)] = [],  # noqa: B006  # FastAPI copies it
    use: Annotated[list[CertificateUse], Query(max_length=5)] = [],  # noqa: B006
) -> RequestFilter:
    return RequestFilter(frozenset(state), frozenset(use))


RequestFilterDep = Annotated[RequestFilter, Depends(_request_filter)]


@router.get(
    "/certificate-requests",
    summary="Certificates that stations asked for, of all stations",
    dependencies=[may_read()],
    openapi_extra=behind("SignCertificate"),
)
async def list_all_requests(work: Reading, page: PageDep, wanted: RequestFilterDep) -> Page[RequestShown]:
    """Newest first; with `state=waiting_for_approval`, what somebody has to decide."""
    rows, cursor = await page_of(work, requests_query(wanted), page)
    return Page(items=[RequestShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/certificate-requests",
    summary="Certificates that the station asked for",
    dependencies=[may_read()],
    openapi_extra=behind("SignCertificate"),
)
async def list_requests(
    station: StationDep, work: Reading, page: PageDep, wanted: RequestFilterDep
) -> Page[RequestShown]:
    """Newest first, also rejected ones, with the reason."""
    rows, cursor = await page_of(work, requests_query(wanted, station), page)
    return Page(items=[RequestShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/certificate-requests/{request_id}",
    summary="One certificate request",
    dependencies=[may_read()],
    openapi_extra=behind("SignCertificate"),
)
async def show_request(station: StationDep, work: Reading, request_id: RequestId) -> RequestShown:
    return RequestShown.of(await get_request(work, station, request_id))


@router.post(
    "/stations/{station_id}/certificate-requests/{request_id}/approve",
    summary="Have the certificate signed and sent, or send one that was signed elsewhere",
    dependencies=_OPERATES,
    responses={409: {"description": "nobody has to decide about it any more, or there is no authority"}},
    openapi_extra=behind("CertificateSigned"),
)
async def approve_request(
    station: StationToChange, work: Writing, request_id: RequestId, body: Approval
) -> RequestShown:
    """It is sent within seconds, or when the station is online again."""
    row = await get_request(work, station, request_id, to_change=True)
    await approve(work, row, body.certificate_chain)
    return RequestShown.of(row)


@router.post(
    "/stations/{station_id}/certificate-requests/{request_id}/reject",
    summary="Do not give the station that certificate",
    dependencies=_OPERATES,
    responses={409: {"description": "nobody has to decide about it any more"}},
)
async def reject_request(
    station: StationToChange, work: Writing, request_id: RequestId, body: Rejection
) -> RequestShown:
    row = await get_request(work, station, request_id, to_change=True)
    reject(work, row, body.reason)
    return RequestShown.of(row)
