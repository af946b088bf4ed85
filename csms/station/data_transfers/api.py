"""B6: what a station sent in its vendor's own messages."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import col, select

from csms.ids import Id
from csms.station.data_transfers.model import DataTransfer
from csms.station.information import StationDep
from csms.web import Page, PageDep, PeriodDep, Reading, Shown, may_read, page_of, within

router = APIRouter(tags=["data transfers"])


class DataTransferShown(Shown):
    id: Id
    at: datetime
    vendor_id: str = Field(examples=["com.example"])
    message_id: str | None
    data: str | None = Field(description="as the station wrote it; JSON as text where it sent an object")


@router.get(
    "/stations/{station_id}/data-transfers",
    summary="Messages of the vendor's own kind that the station sent",
    dependencies=[may_read()],
)
async def list_data_transfers(
    station: StationDep, work: Reading, page: PageDep, period: PeriodDep
) -> Page[DataTransferShown]:
    query = select(DataTransfer).where(DataTransfer.station_id == station.id)
    query = within(query, col(DataTransfer.at), period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[DataTransferShown.model_validate(row) for row in rows], next_cursor=cursor)
