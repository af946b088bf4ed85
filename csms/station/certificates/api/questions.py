"""B10: what stations asked about the certificates of cars, over HTTP."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import select

from csms.ids import Id
from csms.station.certificates.model import CertificateStatusCheck, ContractRequest
from csms.station.certificates.rules.status import CertificateStatus
from csms.station.information import StationDep
from csms.web import Page, PageDep, Reading, Shown, behind, may_read, page_of

router = APIRouter()


class StatusCheckShown(Shown):
    """A certificate that the station asked about, and the latest answer."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    serial_number: str
    issuer_name_hash: str
    issuer_key_hash: str
    hash_algorithm: str = Field(examples=["SHA256"])
    source: str = Field(description="OCSP or CRL", examples=["OCSP"])
    url: str = Field(description="where the station wanted it asked")
    status: CertificateStatus
    reason: str | None = Field(description="why nothing is known")
    next_update_at: datetime | None = Field(description="until when the answer holds")
    first_asked_at: datetime
    asked_at: datetime
    ask_count: int

    @classmethod
    def of(cls, row: CertificateStatusCheck) -> Self:
        return cls.model_validate(row.model_dump() | {"station_id": row.identity})


class ContractRequestShown(Shown):
    """A car that asked for its contract certificate (Plug & Charge)."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    at: datetime
    action: str = Field(examples=["Install"])
    schema_version: str = Field(examples=["urn:iso:15118:2:2013:MsgDef"])
    is_accepted: bool
    reason: str | None = Field(description="why it got none")
    remaining_contracts: int | None = Field(description="2.1: how many more the provider has for it")

    @classmethod
    def of(cls, row: ContractRequest) -> Self:
        return cls.model_validate(row.model_dump() | {"station_id": row.identity})


@router.get(
    "/stations/{station_id}/certificate-status-checks",
    summary="Certificates of cars that the station asked about",
    dependencies=[may_read()],
    openapi_extra=behind("GetCertificateStatus", "GetCertificateChainStatus"),
)
async def list_status_checks(station: StationDep, work: Reading, page: PageDep) -> Page[StatusCheckShown]:
    """One row a certificate, the one asked about last first."""
    query = select(CertificateStatusCheck).where(CertificateStatusCheck.station_id == station.id)
    rows, cursor = await page_of(work, query, page, by=CertificateStatusCheck.asked_at)
    return Page(items=[StatusCheckShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/contract-requests",
    summary="Cars that asked for a contract certificate at the station",
    dependencies=[may_read()],
    openapi_extra=behind("Get15118EVCertificate"),
)
async def list_contract_requests(station: StationDep, work: Reading, page: PageDep) -> Page[ContractRequestShown]:
    """Newest first. The provider of contract certificates is named in the settings."""
    query = select(ContractRequest).where(ContractRequest.station_id == station.id)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[ContractRequestShown.of(row) for row in rows], next_cursor=cursor)
