"""B3: customer information over HTTP; only for those who manage customers."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, status
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.customer_information.model import CustomerInformationRequest
from csms.station.customer_information.rules import InformationState, joined
from csms.station.customer_information.service import Question, ask, forget, get_request, requests_query
from csms.station.information import StationDep, StationId, StationToChange
from csms.station.tokens import TokenKind, id_token
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, Writing, behind, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}")
_MAY = [may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)]
_BEHIND = behind("CustomerInformation", "NotifyCustomerInformation")

RequestId = Annotated[Id, Path(description="the question's id")]
Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=36, pattern=r"^[!-~ ]+$")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{2,128}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]


class CertificateHash(Strict):
    """A customer's contract certificate, by its hashes."""

    hash_algorithm: Annotated[str, StringConstraints(pattern="^SHA(256|384|512)$")] = Field(examples=["SHA256"])
    issuer_name_hash: Hex
    issuer_key_hash: Hex
    serial_number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{1,40}$")]


class NewQuestion(Strict):
    """Whom to ask about, and what to do; exactly one of token, certificate and identifier."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "04E91C5A6F2A80", "wants_report": True}]})

    token: Uid | None = Field(None, examples=["04E91C5A6F2A80"])
    token_kind: TokenKind | None = None
    certificate: CertificateHash | None = None
    identifier: Name | None = Field(None, description="the station's own name for the customer")
    wants_report: bool = Field(True, description="tell what you know")
    wants_deletion: bool = Field(False, description="and delete it on the station")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(one is not None for one in (self.token, self.certificate, self.identifier)) != 1:
            raise ValueError("give exactly one of `token`, `certificate` and `identifier`")
        if not self.wants_report and not self.wants_deletion:
            raise ValueError("ask for a report, for deletion, or for both")
        return self

    def question(self) -> Question:
        return Question(*self._who(), wants_report=self.wants_report, wants_deletion=self.wants_deletion)

    def _who(self) -> tuple[dict[str, Any], str]:
        if self.token is not None:
            token = id_token(self.token, self.token_kind, is_21=False)
            return {"idToken": token}, f"token {self.token}"
        if self.certificate is not None:
            one = self.certificate
            certificate = {
                "hashAlgorithm": one.hash_algorithm,
                "issuerNameHash": one.issuer_name_hash,
                "issuerKeyHash": one.issuer_key_hash,
                "serialNumber": one.serial_number,
            }
            return {"customerCertificate": certificate}, f"certificate {one.serial_number}"
        return {"customerIdentifier": self.identifier}, f"customer {self.identifier}"


class QuestionShown(Shown):
    """A question and what came back."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    subject: str = Field(examples=["token 04E91C5A6F2A80"])
    wants_report: bool
    wants_deletion: bool
    state: InformationState
    reason: str | None = Field(description="why it is so, in plain words")
    text: str = Field(description="what the station told so far, in its own form")
    requested_at: datetime
    requested_by: str
    last_news_at: datetime

    @classmethod
    def of(cls, row: CustomerInformationRequest, identity: str) -> Self:
        return cls.model_validate({**row.model_dump(), "text": joined(row.parts), "station_id": identity})


@router.get("/customer-information", summary="Questions about customers", dependencies=_MAY, openapi_extra=_BEHIND)
async def list_questions(station: StationDep, work: Reading, page: PageDep) -> Page[QuestionShown]:
    """Newest first; kept for `customer_information_kept_days`."""
    rows, cursor = await page_of(work, requests_query(station), page)
    return Page(items=[QuestionShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/customer-information",
    status_code=status.HTTP_201_CREATED,
    summary="Ask what the station knows of a customer, or have it deleted there",
    dependencies=_MAY,
    responses={
        404: {"description": "no such station"},
        409: {"description": "the station speaks OCPP 1.6, or has too many questions open"},
    },
    openapi_extra=_BEHIND,
)
async def create_question(
    station_id: StationId, body: NewQuestion, runtime: RuntimeDep, caller: CallerDep
) -> QuestionShown:
    """The text comes in parts after the answer: read the question again until its state is `complete`."""
    return QuestionShown.of(await ask(runtime, caller, station_id, body.question()), station_id)


@router.get(
    "/customer-information/{request_id}",
    summary="One question and what came back",
    dependencies=_MAY,
    responses={404: {"description": "no such station or question"}},
)
async def show_question(station: StationDep, work: Reading, request_id: RequestId) -> QuestionShown:
    return QuestionShown.of(await get_request(work, station, request_id), station.identity)


@router.delete(
    "/customer-information/{request_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Forget what came back",
    dependencies=_MAY,
    responses={404: {"description": "no such station or question"}},
)
async def delete_question(station: StationToChange, work: Writing, request_id: RequestId) -> None:
    """Here, not on the station: for that ask with `wants_deletion`."""
    await forget(work, station, request_id)
