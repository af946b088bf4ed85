"""S15: sorts what stations told of their settings into the tables, many parts and settings at a time.

A device model has thousands of variables: rows are read and written through Core in a few statements, whatever their
number, and most reports only say again what is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, func, insert, update
from sqlalchemy import select as select_rows
from sqlmodel import col, select

from csms.ids import new_id
from csms.runtime import Runtime
from csms.station.commands import Command
from csms.station.device_reports import DeviceMessage, Topic, take
from csms.station.information import Station
from csms.station.settings.model import Setting, SettingChange
from csms.station.settings.rules.merging import Author, Sorted, beginning, take_changed, take_told
from csms.station.settings.rules.telling import Changed, Told, read_message
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

MESSAGES_A_UNIT: Final = 20
"""Messages sorted in by one unit of work: on SQLite nobody else writes meanwhile."""
SETTINGS_MAX: Final = 20_000
"""Settings of one station; a real one has some thousand."""
KEYS_A_QUERY: Final = 500
NAMES_TOLD: Final = 20
"""Settings named in the fact."""
COMMANDS_LOOKED_AT: Final = 50
"""Latest commands among which that is found to which a station answered."""
_CHANGING: Final = frozenset({"ChangeConfiguration", "SetVariables"})
_table: Final[Any] = Setting.__table__  # type: ignore[attr-defined]  # SQLModel adds it
_COLUMNS: Final = tuple(_table.columns.keys())


async def sort_in(work: Work, station_id: int) -> bool:
    """Sort in the oldest messages of a station; returns whether there may be more."""
    messages = await take(work, station_id, Topic.SETTINGS, "reportData", MESSAGES_A_UNIT)
    if not messages:
        return False
    said = [(message, read_message(message.action, message.request, message.answer)) for message in messages]
    addresses = {one.address.key: one.address for _, parts in said for one in parts}
    known = await _known(work, station_id, addresses)
    settings = {key: beginning(address, known.get(key)) for key, address in addresses.items()}
    for message, parts in said:
        author = await _author(work, message) if message.action in _CHANGING else None
        for one in parts:
            _take(settings[one.address.key], one, message.at, author)
    await _write(work, messages[-1], list(settings.values()))
    await _tell(work, messages[-1], list(settings.values()))
    return len(messages) == MESSAGES_A_UNIT


async def sort_in_now(runtime: Runtime, station_id: int) -> None:
    """Sort in all that waits, so that the caller reads what the station has just answered."""
    has_more = True
    while has_more:
        async with runtime.store.writing() as work:
            has_more = await sort_in(work, station_id)


def _take(setting: Sorted, one: Told | Changed, at: datetime, author: Author | None) -> None:
    if isinstance(one, Told):
        take_told(setting, one, at)
    else:
        take_changed(setting, one, at, author)


async def _known(work: Work, station_id: int, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The rows of these settings, by key."""
    connection, wanted = await work.session.connection(), list(keys)
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(wanted), KEYS_A_QUERY):
        some = wanted[start : start + KEYS_A_QUERY]
        query = select_rows(_table).where(_table.c.station_id == station_id, _table.c.key.in_(some))
        for row in (await connection.execute(query)).mappings():
            found[row["key"]] = dict(row)
    return found


async def _author(work: Work, message: DeviceMessage) -> Author | None:
    """Whose command it was that the station answered: the latest with the same request."""
    query = (
        select(Command)
        .where(Command.station_id == message.station_id, Command.action == message.action)
        .order_by(col(Command.id).desc())
        .limit(COMMANDS_LOOKED_AT)
    )
    for command in await work.session.exec(query):
        if command.request == message.request and command.sent_at <= message.at:
            return Author(command.sent_by, command.id)
    return None


async def _write(work: Work, last: DeviceMessage, settings: Sequence[Sorted]) -> None:
    new = await _within_limit(work, last, [setting for setting in settings if setting.is_new])
    changed = [setting for setting in settings if not setting.is_new and setting.is_changed]
    read = [setting.before["id"] for setting in settings if setting.before is not None and setting.has_been_read]
    connection = await work.session.connection()
    if new:
        await connection.execute(insert(_table), [_new_row(setting, last) for setting in new])
    if changed:
        names = [name for name in _COLUMNS if name not in ("id", "read_at")]
        statement = update(_table).where(_table.c.id == bindparam("row_id"))
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        rows = [_changed_row(setting, names) for setting in changed]
        await connection.execute(statement.values(values), rows)
    for start in range(0, len(read), KEYS_A_QUERY):
        some = read[start : start + KEYS_A_QUERY]
        await connection.execute(update(_table).where(_table.c.id.in_(some)).values(read_at=last.at))
    _note_changes(work, last, [*new, *(setting for setting in settings if not setting.is_new)])


async def _within_limit(work: Work, last: DeviceMessage, new: list[Sorted]) -> list[Sorted]:
    if not new:
        return new
    connection = await work.session.connection()
    count = select_rows(func.count()).select_from(_table).where(_table.c.station_id == last.station_id)
    room = max(0, SETTINGS_MAX - int((await connection.execute(count)).scalar_one()))
    if room < len(new):
        log.warning("a station tells more settings than are kept", station_id=last.station_id, dropped=len(new) - room)
    return new[:room]


def _new_row(setting: Sorted, last: DeviceMessage) -> dict[str, Any]:
    row = dict.fromkeys(_COLUMNS) | setting.after
    row |= {"id": new_id(), "organisation_id": last.organisation_id, "station_id": last.station_id}
    row["read_at"] = last.at if setting.has_been_read else None
    return row


def _changed_row(setting: Sorted, names: Iterable[str]) -> dict[str, Any]:
    row = {f"new_{name}": setting.after[name] for name in names}
    return row | {"row_id": setting.after["id"]}


def _note_changes(work: Work, last: DeviceMessage, settings: Iterable[Sorted]) -> None:
    for setting in settings:
        for change in setting.changes:
            work.insert(
                SettingChange,
                organisation_id=last.organisation_id,
                station_id=last.station_id,
                key=change.address.key,
                name=change.address.name,
                attribute=change.attribute,
                at=change.at,
                old_value=change.old_value,
                new_value=change.new_value,
                outcome=change.outcome,
                reason=change.reason,
                changed_by=change.author.name if change.author else None,
                command_id=change.author.command_id if change.author else None,
            )


async def _tell(work: Work, last: DeviceMessage, settings: Sequence[Sorted]) -> None:
    station = await work.session.get(Station, last.station_id)
    names = [setting.after["name"] for setting in settings if setting.is_new or setting.is_changed]
    work.emit(
        Fact(
            kind="settings_updated",
            organisation_id=last.organisation_id,
            station_id=last.station_id,
            station=station.identity if station else None,
            data={"told": len(settings), "changed": len(names), "names": names[:NAMES_TOLD]},
        )
    )
