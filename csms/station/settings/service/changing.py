"""S15: changing settings: checked by what is known, sent in as few messages as the station takes, told one by one."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from csms.exceptions import Conflict, CsmsError, Invalid
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.information import Station, get_station
from csms.station.settings.model import Setting
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.batches import ITEMS_DEFAULT, limit, limit_address, payload_batches
from csms.station.settings.rules.checking import Known, fault_of
from csms.station.settings.rules.telling import Changed, read_message
from csms.station.settings.rules.vocabulary import resolve
from csms.station.settings.rules.words import DETAILS, OCPP_ATTRIBUTES, AttributeKind, SettingOutcome
from csms.station.settings.service.asking import UNSENT, why_unanswered
from csms.station.settings.service.knowledge import settings_by_key, values_of
from csms.station.settings.service.limits import learn
from csms.station.settings.service.refreshing import BYTES_MAX, no_such_name
from csms.station.settings.service.sorting import sort_in_now
from csms.store import Work

ITEMS_LIMIT: Final = limit_address("ItemsPerMessage", "SetVariables")
BYTES_LIMIT: Final = limit_address("BytesPerMessage", "SetVariables")
PASSWORDS: Final = frozenset({"authorizationkey", "basicauthpassword"})
"""The password with which the station logs in; the CSMS must change it on both sides at once (2.0.1 A01)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A setting by the name that people use, and the value it shall have."""

    name: str
    value: str
    attribute: AttributeKind = AttributeKind.ACTUAL
    address: Address | None = None
    """Given, it is not looked up by the name."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What came of a wish."""

    wish: Wish
    address: Address
    outcome: SettingOutcome
    detail: str
    command_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    wish: Wish
    address: Address

    def payload(self) -> dict[str, Any]:
        """SetVariableDataType of 2.x."""
        payload = {**self.address.payload(), "attributeValue": self.wish.value}
        if self.wish.attribute is not AttributeKind.ACTUAL:
            payload["attributeType"] = OCPP_ATTRIBUTES[self.wish.attribute]
        return payload

    def result(self, outcome: SettingOutcome, detail: str, command: Command | None) -> ChangeResult:
        return ChangeResult(self.wish, self.address, outcome, detail, command.id if command else None)


@dataclass(frozen=True, slots=True)
class _Plan:
    version: Version
    station_id: int
    groups: list[list[_Item]]
    """Each group is one message."""


async def change_settings(
    runtime: Runtime, caller: Caller, identity: str, wishes: Sequence[Wish], *, timeout_s: float | None = None
) -> list[ChangeResult]:
    """Change settings of a station; a result for each wish, in their order.

    Nothing is sent if one of them cannot be right. Raises NotFound, Invalid with the place `body/changes/<index>`,
    Conflict for the login password and for a station that must not be sent anything.
    """
    if len(wishes) > 1:
        await learn(runtime, caller, identity, ITEMS_LIMIT, timeout_s=timeout_s)
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        plan = await _plan(work, station, wishes)
    results: dict[tuple[str, AttributeKind], ChangeResult] = {}
    order = [(item.address.key, item.wish.attribute) for group in plan.groups for item in group]
    waiting, gap = deque(plan.groups), None
    while waiting and gap is None:
        group = waiting.popleft()
        action, payload = _message(plan.version, group)
        try:
            command = await send(runtime, caller, identity, action, payload, timeout_s=timeout_s)
        except CsmsError as error:
            if not results:
                raise
            gap = error.detail
            waiting.appendleft(group)
            break
        if _is_too_long(command, group):
            waiting.extendleft([item] for item in reversed(group))
            continue
        results |= _by_place(_results(command, group))
        gap = _gap(command)
    unsent = [item for group in waiting for item in group]
    results |= _by_place(item.result(SettingOutcome.NOT_SENT, gap or "", None) for item in unsent)
    await sort_in_now(runtime, plan.station_id)
    return [results[key] for key in order]


def _by_place(results: Iterable[ChangeResult]) -> dict[tuple[str, AttributeKind], ChangeResult]:
    return {(result.address.key, result.wish.attribute): result for result in results}


async def _plan(work: Work, station: Station, wishes: Sequence[Wish]) -> _Plan:
    version = version_of(station)
    items = [_Item(wish, _address(station, version, index, wish)) for index, wish in enumerate(wishes)]
    known = await settings_by_key(work, station.id, {item.address.key for item in items})
    seen: set[tuple[str, AttributeKind]] = set()
    for index, item in enumerate(items):
        name = (item.address.key, item.wish.attribute)
        if name in seen:
            raise Invalid(f"{item.address.name} stands here twice", place=f"body/changes/{index}/name")
        seen.add(name)
        row = known.get(item.address.key)
        if row is not None and row.is_unknown:
            detail = f"the station says that it has no {item.address.name}; if its firmware is newer, read it again"
            raise Invalid(detail, place=f"body/changes/{index}/name")
        check_value(item.wish, row.known if row else Known(), version, place=f"body/changes/{index}")
    spelt = [_spelt(item, known.get(item.address.key)) for item in items]
    return _Plan(version, station.id, await _groups(work, station, version, spelt))


def _spelt(item: _Item, known: Setting | None) -> _Item:
    """Names mean the same in any case, but some stations compare them: use the station's own spelling."""
    return item if known is None else _Item(item.wish, known.address)


def _address(station: Station, version: Version, index: int, wish: Wish) -> Address:
    address = wish.address or resolve(wish.name, version)
    if address is None:
        raise Invalid(no_such_name(wish.name, version), place=f"body/changes/{index}/name")
    refuse_password(station, address)
    return address


def refuse_password(station: Station, address: Address) -> None:
    """Raises Conflict for the password with which the station logs in."""
    if address.variable.lower() in PASSWORDS:
        raise Conflict(
            f"{address.name} is the password that the station logs in with; change it on both sides at once with "
            f"POST /api/v1/stations/{station.identity}/password/change"
        )


def check_value(wish: Wish, known: Known, version: Version, *, place: str) -> None:
    """Raises Invalid for a value or attribute that the station would not take."""
    if version is Version.V16 and wish.attribute is not AttributeKind.ACTUAL:
        raise Invalid("OCPP 1.6 knows only the actual value", place=f"{place}/attribute")
    fault = fault_of(known, wish.attribute, wish.value, version)
    if fault is not None:
        raise Invalid(f"{wish.name}: {fault}", place=f"{place}/value")


async def _groups(work: Work, station: Station, version: Version, items: list[_Item]) -> list[list[_Item]]:
    if version is Version.V16:
        return [[item] for item in items]
    limits = await values_of(work, station.id, [ITEMS_LIMIT, BYTES_LIMIT])
    bytes_max = limit(limits.get(BYTES_LIMIT.key), default=0, most=BYTES_MAX) or None
    most = limit(limits.get(ITEMS_LIMIT.key), default=ITEMS_DEFAULT)
    return payload_batches([(item, item.payload()) for item in items], most, bytes_max)


def _message(version: Version, group: list[_Item]) -> tuple[str, dict[str, Any]]:
    if version is Version.V16:
        item = group[0]
        return "ChangeConfiguration", {"key": item.address.name, "value": item.wish.value}
    return "SetVariables", {"setVariableData": [item.payload() for item in group]}


def _is_too_long(command: Command, group: list[_Item]) -> bool:
    """Whether the station refused the message as a whole, so that each setting must be tried alone (B05.FR.11)."""
    return command.outcome is CommandOutcome.REFUSED and len(group) > 1


def _gap(command: Command) -> str | None:
    """Why nothing more is sent after this command; None: go on."""
    if command.outcome in (CommandOutcome.ANSWERED, CommandOutcome.REFUSED):
        return None
    return f"not sent, because the message before had no answer: {why_unanswered(command)}"


def _results(command: Command, group: list[_Item]) -> list[ChangeResult]:
    if command.outcome is not CommandOutcome.ANSWERED:
        return [item.result(_unanswered(command), why_unanswered(command), command) for item in group]
    told = {
        (one.address.key, one.attribute): one
        for one in read_message(command.action, command.request, command.payload)
        if isinstance(one, Changed)
    }
    return [_result(item, told.get((item.address.key, item.wish.attribute)), command) for item in group]


def _unanswered(command: Command) -> SettingOutcome:
    if command.outcome is CommandOutcome.REFUSED:
        return SettingOutcome.REJECTED
    return SettingOutcome.NOT_SENT if command.outcome in UNSENT else SettingOutcome.NOT_ANSWERED


def _result(item: _Item, told: Changed | None, command: Command) -> ChangeResult:
    if told is None:
        detail = "the station's answer does not mention it; read it to see its value"
        return item.result(SettingOutcome.NOT_ANSWERED, detail, command)
    detail = DETAILS[told.outcome]
    return item.result(told.outcome, f"{detail} ({told.reason})" if told.reason else detail, command)
