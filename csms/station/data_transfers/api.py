"""B6: what a station sent in its vendor's own messages."""

from datetime import datetime
from typing import Any, Self

import orjson
from fastapi import APIRouter
from pydantic import Field
from sqlmodel import col, select

from csms.ids import Id
from csms.station.data_transfers.model import DataTransfer
from csms.station.information import StationDep
from csms.web import Page, PageDep, PeriodDep, Reading, Shown, behind, may_read, page_of, within

router = APIRouter(tags=["data transfers"])


class DataTransferShown(Shown):
    id: Id
    at: datetime
    vendor_id: str = Field(examples=["com.example"])
    message_id: str | None
    data: Any = Field(description="as the station sent it: a text, or any JSON value (OCPP 2.x)", examples=["Welcome"])

    @classmethod
    def of(cls, row: DataTransfer) -> Self:
        data = orjson.loads(row.data) if row.is_json and row.data is not None else row.data
        return cls.model_validate({**row.model_dump(exclude={"data"}), "data": data})


@router.get(
    "/stations/{station_id}/data-transfers",
    summary="Messages of the vendor's own kind that the station sent",
    dependencies=[may_read()],
    openapi_extra=behind("DataTransfer"),
)
async def list_data_transfers(
    station: StationDep, work: Reading, page: PageDep, period: PeriodDep
) -> Page[DataTransferShown]:
    query = select(DataTransfer).where(DataTransfer.station_id == station.id)
    query = within(query, col(DataTransfer.at), period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[DataTransferShown.of(row) for row in rows], next_cursor=cursor)
