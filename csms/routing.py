"""How a feature says which station messages it handles: routes as data, found by `csms.features`.

A feature's `ocpp.py` offers any of:

    ROUTES = (Route(Version.V16, "Heartbeat", heartbeat), …)      station calls that it answers
    OBSERVES = (Observe(Version.V16, "BootNotification", closes_zombies), …)   wants to know of a call
    ANSWERED = (Answered(VERSIONS_2, "Reset", reset_answered), …)  answers to our calls that it stores
    HEARS = (Hear(frozenset({"token_changed"}), forget),)   news of the organisation that end what the process knows
    CHECKS = (Check(VERSIONS_2, "GetLog", check_location), …)     refuses requests of ours, whoever makes them
    PREPARES = (Prepare(VERSIONS_2, "GetCertificateStatus", ask),)   asks others before a call's turn
    async def load(work, stations): …       fills the memory of stations that connect, many at once
    RELOADS = frozenset({"reservation_changed"})   news of a station after which `load` runs again for it
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypeVar

import httpx

from csms.config import Settings
from csms.features import features, offered
from csms.ocpp.errors import ErrorKind, OcppError
from csms.ocpp.versions import Version
from csms.store import Store, Work

Payload = dict[str, Any]
T = TypeVar("T")


class Registration(StrEnum):
    """Whether the operator lets the station work; OCPP's RegistrationStatus."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"


@dataclass(slots=True, eq=False)
class ConnectedStation:
    """A station as the broker holds it in memory while it is connected.

    Handlers read it freely and change it only by `work.after_commit`: a unit that fails leaves no trace.
    At most one call of a station is handled at a time.
    """

    id: int
    organisation_id: int
    identity: str
    version: Version
    registration: Registration
    connection_id: int
    remote_address: str
    is_lenient: bool = True
    is_demo: bool = False
    heartbeat_interval_s: int = 300
    memory: dict[type, Any] = field(default_factory=dict)

    def recall(self, kind: type[T]) -> T:
        """What a feature's `load` put there; made empty if it put nothing."""
        found = self.memory.get(kind)
        if found is None:
            found = self.memory[kind] = kind()
        return found


Handler = Callable[[Work, ConnectedStation, Payload], Awaitable[Payload]]
"""Answers a station's call: returns the CALLRESULT's payload or raises OcppError. Notes rows with
`work.insert` and `work.change`; reads, if it must, with `work.session`. No socket, no clock but `work.now`."""

Observer = Callable[[Work, ConnectedStation, Payload], Awaitable[None]]
"""Runs after the handler of a call, in the same unit of work."""

AnswerHandler = Callable[[Work, ConnectedStation, Payload, Payload], Awaitable[None]]
"""Stores what a station answered to our call: request payload, answer payload."""

Listener = Callable[[int, Payload], None]
"""Hears of a fact right after its commit, in every broker process: organisation id, the fact's data. News may be lost:
whoever depends on them asks the database again after a while."""

Loader = Callable[[Work, Sequence[ConnectedStation]], Awaitable[None]]
"""Fills `station.memory` for stations that connect, with one query for all of them."""


@dataclass(frozen=True, slots=True)
class Load:
    """A feature's `load`; facts of these kinds make it run again for their station, before its next message."""

    load: Loader
    reloads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Route:
    versions: Version | tuple[Version, ...]
    action: str
    handle: Handler


@dataclass(frozen=True, slots=True)
class Observe:
    versions: Version | tuple[Version, ...]
    action: str
    observe: Observer


@dataclass(frozen=True, slots=True)
class Answered:
    versions: Version | tuple[Version, ...]
    action: str
    handle: AnswerHandler


@dataclass(frozen=True, slots=True)
class Hear:
    kinds: frozenset[str]
    hear: Listener


class Outside(Protocol):
    """What a preparer may use beyond the station: the runtime of the process."""

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> Store: ...

    @property
    def http(self) -> httpx.AsyncClient: ...


Preparer = Callable[[Outside, ConnectedStation, Payload], Awaitable[None]]
"""Asks somebody else, over the network, what the handler of a call must know, and leaves it in the station's memory.
Runs before the call's turn, for PREPARE_S at most; other stations do not wait for it. It must bear to be cut off."""
PREPARE_S = 8.0


@dataclass(frozen=True, slots=True)
class Prepare:
    versions: Version | tuple[Version, ...]
    action: str
    prepare: Preparer


RequestCheck = Callable[[Settings, Payload], None]
"""Looks at a request that is to be sent and fits its schema; raises Invalid, with the place, for what must not be."""


@dataclass(frozen=True, slots=True)
class Check:
    versions: Version | tuple[Version, ...]
    action: str
    check: RequestCheck


def _keys(route: Route | Observe | Answered | Check | Prepare) -> list[tuple[Version, str]]:
    versions = (route.versions,) if isinstance(route.versions, Version) else route.versions
    return [(version, route.action) for version in versions]


class Routes:
    """What all features together handle, looked up by version and action."""

    def __init__(
        self,
        routes: Iterable[Route],
        observes: Iterable[Observe] = (),
        answered: Iterable[Answered] = (),
        loads: Iterable[Load] = (),
        hears: Iterable[Hear] = (),
        *,
        prepares: Iterable[Prepare] = (),
    ) -> None:
        self._preparers = {key: one.prepare for one in prepares for key in _keys(one)}
        self._handlers: dict[tuple[Version, str], Handler] = {}
        self._observers: dict[tuple[Version, str], list[Observer]] = {}
        self._answered: dict[tuple[Version, str], list[AnswerHandler]] = {}
        self._loads = list(loads)
        self.reloads = frozenset[str]().union(*(one.reloads for one in self._loads))
        """Kinds of facts about a station that end what some feature remembers of it."""
        self._listeners: dict[str, list[Listener]] = {}
        for one_kind, hear in ((kind, one.hear) for one in hears for kind in one.kinds):
            self._listeners.setdefault(one_kind, []).append(hear)
        for route in routes:
            for key in _keys(route):
                if key in self._handlers:
                    raise ValueError(f"two features answer {key[1]} of {key[0]}; one must observe instead")
                self._handlers[key] = route.handle
        for observe in observes:
            for key in _keys(observe):
                self._observers.setdefault(key, []).append(observe.observe)
        for one in answered:
            for key in _keys(one):
                self._answered.setdefault(key, []).append(one.handle)

    def handler_of(self, version: Version, action: str) -> Handler | None:
        """Who answers that call of a station."""
        return self._handlers.get((version, action))

    def answered_by(self, version: Version, action: str) -> Sequence[AnswerHandler]:
        """Who stores what stations answer to that call of ours."""
        return self._answered.get((version, action), ())

    def preparer(self, version: Version, action: str) -> Preparer | None:
        """What has to be asked of others before a call of that action is handled; None for nearly all."""
        return self._preparers.get((version, action))

    def handle(self, work: Work, station: ConnectedStation, action: str, payload: Payload) -> Awaitable[Payload]:
        """Run the handler and its observers; returns the answer's payload.

        Raises OcppError: NotSupported for an action that the standard knows and no feature handles.
        """
        key = station.version, action
        handler = self._handlers.get(key)
        if handler is None:
            raise OcppError(ErrorKind.NOT_SUPPORTED, f"{action} is not supported here")
        observers = self._observers.get(key)
        answering = handler(work, station, payload)
        return answering if observers is None else _observed(answering, observers, work, station, payload)

    async def answered(
        self, work: Work, station: ConnectedStation, action: str, request: Payload, answer: Payload
    ) -> None:
        """Let features store what a station answered to our call."""
        for handle in self._answered.get((station.version, action), ()):
            await handle(work, station, request, answer)

    def heard(self, organisation_id: int, kind: str, data: Payload) -> None:
        """Tell the features that wait for such news."""
        for hear in self._listeners.get(kind, ()):
            hear(organisation_id, data)

    async def load(self, work: Work, stations: Sequence[ConnectedStation]) -> None:
        """Fill the memory of stations that connect."""
        for one in self._loads:
            await one.load(work, stations)

    async def reload(self, work: Work, station: ConnectedStation, kinds: AbstractSet[str]) -> None:
        """Bring up to date what those features remember of a connected station that want such news."""
        for one in self._loads:
            if not one.reloads.isdisjoint(kinds):
                await one.load(work, [station])


async def _observed(
    answering: Awaitable[Payload],
    observers: Iterable[Observer],
    work: Work,
    station: ConnectedStation,
    payload: Payload,
) -> Payload:
    answer = await answering
    for observe in observers:
        await observe(work, station, payload)
    return answer


@cache
def _checks() -> dict[tuple[Version, str], list[RequestCheck]]:
    found: dict[tuple[Version, str], list[RequestCheck]] = {}
    for one in offered("ocpp", "CHECKS"):
        for key in _keys(one):
            found.setdefault(key, []).append(one.check)
    return found


def check_sent(settings: Settings, version: Version, action: str, request: Payload) -> None:
    """Let features refuse a request of ours before it is stored or sent. Raises Invalid."""
    for check in _checks().get((version, action), ()):
        check(settings, request)


def _loads() -> Iterator[Load]:
    for feature in features():
        offers = feature.parts.get("ocpp")
        load: Loader | None = getattr(offers, "load", None)
        if load is not None:
            yield Load(load, getattr(offers, "RELOADS", frozenset()))


def find_routes() -> Routes:
    """The routes of all features."""
    return Routes(
        offered("ocpp", "ROUTES"),
        offered("ocpp", "OBSERVES"),
        offered("ocpp", "ANSWERED"),
        _loads(),
        offered("ocpp", "HEARS"),
        prepares=offered("ocpp", "PREPARES"),
    )
