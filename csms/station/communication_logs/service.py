"""S11, B8: recording exchanges on the hot path, finding them again, counting what breaks the standard."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.ids import id_at, time_of
from csms.ocpp.confidential import may_hold_secrets, redacted_text
from csms.ocpp.conversation import AnswerRefused, Call
from csms.ocpp.repairs import AppliedRepair
from csms.ocpp.schema import Violation
from csms.rights import Caller
from csms.routing import ConnectedStation
from csms.station.communication_logs.model import Frame, FrameOutcome
from csms.station.information import Station
from csms.store import Store, Work

ACTION_CHARS_MAX: Final = 64
MESSAGE_ID_CHARS_MAX: Final = 64
VIOLATION_CHARS_MAX: Final = 500
EXPORT_ROWS_MAX: Final = 200_000
EXPORT_CHUNK_ROWS: Final = 500
VIOLATION_GROUPS_MAX: Final = 500


ANSWER_REFUSED_WITHIN: Final = timedelta(minutes=10)
"""How far back the call is looked for whose answer a station could not use."""


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Which frames; what is None or empty does not restrict. `start` is inside the period, `end` is not."""

    start: datetime | None = None
    end: datetime | None = None
    actions: frozenset[str] = frozenset()
    outcomes: frozenset[FrameOutcome] = frozenset()
    from_station: bool | None = None
    message_id: str | None = None
    is_deviating: bool | None = None


@dataclass(frozen=True, slots=True)
class ViolationGroup:
    """How often stations of one make broke the standard in the same way."""

    vendor: str | None
    model: str | None
    firmware_version: str | None
    action: str | None
    from_station: bool
    outcome: FrameOutcome
    repairs: list[str]
    count: int
    station_count: int
    first_at: datetime
    last_at: datetime
    example: str
    """The breach of one of these frames."""
    example_frame_id: int


def record(
    work: Work,
    *,
    organisation_id: int,
    station_id: int,
    connection_id: int | None,
    at: datetime,
    from_station: bool,
    outcome: FrameOutcome,
    action: str | None = None,
    message_id: str | None = None,
    request: str | None = None,
    answer: str | None = None,
    answered_at: datetime | None = None,
    error_code: str | None = None,
    repairs: Sequence[AppliedRepair] = (),
    violation: Violation | str | None = None,
) -> int:
    """Note one exchange; returns the row's id. Raw texts go in as they are: secrets are masked here.

    `request` and `answer` are texts of whole frames. For an answer that nobody waits for, leave `request`
    out and give `answer`. `violation` is also due for a message that was refused for its breach of the schema.
    """
    names, breach = None, None
    if repairs or violation is not None:
        names, breach = _breach(repairs, violation)
    return work.insert(
        Frame,
        organisation_id=organisation_id,
        station_id=station_id,
        connection_id=connection_id,
        at=at,
        from_station=from_station,
        action=_storable(action, ACTION_CHARS_MAX),
        message_id=_storable(message_id, MESSAGE_ID_CHARS_MAX),
        request=_shown(request, action),
        answer=_shown(answer, action),
        answered_at=answered_at,
        outcome=outcome,
        error_code=_storable(error_code, ACTION_CHARS_MAX),
        repairs=names,
        violation=breach,
    )


def record_handled(
    work: Work, station: ConnectedStation, call: Call, *, answer: str | None, error_code: str | None = None
) -> int:
    """Note a call of the station that was handled, with its answer or refusal; `record` for what has passed its checks.

    Its action is one of the standard's, its id has at most 36 characters, and its text is JSON without NUL.
    """
    request, action = call.text, call.action
    if may_hold_secrets(action):
        request, answer = redacted_text(request, action), _shown(answer, action)
    names, breach = None, None
    if call.repairs or call.violation is not None:
        names, breach = _breach(call.repairs, call.violation)
    return work.insert(
        Frame,
        organisation_id=station.organisation_id,
        station_id=station.id,
        connection_id=station.connection_id,
        at=work.now,
        from_station=True,
        action=action,
        message_id=call.message_id,
        request=request,
        answer=answer,
        answered_at=work.now,
        outcome=FrameOutcome.ANSWERED if error_code is None else FrameOutcome.REFUSED,
        error_code=error_code,
        repairs=names,
        violation=breach,
    )


async def record_answer_refused(work: Work, station: ConnectedStation, refused: AnswerRefused) -> None:
    """Note that the station could not use our answer (2.1 part 4, 4.2.4), at its call and as the text that came."""
    query = select(Frame.id, Frame.action).where(
        Frame.station_id == station.id,
        Frame.id >= id_at(work.now - ANSWER_REFUSED_WITHIN),
        Frame.connection_id == station.connection_id,
        Frame.message_id == refused.message_id,
        col(Frame.from_station).is_(True),
    )
    found = (await work.session.exec(query.order_by(col(Frame.id).desc()).limit(1))).first()
    row_id, action = found or (None, None)
    code = _storable(refused.code, ACTION_CHARS_MAX)
    if row_id is not None:
        work.change(Frame, row_id, outcome=FrameOutcome.ANSWER_REFUSED, error_code=code)
    record(
        work,
        organisation_id=station.organisation_id,
        station_id=station.id,
        connection_id=station.connection_id,
        at=work.now,
        from_station=True,
        action=action,
        message_id=refused.message_id,
        request=refused.text,
        outcome=FrameOutcome.ANSWER_REFUSED,
        error_code=code,
    )


def _breach(repairs: Sequence[AppliedRepair], violation: Violation | str | None) -> tuple[list[str] | None, str | None]:
    """The names of the repairs, and the breach in words."""
    names = sorted({repair.name for repair in repairs}) or None
    breach = str(violation) if violation is not None else f"{repairs[0].place or 'payload'}: {repairs[0].name}"
    return names, _storable(breach, VIOLATION_CHARS_MAX)


def frames_of(station_id: int, wanted: FrameFilter) -> SelectOfScalar[Frame]:
    """The station's exchanges, to be paged by id."""
    query = select(Frame).where(Frame.station_id == station_id)
    if wanted.start is not None:
        query = query.where(col(Frame.id) >= id_at(wanted.start))
    if wanted.end is not None:
        query = query.where(col(Frame.id) < id_at(wanted.end))
    if wanted.actions:
        query = query.where(col(Frame.action).in_(wanted.actions))
    if wanted.outcomes:
        query = query.where(col(Frame.outcome).in_(wanted.outcomes))
    if wanted.from_station is not None:
        query = query.where(col(Frame.from_station).is_(wanted.from_station))
    if wanted.message_id is not None:
        query = query.where(Frame.message_id == wanted.message_id)
    if wanted.is_deviating is not None:
        breach = col(Frame.violation)
        query = query.where(breach.is_not(None) if wanted.is_deviating else breach.is_(None))
    return query


async def get_frame(work: Work, station: Station, frame_id: int) -> Frame:
    """Raises NotFound, also for another station's frame."""
    query = select(Frame).where(Frame.station_id == station.id, Frame.id == frame_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"{station.identity} has no frame {frame_id}, or it is past its retention")
    return found


async def export_frames(
    store: Store, caller: Caller, station_id: int, wanted: FrameFilter
) -> AsyncIterator[Sequence[Frame]]:
    """The exchanges newest first, in chunks; no unit of work stays open while a slow client reads."""
    last_id, left = None, EXPORT_ROWS_MAX
    while left > 0:
        query = frames_of(station_id, wanted)
        if last_id is not None:
            query = query.where(col(Frame.id) < last_id)
        async with store.reading(caller) as work:
            ordered = query.order_by(col(Frame.id).desc()).limit(min(EXPORT_CHUNK_ROWS, left))
            rows = (await work.session.exec(ordered)).all()
        if not rows:
            return
        yield rows
        last_id, left = rows[-1].id, left - len(rows)


async def violations(work: Work, start: datetime, end: datetime) -> list[ViolationGroup]:
    """B8: what broke the standard from `start` to before `end`, by make of station, the most frequent first."""
    make = (col(Station.vendor), col(Station.model), col(Station.firmware_version))
    kind = (col(Frame.action), col(Frame.from_station), col(Frame.outcome), col(Frame.repairs))
    count = func.count(col(Frame.id))
    figures = (
        count,
        func.count(col(Frame.station_id).distinct()),
        func.min(Frame.id),
        func.max(Frame.id),
        func.max(Frame.violation),
    )
    query = (
        select(*make, *kind, *figures)  # type: ignore[call-overload]  # its types end at four columns
        .join(Station, col(Station.id) == col(Frame.station_id))
        .where(col(Frame.violation).is_not(None), col(Frame.id) >= id_at(start), col(Frame.id) < id_at(end))
        .group_by(*make, *kind)
        .order_by(count.desc())
        .limit(VIOLATION_GROUPS_MAX)
    )
    return [_group(row) for row in (await work.session.exec(query)).all()]


def _group(row: Sequence[Any]) -> ViolationGroup:
    vendor, model, firmware_version, action, from_station, outcome, repairs, *figures = row
    count, station_count, first_id, last_id, example = figures
    return ViolationGroup(
        vendor=vendor,
        model=model,
        firmware_version=firmware_version,
        action=action,
        from_station=from_station,
        outcome=outcome,
        repairs=repairs or [],
        count=count,
        station_count=station_count,
        first_at=time_of(first_id),
        last_at=time_of(last_id),
        example=example,
        example_frame_id=last_id,
    )


def _shown(text: str | None, action: str | None) -> str | None:
    """A frame's text, fit to be kept: without secrets and without NUL, which PostgreSQL's text cannot hold."""
    if text is None:
        return None
    return redacted_text(text, action).replace("\0", "\N{SYMBOL FOR NULL}")


def _storable(text: str | None, chars_max: int) -> str | None:
    if text is None or (len(text) <= chars_max and "\0" not in text):
        return text
    return text[:chars_max].replace("\0", "\N{SYMBOL FOR NULL}")
