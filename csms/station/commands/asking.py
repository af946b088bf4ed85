"""B3: commands behind which stands a row of a feature: what somebody asked of a station, and what came of it."""

from collections.abc import Callable
from typing import TypeVar

from csms.exceptions import CsmsError
from csms.rights import Caller
from csms.routing import Payload
from csms.runtime import Runtime
from csms.station.commands.model import Command, CommandOutcome
from csms.station.commands.service import send
from csms.store import Owned, Work

RowT = TypeVar("RowT", bound=Owned)


async def send_for(
    runtime: Runtime,
    caller: Caller,
    identity: str,
    row: RowT,
    *,
    action: str,
    payload: Payload,
    refuse: Callable[[Work, RowT, str], None],
    perhaps: str,
) -> RowT:
    """Send what the row asks of the station; returns the row as it is then.

    What the station answers is put on the row by the feature that owns it, whoever asked. `refuse` notes why there
    was no answer, on a row that may have changed meanwhile; `perhaps` says what an error of the station's may mean.
    Raises what `send` raises.
    """

    async def give_up(reason: str) -> None:
        async with runtime.store.writing(caller) as work:
            refuse(work, await work.session.get_one(type(row), row.id), reason)

    try:
        command = await send(runtime, caller, identity, action, payload)
    except CsmsError as error:
        await give_up(error.detail)
        raise
    if command.outcome is not CommandOutcome.ANSWERED:
        await give_up(why_unanswered(command, perhaps))
    async with runtime.store.reading(caller) as work:
        return await work.session.get_one(type(row), row.id)


def why_unanswered(command: Command, perhaps: str) -> str:
    """Why a command got no answer, in plain words."""
    if command.error is not None:
        return f"the station answered {command.error['code']}: {perhaps}"
    return command.reason or "the station could not be asked"
