"""S17: diagnostics and logs of a station over HTTP."""

import base64
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, Request, status
from fastapi.responses import FileResponse
from pydantic import AfterValidator, Field, model_validator

from csms.exceptions import NotFound
from csms.files import StoredFile
from csms.ids import Id
from csms.rights import Area
from csms.station.diagnosis.model import Diagnosis, DiagnosisStatus
from csms.station.diagnosis.rules import DiagnosisKind, DiagnosisState, Wish
from csms.station.diagnosis.service import (
    cancel,
    delete_diagnosis,
    diagnoses_of,
    files_of,
    get_diagnosis,
    request_diagnosis,
)
from csms.station.file_transfers import StatusShown, TransferProtocol, safe_name, statuses_of
from csms.station.information import Station, StationDep, StationId, StationToChange, get_station
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    UtcTime,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter()

DiagnosisId = Annotated[Id, Path(description="the request's id")]
VALID_MINUTES_MAX = 30 * 24 * 60
YEAR_MIN = 1970
_SENDS = behind("GetDiagnostics", "GetLog")
_FOLLOWS = behind("GetDiagnostics", "GetLog", "DiagnosticsStatusNotification", "LogStatusNotification")


def _near(at: datetime) -> datetime:
    if at.year < YEAR_MIN:
        raise ValueError(f"a time before {YEAR_MIN} means nothing here")
    return at


NearTime = Annotated[UtcTime, AfterValidator(_near)]


class DiagnosisWanted(Strict):
    """Which log, of which period, and how the station is to bring it."""

    kind: DiagnosisKind = Field(
        DiagnosisKind.DIAGNOSTICS,
        description="`diagnostics` is right for every station; `security_log` needs OCPP 2.x, or 1.6 with its security "
        "extension; `diagnostics_log` asks such a 1.6 station by GetLog; `data_collector_log` is only in 2.1",
        examples=["diagnostics"],
    )
    period_start: NearTime | None = Field(None, description="left out: from the beginning", examples=[None])
    period_end: NearTime | None = Field(None, description="left out: up to now", examples=[None])
    protocol: TransferProtocol | None = Field(
        None, description="left out: as the station's file-transfer-settings say, else the installation's default"
    )
    retries: int | None = Field(None, ge=0, le=100, description="how often the station tries again by itself")
    retry_interval_s: int | None = Field(None, ge=0, le=86_400)
    valid_minutes: int | None = Field(
        None, ge=5, le=VALID_MINUTES_MAX, description="how long the upload is awaited; the installation's default"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.period_start and self.period_end and self.period_end <= self.period_start:
            raise ValueError("period_end must be later than period_start")
        return self

    def wish(self) -> Wish:
        return Wish(self.kind, self.period_start, self.period_end, self.retries, self.retry_interval_s)


class FileShown(Shown):
    """An uploaded file."""

    name: str
    size_bytes: int
    sha256: str = Field(description="of what arrived, in hexadecimal")
    created_at: datetime
    expires_at: datetime | None = Field(description="when it is removed")


class DiagnosisShown(Shown):
    """A request for diagnostics or a log, and what came of it."""

    id: Id
    station_id: str = Field(examples=["CP-0001"])
    kind: DiagnosisKind
    state: DiagnosisState
    reason: str | None = Field(description="why it is in that state, where it is not as it should be")
    request_id: int | None = Field(description="OCPP's requestId; GetDiagnostics of 1.6 has none")
    location: str = Field(description="the server that it goes to", examples=["https://csms.example.com"])
    is_foreign: bool = Field(description="asked for by a raw command, to a server that is not ours")
    period_start: datetime | None
    period_end: datetime | None
    file_name: str | None = Field(description="as the station announced it")
    requested_at: datetime
    requested_by: str
    deadline_at: datetime = Field(description="how long it is awaited")
    ended_at: datetime | None
    last_status: str | None = Field(description="what the station said last")
    last_status_at: datetime | None
    file: FileShown | None = Field(description="null while there is none, and when it was removed")

    @classmethod
    def of(cls, row: Diagnosis, station: Station, file: StoredFile | None) -> Self:
        fields = row.model_dump() | {
            "station_id": station.identity,
            "is_foreign": row.transfer_id is None,
            "file": FileShown.model_validate(file) if file is not None else None,
        }
        if file is not None and row.ended_at is None:
            fields |= {"state": DiagnosisState.RECEIVED, "reason": None}
        return cls.model_validate(fields)


class DiagnosisWithStatuses(DiagnosisShown):
    """The same with everything that the station said."""

    statuses: list[StatusShown]


async def _whole(work: Reading, station: Station, row: Diagnosis) -> DiagnosisWithStatuses:
    shown = DiagnosisShown.of(row, station, (await files_of(work, [row])).get(row.id))
    statuses = StatusShown.all_of(await statuses_of(work, station, DiagnosisStatus, diagnosis_id=row.id))
    return DiagnosisWithStatuses(**shown.model_dump(exclude={"id"}), id=row.id, statuses=statuses)


@router.post(
    "/stations/{station_id}/diagnosis",
    status_code=status.HTTP_201_CREATED,
    summary="Have the station upload its diagnostics or a log",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "its OCPP version has no such log, or it may not be sent anything now"}},
    openapi_extra=_SENDS,
)
async def ask(
    station_id: StationId, body: DiagnosisWanted, runtime: RuntimeDep, caller: CallerDep
) -> DiagnosisWithStatuses:
    """The station gets a URL that is good for one file. The answer says whether it will; the file comes later."""
    valid_s = body.valid_minutes * 60 if body.valid_minutes else None
    made = await request_diagnosis(runtime, caller, station_id, body.wish(), protocol=body.protocol, valid_s=valid_s)
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
        return await _whole(work, station, await get_diagnosis(work, station, made))


@router.get(
    "/stations/{station_id}/diagnosis",
    summary="Requested diagnostics and logs, newest first",
    dependencies=[may_read()],
    openapi_extra=_FOLLOWS,
)
async def list_diagnoses(
    station: StationDep,
    work: Reading,
    page: PageDep,
    is_open: Annotated[bool | None, Query(description="only those still awaited, or only the others")] = None,
) -> Page[DiagnosisShown]:
    rows, cursor = await page_of(work, diagnoses_of(station, is_open=is_open), page)
    files = await files_of(work, rows)
    return Page(items=[DiagnosisShown.of(row, station, files.get(row.id)) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/diagnosis/{diagnosis_id}",
    summary="One request, with everything that the station said about it",
    dependencies=[may_read()],
    openapi_extra=_FOLLOWS,
)
async def show(diagnosis_id: DiagnosisId, station: StationDep, work: Reading) -> DiagnosisWithStatuses:
    return await _whole(work, station, await get_diagnosis(work, station, diagnosis_id))


@router.get(
    "/stations/{station_id}/diagnosis-statuses",
    summary="What the station said about uploads that nobody here asked for",
    dependencies=[may_read()],
    openapi_extra=behind("DiagnosticsStatusNotification", "LogStatusNotification"),
)
async def list_stray(station: StationDep, work: Reading) -> Page[StatusShown]:
    """Each word once, with how often it came; all on one page."""
    told = await statuses_of(work, station, DiagnosisStatus, diagnosis_id=None)
    return Page(items=StatusShown.all_of(told), next_cursor=None)


@router.get(
    "/stations/{station_id}/diagnosis/{diagnosis_id}/file",
    summary="Download the file",
    dependencies=[may_read()],
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file as the station sent it",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        206: {"description": "The part of it that `Range` asked for"},
        404: {"description": "no such request, or its file is not here (any more)"},
    },
)
async def download(
    diagnosis_id: DiagnosisId, station: StationDep, work: Reading, runtime: RuntimeDep, _request: Request
) -> FileResponse:
    row = await get_diagnosis(work, station, diagnosis_id)
    file = (await files_of(work, [row])).get(row.id)
    if file is None:
        raise NotFound("there is no file: it has not come yet, or was removed")
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return FileResponse(
        runtime.files.existing(file.key),
        filename=safe_name(f"{station.identity}-{file.name}"),
        media_type="application/octet-stream",
        headers={"ETag": f'"{file.sha256}"', "Repr-Digest": f"sha-256=:{digest}:"},
    )


@router.post(
    "/stations/{station_id}/diagnosis/{diagnosis_id}/cancel",
    summary="Wait for the file no longer",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "it has ended already"}},
)
async def cancel_request(diagnosis_id: DiagnosisId, station: StationToChange, work: Writing) -> DiagnosisWithStatuses:
    """The URL is withdrawn. OCPP has no message for it: the station finds out when it uploads."""
    row = await get_diagnosis(work, station, diagnosis_id, to_change=True)
    await cancel(work, row)
    return await _whole(work, station, row)


@router.delete(
    "/stations/{station_id}/diagnosis/{diagnosis_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a request with its file",
    dependencies=[may_write(Area.OPERATION)],
)
async def delete(diagnosis_id: DiagnosisId, station: StationToChange, work: Writing, runtime: RuntimeDep) -> None:
    row = await get_diagnosis(work, station, diagnosis_id, to_change=True)
    await delete_diagnosis(work, runtime, row)
