"""B3: guards: features that take part in what is sent to a station, from before it leaves until its outcome is known.

A feature's `ocpp.py` offers `GUARDS = (Guard("ChangeConfiguration", concerns, prepare, begin, end),)`; they hold for
whoever sends the action, also for the raw command.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from csms.exceptions import Forbidden
from csms.features import offered
from csms.ocpp.versions import Version
from csms.rights import Area, Caller, Level
from csms.runtime import Runtime
from csms.station.commands.model import Command
from csms.station.information import Station
from csms.store import Work

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Guard:
    """What a feature does around a request of that action."""

    action: str
    concerns: Callable[[Payload], bool]
    """Whether the request is one to be guarded; the payload may still be of any shape."""
    prepare: Callable[[Runtime, Version, Payload], Awaitable[Any]]
    """What takes time, before any unit of work; raises Invalid. What it returns is handed to `begin`."""
    begin: Callable[[Work, Command, Station, Payload, Any], Awaitable[None]]
    """In the unit that stores the command, before it leaves; raises Conflict or Forbidden if it must not."""
    end: Callable[[Work, Command, Payload], Awaitable[None]]
    """In the unit that stores the outcome. It never runs if this process dies before."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A guard that concerns a request, with what it prepared."""

    guard: Guard
    value: Any


def check_may_manage(caller: Caller, what: str) -> None:
    """For a guard's `begin`: what has a route of its own with a higher right needs it as a raw command too.

    Raises Forbidden for who may only operate stations.
    """
    area = Area.DEVICE_AND_CUSTOMER_MANAGEMENT
    if not caller.may(area, Level.WRITE):
        raise Forbidden(f"{what} needs the right to write {area}, which your key or role lacks; ask an administrator")


@cache
def _guards() -> tuple[Guard, ...]:
    return tuple(offered("ocpp", "GUARDS"))


async def prepare(runtime: Runtime, version: Version, action: str, payload: Any) -> list[Prepared]:
    """The guards of that request, prepared. Raises Invalid for what must not be sent like that."""
    if not isinstance(payload, dict):
        return []
    concerned = [guard for guard in _guards() if guard.action == action and guard.concerns(payload)]
    return [Prepared(guard, await guard.prepare(runtime, version, payload)) for guard in concerned]
