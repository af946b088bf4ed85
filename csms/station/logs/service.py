"""S10: reads exchanges and puts them into words; nothing is stored twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from sqlmodel import col

from csms.features import offered
from csms.station.communication_logs import Frame, FrameFilter, frames_of
from csms.station.logs import rules
from csms.station.logs.rules import Exchange, Vocabulary
from csms.store import Work
from csms.wording import Level, Words

CHUNK_FRAMES: Final = 500
SCANNED_FRAMES_MAX: Final = 5000
"""Read for one page at most: a level is known only when the frame has been read."""
_CALLERROR: Final = 4
_CALLRESULTERROR: Final = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    frame: Frame
    words: Words


@cache
def _vocabulary() -> Vocabulary:
    return Vocabulary(tuple(offered("words", "WORDS")))


def describe(exchange: Exchange) -> Words:
    """The exchange in the words of the feature that owns its action. Never raises, whatever the payloads hold."""
    return rules.describe(exchange, _vocabulary())


def words_of(frame: Frame) -> Words:
    """The exchange in words."""
    request, answer = _array(frame.request), _array(frame.answer)
    is_error = answer[:1] == [_CALLERROR]
    return describe(
        Exchange(
            action=frame.action,
            from_station=frame.from_station,
            outcome=frame.outcome.value,
            request=_object(request, 3),
            answer=None if is_error else _object(answer, 2),
            error_code=frame.error_code,
            error_description=_description(answer) or _description(request) or frame.violation,
        )
    )


def _description(frame: list[Any]) -> str | None:
    """Of a CALLERROR or CALLRESULTERROR: [4 or 5, id, code, description, details]."""
    is_error = frame[:1] in ([_CALLERROR], [_CALLRESULTERROR])
    return str(frame[3]) if is_error and len(frame) > 3 else None  # noqa: PLR2004  # it is the fourth


def _array(text: str | None) -> list[Any]:
    try:
        value = orjson.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []


def _object(frame: list[Any], index: int) -> Mapping[str, Any] | None:
    value = frame[index] if len(frame) > index else None
    return value if isinstance(value, Mapping) else None


async def entries(
    work: Work, station_id: int, wanted: FrameFilter, levels: frozenset[Level], *, before_id: int | None, limit: int
) -> tuple[list[Entry], int | None]:
    """Up to `limit` lines, newest first, and the id to go on from; None when there are no more.

    With `levels`, a page may be short of lines and still have a next one.
    """
    found: list[Entry] = []
    scanned = 0
    while scanned < SCANNED_FRAMES_MAX:
        chunk_frames = CHUNK_FRAMES if levels else limit + 1
        frames = await _chunk(work, station_id, wanted, before_id, chunk_frames)
        for number, frame in enumerate(frames, 1):
            before_id = frame.id
            words = words_of(frame)
            if not levels or words.level in levels:
                found.append(Entry(frame, words))
            if len(found) == limit:
                has_more = number < len(frames) or len(frames) == chunk_frames
                return found, before_id if has_more else None
        if len(frames) < chunk_frames:
            return found, None
        scanned += len(frames)
    return found, before_id


async def _chunk(
    work: Work, station_id: int, wanted: FrameFilter, before_id: int | None, limit: int
) -> Sequence[Frame]:
    query = frames_of(station_id, wanted)
    if before_id is not None:
        query = query.where(col(Frame.id) < before_id)
    return (await work.session.exec(query.order_by(col(Frame.id).desc()).limit(limit))).all()
