"""S15: reading settings from the station, all of them or some, and following the report that it sends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from csms.exceptions import CsmsError, Invalid
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.device_reports import DeviceReport, Topic, open_report, settle_report
from csms.station.information import Station, get_station
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.batches import KEYS_LIMIT, batches, limit, limit_address, payload_batches
from csms.station.settings.rules.telling import Told, read_message
from csms.station.settings.rules.vocabulary import resolve
from csms.station.settings.service.asking import why_unanswered
from csms.station.settings.service.knowledge import values_of
from csms.station.settings.service.limits import learn
from csms.station.settings.service.sorting import sort_in_now
from csms.store import Work

BASES: Final = {
    "all": "FullInventory",
    "configuration": "ConfigurationInventory",
    "summary": "SummaryInventory",
}
CRITERIA: Final = {"active": "Active", "available": "Available", "enabled": "Enabled", "problem": "Problem"}
UNKNOWN_SHOWN: Final = 50
ITEMS_LIMIT: Final = limit_address("ItemsPerMessage", "GetVariables")
PARTS_LIMIT: Final = limit_address("ItemsPerMessage", "GetReport")
BYTES_LIMIT: Final = limit_address("BytesPerMessage", "GetVariables")
ITEMS_READ: Final = 20
"""Variables read with one message where the station does not tell its limit."""
BYTES_MAX: Final = 2**30

Message = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """A component, or one of its variables, to be reported."""

    address: Address
    """Without a variable (empty): all of the component's."""

    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = {"component": self.address.component_payload()}
        if self.address.variable:
            payload["variable"] = self.address.variable_payload()
        return payload


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read: a whole inventory by its scope, or settings by name, or a choice of components."""

    scope: str = "all"
    names: Sequence[str] = ()
    parts: Sequence[Part] = field(default_factory=tuple)
    criteria: Sequence[str] = ()


async def refresh(
    runtime: Runtime, caller: Caller, identity: str, wanted: Wanted, *, timeout_s: float | None = None
) -> DeviceReport:
    """Ask the station for its settings. What its answer holds is known when this returns; a report follows in parts.

    Raises NotFound, Invalid for what this station cannot be asked, Conflict if it must not be asked anything.
    """
    if len(wanted.names) > 1:
        await learn(runtime, caller, identity, ITEMS_LIMIT, timeout_s=timeout_s)
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        report = open_report(work, station, Topic.SETTINGS, _scope_of(wanted))
        messages = await _messages(work, station, wanted, report.request_id)
    commands = []
    try:
        for action, payload in messages:
            commands.append(await send(runtime, caller, identity, action, payload, timeout_s=timeout_s))
            if commands[-1].outcome is not CommandOutcome.ANSWERED:
                break
    except CsmsError as error:
        await _settle(runtime, report, status="not asked", detail=error.detail)
        raise
    await sort_in_now(runtime, station.id)
    return await _told(runtime, report, commands, is_report=messages[0][0] in ("GetBaseReport", "GetReport"))


def _scope_of(wanted: Wanted) -> str:
    if wanted.names:
        return "names"
    return "chosen" if wanted.parts or wanted.criteria else wanted.scope


async def _messages(work: Work, station: Station, wanted: Wanted, request_id: int) -> list[Message]:
    version = version_of(station)
    if wanted.names:
        return await _by_name(work, station, version, _addresses(wanted.names, version))
    if version is Version.V16:
        if wanted.parts or wanted.criteria:
            raise Invalid("OCPP 1.6 has no components; give `names`, or nothing to read all", place="body/components")
        return [("GetConfiguration", {})]
    if not wanted.parts and not wanted.criteria:
        return [("GetBaseReport", {"requestId": request_id, "reportBase": BASES[wanted.scope]})]
    told = await values_of(work, station.id, [PARTS_LIMIT])
    most = limit(told.get(PARTS_LIMIT.key), default=len(wanted.parts) or 1)
    if len(wanted.parts) > most:
        raise Invalid(f"the station reports at most {most} components at a time", place="body/components")
    payload: dict[str, Any] = {"requestId": request_id}
    if wanted.criteria:
        payload["componentCriteria"] = [CRITERIA[one] for one in wanted.criteria]
    if wanted.parts:
        payload["componentVariable"] = [part.payload() for part in wanted.parts]
    return [("GetReport", payload)]


def _addresses(names: Sequence[str], version: Version) -> list[Address]:
    addresses: dict[str, Address] = {}
    for index, name in enumerate(names):
        address = resolve(name, version)
        if address is None:
            raise Invalid(no_such_name(name, version), place=f"body/names/{index}")
        addresses.setdefault(address.key, address)
    return list(addresses.values())


def no_such_name(name: str, version: Version) -> str:
    """Why a name means nothing to stations of that version."""
    if version is Version.V16:
        return f"«{name[:100]}» does not exist in OCPP 1.6"
    return f"«{name[:100]}» does not exist in {version.value}; write a variable as Component.Variable"


async def _by_name(work: Work, station: Station, version: Version, addresses: list[Address]) -> list[Message]:
    if version is Version.V16:
        limits = await values_of(work, station.id, [KEYS_LIMIT])
        most = limit(limits.get(KEYS_LIMIT.key), default=len(addresses))
        groups = batches(addresses, most)
        return [("GetConfiguration", {"key": [address.name for address in group]}) for group in groups]
    limits = await values_of(work, station.id, [ITEMS_LIMIT, BYTES_LIMIT])
    most = limit(limits.get(ITEMS_LIMIT.key), default=ITEMS_READ)
    bytes_max = limit(limits.get(BYTES_LIMIT.key), default=0, most=BYTES_MAX) or None
    split = payload_batches([(address, address.payload()) for address in addresses], most, bytes_max)
    return [("GetVariables", {"getVariableData": [address.payload() for address in group]}) for group in split]


async def _told(
    runtime: Runtime, report: DeviceReport, commands: Sequence[Command], *, is_report: bool
) -> DeviceReport:
    last = commands[-1]
    if last.outcome is not CommandOutcome.ANSWERED:
        return await _settle(runtime, report, status="not asked", detail=why_unanswered(last))
    if is_report:
        async with runtime.store.reading() as work:
            return await work.session.get_one(DeviceReport, report.id)
    told = [
        one
        for command in commands
        for one in read_message(command.action, command.request, command.payload)
        if isinstance(one, Told)
    ]
    unknown = [one.address.name for one in told if one.is_unknown]
    detail = f"the station does not have: {', '.join(unknown[:UNKNOWN_SHOWN])}" if unknown else None
    count = len(told) - len(unknown)
    return await _settle(runtime, report, status="Accepted", detail=detail, item_count=count, is_complete=True)


async def _settle(runtime: Runtime, report: DeviceReport, **values: Any) -> DeviceReport:
    async with runtime.store.writing() as work:
        return await settle_report(work, report.id, ended_at=work.now, **values)
