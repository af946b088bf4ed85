"""S15: values that wait for a restart are in force after it."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, update
from sqlmodel import col, select

from csms.station.commands import Command, CommandOutcome
from csms.station.settings.model import Setting
from csms.store import Work

TRIGGERED: Final = timedelta(seconds=60)
"""So soon after a TriggerMessage a BootNotification is its fruit, and no restart."""
TRIGGERS_LOOKED_AT: Final = 20
_TRIGGERS: Final = ("TriggerMessage", "ExtendedTriggerMessage")
_table: Final[Any] = Setting.__table__  # type: ignore[attr-defined]  # SQLModel adds it


async def has_rebooted(work: Work, station_id: int, at: datetime, reason: str | None) -> None:
    """The station booted at that time, for the reason that 2.x tells: what was taken before is in force now."""
    if reason == "Triggered" or (reason is None and await _was_asked_to_tell(work, station_id, at)):
        return
    connection = await work.session.connection()
    await connection.execute(
        update(_table)
        .where(_table.c.station_id == station_id, _table.c.reboot_required_since <= at)
        .values(
            value=func.coalesce(_table.c.value_after_reboot, _table.c.value),
            value_after_reboot=None,
            reboot_required_since=None,
        )
    )


async def _was_asked_to_tell(work: Work, station_id: int, at: datetime) -> bool:
    query = (
        select(Command)
        .where(Command.station_id == station_id, col(Command.action).in_(_TRIGGERS))
        .order_by(col(Command.id).desc())
        .limit(TRIGGERS_LOOKED_AT)
    )
    return any(_asks_for_boot(command, at) for command in await work.session.exec(query))


def _asks_for_boot(command: Command, at: datetime) -> bool:
    is_asked = command.outcome in (CommandOutcome.WAITING, CommandOutcome.ANSWERED)
    is_recent = at - TRIGGERED <= command.sent_at <= at
    return is_asked and is_recent and command.request.get("requestedMessage") == "BootNotification"
