"""S23: the connection history of a station, its availability by day, its count by code; who was refused."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlmodel import col, select

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area
from csms.station.connections.model import Connection
from csms.station.connections.rules import Cause, ClosedBy
from csms.station.connections.service import (
    availability_of,
    count_by_code,
    refused_query,
    request_disconnect,
    server_certificates,
)
from csms.station.information import StationDep, StationToChange
from csms.web import Page, PageDep, PeriodDep, Reading, Shown, Writing, may_read, may_write, page_of, within

router = APIRouter(tags=["connection history"])
DAYS_MAX = 100


class ConnectionShown(Shown):
    """One connection, or one that did not come about (`reason` says why)."""

    id: Id
    station_id: str | None = Field(
        description="the id that was used, also one that nobody registered; null where TLS failed before it was told",
        examples=["CP-0001"],
    )
    opened_at: datetime
    closed_at: datetime | None = Field(description="null while the connection is open")
    duration_s: float | None = Field(description="null while the connection is open")
    remote_address: str
    protocol: str | None = Field(examples=["ocpp1.6"])
    node: str = Field(description="the broker process that held the socket")
    code: str | None = Field(
        description="0000 unknown, 0001 broker rebooted, 1000 station closed, 1001 going away, 1002 protocol error, "
        "1006 abnormal, 1008 refused or limit, 1009 frame too big, 1011 broker error, 1015 TLS failed, 4001 replaced, "
        "4002 operator, 4003 registration ended, 4004 login changed",
        examples=["1000"],
    )
    closed_by: ClosedBy | None
    cause: Cause | None
    reason: str | None = Field(
        description="why it did not come about, in words; null where it did. The station is told less",
        examples=["the password is wrong"],
    )
    code_received: int | None
    reason_received: str | None
    code_sent: int | None
    reason_sent: str | None
    http_status: int | None
    last_message_at: datetime | None
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int


class ServerCertificateShown(Shown):
    """A certificate that a broker shows to stations on its TLS port."""

    node: str = Field(description="the broker process")
    file: str = Field(examples=["server.pem"])
    subject: str = Field(examples=["O=Example,CN=csms.example.com"])
    hosts: list[str] = Field(description="the names that stations may reach it by", examples=[["csms.example.com"]])
    fingerprint: str = Field(description="SHA-256")
    not_before: datetime
    not_after: datetime
    days_left: int = Field(description="until it expires and stations stay out; below 0: since then")
    loaded_at: datetime


class ServerCertificates(Shown):
    items: list[ServerCertificateShown]


class DayShown(Shown):
    day: datetime
    availability: float = Field(description="part of the day the station was connected, 0 to 1")
    by_code: dict[str, int] = Field(description="connections that ended that day, by close code")


class ConnectionStatistics(Shown):
    availability: float | None = Field(description="over the period since the station was registered, 0 to 1")
    by_code: dict[str, int]
    days: list[DayShown]


def _shown(row: Connection) -> ConnectionShown:
    fields: dict[str, Any] = row.model_dump()
    duration = (row.closed_at - row.opened_at).total_seconds() if row.closed_at else None
    return ConnectionShown.model_validate({**fields, "duration_s": duration, "station_id": row.identity or None})


@router.get(
    "/stations/{station_id}/connection-history",
    summary="How every connection of the station ended",
    dependencies=[may_read()],
)
async def list_connections(
    station: StationDep,
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    code: Annotated[list[str] | None, Query(description="only these close codes", max_length=20)] = None,
) -> Page[ConnectionShown]:
    query = select(Connection).where(col(Connection.station_id) == station.id)
    if code:
        query = query.where(col(Connection.code).in_(code))
    query = within(query, col(Connection.opened_at), period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[_shown(row) for row in rows], next_cursor=cursor)


@router.get(
    "/refused-connections",
    summary="Connections that did not come about, of all stations and of strangers",
    dependencies=[may_read()],
)
async def list_refused(
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    cause: Annotated[list[Cause] | None, Query(description="only these causes", max_length=20)] = None,
    remote_address: Annotated[str | None, Query(description="only from this address", max_length=45)] = None,
) -> Page[ConnectionShown]:
    """Newest first. A failure of TLS from the same address is told once in ten minutes; `/metrics` counts all."""
    query = refused_query(causes=cause or (), remote_address=remote_address)
    query = within(query, col(Connection.opened_at), period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[_shown(row) for row in rows], next_cursor=cursor)


@router.get(
    "/server-certificates",
    summary="The certificates that the brokers show to stations, and when they expire",
    dependencies=[may_read()],
)
async def list_server_certificates(work: Reading) -> ServerCertificates:
    """Those of running brokers, the first to expire first: after that no station of profile 2 or 3 gets in."""
    rows = await server_certificates(work)
    now = work.now
    return ServerCertificates(
        items=[
            ServerCertificateShown.model_validate(row.model_dump() | {"days_left": (row.not_after - now).days})
            for row in rows
        ]
    )


@router.get(
    "/stations/{station_id}/connection-history/statistics",
    summary="Availability per day and connections by close code",
    dependencies=[may_read()],
)
async def connection_statistics(station: StationDep, work: Reading, period: PeriodDep) -> ConnectionStatistics:
    """The last 30 days unless a period is given; days are UTC days."""
    end = period.end or work.now
    start = period.start or end - timedelta(days=30)
    if end - start > timedelta(days=DAYS_MAX):
        raise Invalid(f"at most {DAYS_MAX} days at once; ask for a shorter period", place="query/from")
    found = await availability_of(work, station, start, end)
    return ConnectionStatistics(
        availability=found.whole,
        by_code=await count_by_code(work, station, start, end),
        days=[DayShown.model_validate(day) for day in found.days],
    )


@router.post(
    "/stations/{station_id}/disconnect",
    summary="Close the station's connection; it will come back by itself",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[may_write(Area.OPERATION)],
)
async def disconnect(station: StationToChange, work: Writing) -> None:
    """The connection is closed with 4002 by the broker that holds it, and its history says so."""
    request_disconnect(work, station)
