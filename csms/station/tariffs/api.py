"""S26: tariffs, settlements and VAT numbers over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path, status
from pydantic import ConfigDict, Field

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import SaidShown
from csms.station.information import StationDep, StationId
from csms.station.tariffs.model import StationTariff
from csms.station.tariffs.rules import TariffKind, TariffState, refusal
from csms.station.tariffs.service import (
    change_charge,
    clear,
    refresh,
    set_default,
    settlements_of,
    tariffs_of,
    vat_checks_of,
)
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, behind, may_read, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}")
_CAN_WRITE = [may_write(Area.OPERATION)]
_EXAMPLE: Final[dict[str, Any]] = {
    "tariffId": "day",
    "currency": "EUR",
    "energy": {"prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}]},
}

TariffRow = Annotated[Id, Path(description="the tariff's id here")]
Tariff = Annotated[dict[str, Any], Field(description="OCPP 2.1's Tariff object", examples=[_EXAMPLE])]


class NewTariff(Strict):
    """A default tariff."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"charge_point_number": 0, "tariff": _EXAMPLE}]})

    charge_point_number: int = Field(0, ge=0, le=256, description="0: all of the station's")
    tariff: Tariff


class ChargeTariff(Strict):
    """The tariff at which a running charge goes on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"charge_log_id": "17", "tariff": _EXAMPLE}]})

    charge_log_id: Id
    tariff: Tariff


class TariffShown(Shown):
    """A tariff that a station holds."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    charge_point_number: int = Field(description="0: all of the station's")
    tariff_id: str
    kind: TariffKind
    content: dict[str, Any] | None = Field(description="null for one that the station named without its content")
    state: TariffState
    state_at: datetime
    reason: str | None = Field(description="why it is so, in plain words")
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, row: StationTariff, identity: str) -> Self:
        return cls.model_validate({**row.model_dump(), "station_id": identity})


class SettlementShown(Shown):
    """A payment made at the station."""

    id: Id
    transaction_id: str | None
    reference: str = Field(description="the payment service's own")
    status: str = Field(examples=["Settled"])
    amount: float
    settled_at: datetime
    received_at: datetime
    receipt_id: str | None
    receipt_url: str | None
    info: str | None


class VatCheckShown(Shown):
    """A VAT number that the station asked about."""

    id: Id
    vat_number: str
    charge_point_number: int | None
    asked_at: datetime
    is_confirmed: bool
    reason: str | None


@router.get(
    "/tariffs",
    summary="Tariffs that the station holds (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("SetDefaultTariff", "GetTariffs", "ClearTariffs"),
)
async def list_tariffs(station: StationDep, work: Reading, page: PageDep) -> Page[TariffShown]:
    """Newest first, those too that are gone."""
    rows, cursor = await page_of(work, tariffs_of(station), page)
    return Page(items=[TariffShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/tariffs",
    status_code=status.HTTP_201_CREATED,
    summary="Set the default tariff of a charge point, or of all",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station"},
        409: {"description": "the station speaks an older version, or knows too many tariffs"},
    },
    openapi_extra=behind("SetDefaultTariff"),
)
async def create_tariff(station_id: StationId, body: NewTariff, runtime: RuntimeDep, caller: CallerDep) -> TariffShown:
    """Asks the station and waits for its word: see `state` and `reason`."""
    row = await set_default(runtime, caller, station_id, body.charge_point_number, body.tariff)
    return TariffShown.of(row, station_id)


@router.delete(
    "/tariffs/{row_id}",
    summary="Have the station forget a tariff",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or tariff"},
        409: {"description": "it is not there any more, or the station could not be asked"},
    },
    openapi_extra=behind("ClearTariffs"),
)
async def delete_tariff(
    station_id: StationId, row_id: TariffRow, runtime: RuntimeDep, caller: CallerDep
) -> TariffShown:
    """The row stays as history, as `cleared`."""
    return TariffShown.of(await clear(runtime, caller, station_id, row_id), station_id)


@router.post(
    "/tariffs/refresh",
    summary="Have the station tell its tariffs",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station"}, 409: {"description": "the station speaks an older version"}},
    openapi_extra=behind("GetTariffs"),
)
async def refresh_tariffs(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> SaidShown:
    """What it does not name is gone."""
    return SaidShown.of(await refresh(runtime, caller, station_id))


@router.post(
    "/tariffs/change-charge",
    summary="Let a running charge go on at another tariff",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or charge"},
        409: {"description": "the charge has ended, or the station speaks an older version"},
    },
    openapi_extra=behind("ChangeTransactionTariff"),
)
async def change_tariff(station_id: StationId, body: ChargeTariff, runtime: RuntimeDep, caller: CallerDep) -> SaidShown:
    """In force when the station accepts it."""
    command = await change_charge(runtime, caller, station_id, body.charge_log_id, body.tariff)
    word = (command.payload or {}).get("status")
    reason = command.reason if word is None or word == "Accepted" else refusal(str(word))
    return SaidShown.of(command, reason=reason)


@router.get(
    "/settlements",
    summary="Payments made at the station (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("NotifySettlement", "NotifyWebPaymentStarted"),
)
async def list_settlements(station: StationDep, work: Reading, page: PageDep) -> Page[SettlementShown]:
    """Newest first."""
    rows, cursor = await page_of(work, settlements_of(station), page)
    return Page(items=[SettlementShown.model_validate(row.model_dump()) for row in rows], next_cursor=cursor)


@router.get(
    "/vat-checks",
    summary="VAT numbers that the station asked about (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("VatNumberValidation"),
)
async def list_vat_checks(station: StationDep, work: Reading, page: PageDep) -> Page[VatCheckShown]:
    """Newest first. None is confirmed, since this installation asks no service that gives them out."""
    rows, cursor = await page_of(work, vat_checks_of(station), page)
    return Page(items=[VatCheckShown.model_validate(row.model_dump()) for row in rows], next_cursor=cursor)
