"""S15: asking for reports, keeping their parts, and handing them to whoever sorts them in."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.ocpp.confidential import redacted
from csms.routing import ConnectedStation, Payload
from csms.station.device_reports.model import DeviceMessage, DeviceReport, Topic
from csms.station.device_reports.rules import (
    PARTS_MAX,
    is_last,
    is_whole,
    missing_parts,
    part_number,
    request_number,
)
from csms.station.information import Station, fact_about
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

FACTS: Final = {Topic.SETTINGS: "settings_told", Topic.MONITORS: "monitors_told"}
"""The fact that says: messages of that topic wait to be sorted in."""
REQUEST_ID_MAX: Final = 2**31 - 1
REPORTS_AT_ONCE: Final = 8
"""Reports of one station that are followed at a time."""
UNSORTED_PARTS: Final = 50
"""After so many parts those that came are sorted in, though more follow."""
PART_TIMEOUT_S: Final = 120
"""After so long without a part the rest is not waited for."""
EXPIRED_ROWS: Final = 200
UNSORTABLE_AFTER_H: Final = 24
"""A message that could not be sorted in for so long never will be, and those behind it wait."""


@dataclass(slots=True)
class _Progress:
    parts: set[int] = field(default_factory=set)
    last: int | None = None
    unsorted: int = 0


@dataclass(slots=True)
class Reports:
    """The reports that a connected station is sending, by topic and request."""

    under_way: dict[tuple[Topic, int | None], _Progress] = field(default_factory=dict)

    def follow(self, key: tuple[Topic, int | None]) -> _Progress:
        if key not in self.under_way and len(self.under_way) >= REPORTS_AT_ONCE:
            del self.under_way[next(iter(self.under_way))]
        return self.under_way.setdefault(key, _Progress())


def note_part(work: Work, station: ConnectedStation, topic: Topic, action: str, payload: Payload) -> None:
    """Keep a part of a report; the fact follows when all have come, or many."""
    _note(work, station, topic, action, request=payload, answer=None)
    key, number = (topic, request_number(payload)), part_number(payload)
    known = station.recall(Reports).under_way.get(key, _Progress())
    last = number if is_last(payload) else known.last
    is_done = is_whole(known.parts | {number}, last)
    must_tell = is_done or last is not None or known.unsorted + 1 >= UNSORTED_PARTS

    def remember() -> None:
        reports = station.recall(Reports)
        if is_done:
            reports.under_way.pop(key, None)
            return
        progress = reports.follow(key)
        progress.last = last
        progress.unsorted = 0 if must_tell else progress.unsorted + 1
        if len(progress.parts) < PARTS_MAX:
            progress.parts.add(number)

    work.after_commit(remember)
    if must_tell:
        work.emit(fact_about(station, FACTS[topic]))


def note_answer(
    work: Work, station: ConnectedStation, topic: Topic, action: str, *, request: Payload, answer: Payload
) -> None:
    """Keep what a station answered to a call of ours; the fact follows at once."""
    _note(work, station, topic, action, request=request, answer=answer)
    work.emit(fact_about(station, FACTS[topic]))


async def note_report_answer(
    work: Work, station: ConnectedStation, topic: Topic, scope: str, *, request: Payload, answer: Payload
) -> None:
    """The station said whether it will send the report; also of one that was asked for by a raw command."""
    request_id, status = request_number(request), str(answer.get("status"))[:40]
    if request_id is None:
        return
    info = answer.get("statusInfo")
    reason = info.get("reasonCode") if isinstance(info, dict) else None
    values: dict[str, Any] = {"status": status}
    if status.lower() != "accepted":
        values |= {"ended_at": work.now, "detail": _refusal(status, reason)}
    known = await find_report(work, station.id, request_id)
    if known is not None:
        work.change(DeviceReport, known.id, **values)
        return
    work.insert(
        DeviceReport,
        organisation_id=station.organisation_id,
        station_id=station.id,
        topic=topic,
        request_id=request_id,
        scope=scope,
        requested_at=work.now,
        requested_by="a raw command",
        parts=[],
        item_count=0,
        last_part_at=work.now,
        is_complete=False,
        **values,
    )


def _refusal(status: str, reason: object) -> str:
    said = {
        "Rejected": "the station will not send it now",
        "NotSupported": "the station cannot send this report",
        "EmptyResultSet": "the station has nothing of this kind",
    }.get(status, f"the station answered «{status}»")
    return said if reason is None else f"{said} ({str(reason)[:60]})"


def _note(
    work: Work, station: ConnectedStation, topic: Topic, action: str, *, request: Payload, answer: Payload | None
) -> None:
    work.insert(
        DeviceMessage,
        organisation_id=station.organisation_id,
        station_id=station.id,
        topic=topic,
        action=action,
        at=work.now,
        request=redacted(action, request),
        answer=None if answer is None else redacted(action, answer),
    )


def open_report(work: Work, station: Station, topic: Topic, scope: str) -> DeviceReport:
    """The row of a report that is about to be asked for with its `request_id`."""
    report = DeviceReport(
        organisation_id=station.organisation_id,
        station_id=station.id,
        topic=topic,
        request_id=1 + secrets.randbelow(REQUEST_ID_MAX),
        scope=scope,
        requested_at=work.now,
        requested_by=work.actor.name,
        last_part_at=work.now,
    )
    work.session.add(report)
    return report


async def find_report(work: Work, station_id: int, request_id: int) -> DeviceReport | None:
    query = select(DeviceReport).where(DeviceReport.station_id == station_id, DeviceReport.request_id == request_id)
    return (await work.session.exec(query.order_by(col(DeviceReport.id).desc()))).first()


def reports_query(station: Station, topic: Topic) -> SelectOfScalar[DeviceReport]:
    """The station's reports of that topic, to be paged."""
    return select(DeviceReport).where(DeviceReport.station_id == station.id, DeviceReport.topic == topic)


async def get_report(work: Work, station: Station, topic: Topic, report_id: int) -> DeviceReport:
    """Raises NotFound."""
    found = (await work.session.exec(reports_query(station, topic).where(DeviceReport.id == report_id))).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such refresh; GET …/refreshes lists them")
    return found


async def take(work: Work, station_id: int, topic: Topic, items_of: str, most: int) -> Sequence[DeviceMessage]:
    """Take the oldest messages of a station out of the box, `most` of them, and note parts on their reports.

    `items_of` names the list in a part. Two processes at a time take turns: rows that one holds, the other waits for.
    """
    query = (
        select(DeviceMessage)
        .where(DeviceMessage.station_id == station_id, DeviceMessage.topic == topic)
        .order_by(col(DeviceMessage.id))
        .limit(most)
        .with_for_update()
    )
    messages = (await work.session.exec(query)).all()
    if messages:
        ids = [message.id for message in messages]
        table = DeviceMessage.__table__  # type: ignore[attr-defined]  # SQLModel adds it
        connection = await work.session.connection()
        await connection.execute(delete(table).where(table.c.id.in_(ids)))
        await _note_parts(work, station_id, messages, items_of)
    return messages


async def _note_parts(work: Work, station_id: int, messages: Sequence[DeviceMessage], items_of: str) -> None:
    by_request: dict[int, list[DeviceMessage]] = {}
    for message in messages:
        number = request_number(message.request)
        if message.answer is None and number is not None:
            by_request.setdefault(number, []).append(message)
    for request_id, parts in by_request.items():
        report = await find_report(work, station_id, request_id)
        if report is not None:
            _add_parts(report, parts, items_of)


def _add_parts(report: DeviceReport, messages: Sequence[DeviceMessage], items_of: str) -> None:
    parts = set(report.parts)
    for message in messages:
        number = part_number(message.request)
        if number not in parts:
            items = message.request.get(items_of)
            report.item_count += len(items) if isinstance(items, list) else 0
        parts.add(number)
        if is_last(message.request):
            report.last_part = number
        report.last_part_at = max(report.last_part_at, message.at)
    report.parts = sorted(parts)[:PARTS_MAX]
    if is_whole(parts, report.last_part):
        report.is_complete, report.ended_at, report.detail = True, report.last_part_at, None


async def expire(work: Work) -> int:
    """End reports of which no part came for too long; returns how many (EXPIRED_ROWS at most)."""
    query = (
        select(DeviceReport)
        .where(
            col(DeviceReport.ended_at).is_(None),
            col(DeviceReport.last_part_at) < work.now - timedelta(seconds=PART_TIMEOUT_S),
        )
        .order_by(col(DeviceReport.last_part_at))
        .limit(EXPIRED_ROWS)
        .with_for_update(skip_locked=True)
    )
    reports = (await work.session.exec(query)).all()
    for report in reports:
        report.ended_at = work.now
        report.detail = _shortfall(report)
    return len(reports)


def _shortfall(report: DeviceReport) -> str:
    if not report.parts:
        return f"the station sent nothing within {PART_TIMEOUT_S} s; ask again"
    gaps = missing_parts(report.parts, report.last_part)
    if gaps:
        return f"these parts never came: {', '.join(map(str, gaps))}; what came is kept, ask again for the rest"
    return f"no further part came within {PART_TIMEOUT_S} s though more was announced; ask again"


async def tell_left_behind(work: Work) -> int:
    """Have messages sorted in of which nobody was told, or whose report broke off; returns of how many stations."""
    before = work.now - timedelta(seconds=PART_TIMEOUT_S)
    query = (
        select(DeviceMessage.station_id, DeviceMessage.topic, DeviceMessage.organisation_id)
        .where(DeviceMessage.at < before)
        .distinct()
        .limit(EXPIRED_ROWS)
    )
    rows = (await work.session.exec(query)).all()
    for station_id, topic, organisation_id in rows:
        work.emit(Fact(kind=FACTS[Topic(topic)], organisation_id=organisation_id, station_id=station_id))
    return len(rows)


async def drop_unsortable(work: Work) -> int:
    """Forget messages that cannot be sorted in; their frames are in the communication log. Returns how many."""
    table = DeviceMessage.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    before = work.now - timedelta(hours=UNSORTABLE_AFTER_H)
    connection = await work.session.connection()
    count = (await connection.execute(delete(table).where(table.c.at < before))).rowcount
    if count:
        log.error("messages of stations could not be sorted in and are dropped", count=count)
    return count


async def settle_report(work: Work, report_id: int, **values: Any) -> DeviceReport:
    """Set columns of a report that did not end by its parts: it was not asked for, or the answer held all of it."""
    report = await work.session.get_one(DeviceReport, report_id, with_for_update=True, populate_existing=True)
    for name, value in values.items():
        setattr(report, name, value)
    return report
