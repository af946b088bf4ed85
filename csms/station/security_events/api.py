"""B2, B10: security events over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from csms.ids import Id
from csms.station.information import StationDep
from csms.station.security_events.model import EventSource, SecurityEvent
from csms.station.security_events.rules import meaning_of
from csms.station.security_events.service import EventFilter, events_query
from csms.web import Page, PageDep, PeriodDep, Reading, Shown, behind, may_read, page_of

router = APIRouter()


class SecurityEventShown(Shown):
    """Something that concerns the security of a station."""

    id: Id
    station_id: str | None = Field(description="the station's OCPP identity", examples=["CP-0001"])
    source: EventSource = Field(description="`station`: it told; `system`: noticed here about it")
    type: str = Field(description="a word of the standard's list, or the maker's own", examples=["SettingSystemTime"])
    meaning: str | None = Field(
        description="in words; null for a maker's own", examples=["the station's clock was set"]
    )
    is_critical: bool = Field(description="by the standard's list; what is noticed here always is")
    happened_at: datetime | None = Field(description="by the station's clock; null where its text is no time")
    received_at: datetime
    last_seen_at: datetime
    repeat_count: int = Field(description="how often it was told again within an hour")
    tech_info: str | None = Field(description="as the station wrote it")
    details: dict[str, Any] | None = Field(description="what was noticed here, by name")

    @classmethod
    def of(cls, event: SecurityEvent) -> Self:
        fields = event.model_dump(exclude={"organisation_id", "identity"})
        return cls(**fields | {"station_id": event.identity, "meaning": meaning_of(event.type)})


async def _filter(
    kind: Annotated[
        list[str] | None, Query(alias="type", max_length=30, description="one or several types", examples=[[]])
    ] = None,
    source: EventSource | None = None,
    is_critical: bool | None = None,
) -> EventFilter:
    return EventFilter(frozenset(kind or ()), source, is_critical)


FilterDep = Annotated[EventFilter, Depends(_filter)]


@router.get(
    "/stations/{station_id}/security-events",
    summary="Security events of the station, newest first",
    dependencies=[may_read()],
    responses={404: {"description": "no such station"}},
    openapi_extra=behind("SecurityEventNotification"),
)
async def list_security_events(
    station: StationDep, work: Reading, page: PageDep, period: PeriodDep, wanted: FilterDep
) -> Page[SecurityEventShown]:
    """What the station told, and what was noticed here about it; `from` and `to` are about when it was received."""
    query = events_query(wanted, station=station, start=period.start, end=period.end)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[SecurityEventShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/security-events",
    summary="Security events of all stations, newest first",
    dependencies=[may_read()],
    openapi_extra=behind("SecurityEventNotification"),
)
async def list_all_security_events(
    work: Reading, page: PageDep, period: PeriodDep, wanted: FilterDep
) -> Page[SecurityEventShown]:
    """The same over all stations of the organisation."""
    rows, cursor = await page_of(work, events_query(wanted, start=period.start, end=period.end), page)
    return Page(items=[SecurityEventShown.of(row) for row in rows], next_cursor=cursor)
