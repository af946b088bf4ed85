"""B3: commands over HTTP: one documented operation for every action, short forms for the usual ones, the log."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from csms.exceptions import Invalid
from csms.ids import Id
from csms.ocpp.actions import ACTIONS, to_station
from csms.ocpp.schema import schema_of
from csms.ocpp.versions import Version
from csms.rights import Area, Caller
from csms.runtime import Runtime
from csms.station.commands import rules
from csms.station.commands.examples import examples_of, purpose_of
from csms.station.commands.model import Command, CommandOutcome
from csms.station.commands.rules import RestartKind
from csms.station.commands.service import (
    TIMEOUT_S_MAX,
    CommandFilter,
    about_charge,
    charges_begun_by,
    commands_of,
    get_command,
    send,
    start_charge,
    version_of,
    wish,
)
from csms.station.commands.service import Start as StartWanted
from csms.station.information import StationDep, StationId
from csms.station.tokens import TokenKind
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=1000, description="the charge point's number (OCPP 1.6: the connector's)")]
Timeout = Annotated[
    float | None,
    Query(
        ge=1, le=TIMEOUT_S_MAX, description="seconds to wait for each answer; the installation's default if left out"
    ),
]
_CAN_SEND: Final = [may_write(Area.OPERATION)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "your role may not operate stations"},
    404: {"description": "no such station, or no such action in its OCPP version (the detail lists what there is)"},
    409: {"description": "the station may not be sent this now"},
    422: {"description": "the body breaks the action's schema; `errors` has its place: `body` and a JSON pointer"},
}


class CallErrorShown(Shown):
    """The station's CALLERROR, in the words of its OCPP version."""

    code: str = Field(examples=["NotSupported"])
    description: str
    details: dict[str, Any]


class CommandShown(Shown):
    """A command and what came of it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    action: str = Field(examples=["Reset"])
    request: dict[str, Any] = Field(description="what was sent; secrets are masked", examples=[{"type": "Soft"}])
    outcome: CommandOutcome = Field(examples=[CommandOutcome.ANSWERED])
    payload: dict[str, Any] | None = Field(description="the station's answer", examples=[{"status": "Accepted"}])
    error: CallErrorShown | None = Field(description="the station's CALLERROR, when `refused`", examples=[None])
    reason: str | None = Field(description="why there is no answer", examples=[None])
    timeout_s: float = Field(examples=[30.0])
    sent_at: datetime = Field(description="when it was handed over to be sent")
    answered_at: datetime | None = Field(description="when the outcome was known; null while `waiting`")
    sent_by: str = Field(description="name of the person or key", examples=["operations desk"])
    charge_log_id: Id | None = Field(
        None, description="the charge that a remote start led to (OCPP 2.x); null as long as there is none"
    )


class SaidShown(Shown):
    """What the station said when it was asked."""

    outcome: CommandOutcome
    status: str | None = Field(description="the station's word", examples=["Accepted"])
    reason: str | None = Field(description="why not, in plain words")

    @classmethod
    def of(cls, command: Command, **more: Any) -> Self:
        """`more`: in place of what the command says, or fields that a feature adds."""
        word = (command.payload or {}).get("status")
        said = {"outcome": command.outcome, "status": None if word is None else str(word), "reason": command.reason}
        return cls.model_validate(said | more)


class ActionShown(Shown):
    """An action that can be sent to the station."""

    action: str = Field(examples=["Reset"])
    purpose: str = Field(description="in words", examples=["Restart the station"])
    profile: str = Field(description="the OCPP feature profile or functional block", examples=["Core"])
    request_schema: dict[str, Any] = Field(description="JSON Schema (draft 4) of the body")
    answer_schema: dict[str, Any] = Field(description="JSON Schema (draft 4) of the answer's payload")
    example: dict[str, Any] | None = Field(description="a valid body")


class ActionsShown(Shown):
    """Everything that can be sent to the station."""

    version: Version
    actions: list[ActionShown]


class Restart(Strict):
    kind: RestartKind = Field(
        RestartKind.SOFT,
        description=(
            "`soft` ends charges in order and reboots; `hard` reboots at once (OCPP 1.6; in 2.x as `soft`); "
            "`when_idle` waits until nothing charges (OCPP 2.x)"
        ),
    )
    charge_point_number: int | None = Field(
        None, ge=1, le=1000, description="only this charge point, where the station can (OCPP 2.x)"
    )


class Start(Strict):
    token: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~ ]+$",
        description="who charges: 20 characters at most in OCPP 1.6, 36 in 2.0.1, 255 in 2.1",
        examples=["04A2B3C4D5"],
    )
    kind: TokenKind | None = Field(
        None, description="as it is registered, else `central`; OCPP 1.6 does not tell", examples=["iso14443"]
    )


class Availability(Strict):
    state: Literal["operative", "inoperative"] = Field(examples=["inoperative"])
    connector_number: int | None = Field(
        None, ge=1, le=1000, description="only this connector of the charge point (OCPP 2.x)"
    )


class RunningCost(Strict):
    total_cost: float = Field(ge=0, le=1e9, description="in the currency of the station's tariff", examples=[3.75])


async def _filter(
    action: Annotated[list[str] | None, Query(max_length=30, description="one or several actions")] = None,
    outcome: Annotated[list[CommandOutcome] | None, Query(max_length=10, description="one or several")] = None,
) -> CommandFilter:
    return CommandFilter(frozenset(action or ()), frozenset(outcome or ()))


def _shown(command: Command, identity: str, charge_log_id: int | None = None) -> CommandShown:
    fields = command.model_dump(exclude={"station_id"})
    return CommandShown.model_validate({**fields, "station_id": identity, "charge_log_id": charge_log_id})


async def _body(request: Request) -> Any:
    """The OCPP payload, read as strictly as frames are: no NaN, no lone surrogates, no endless nesting."""
    text = await request.body()
    try:
        return orjson.loads(text or b"{}")
    except ValueError as error:
        raise Invalid(f"the body is no JSON: {error}", place="body") from error


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to the station of the path as the caller, with the time allowed by the query."""

    runtime: Runtime
    caller: Caller
    station_id: str
    timeout_s: float | None

    async def send(self, action: str, payload: Any) -> CommandShown:
        command = await send(self.runtime, self.caller, self.station_id, action, payload, timeout_s=self.timeout_s)
        return _shown(command, self.station_id)

    async def wish(self, say: Callable[[Version], rules.Wish]) -> CommandShown:
        command = await wish(self.runtime, self.caller, self.station_id, say, timeout_s=self.timeout_s)
        return _shown(command, self.station_id)

    async def start(self, wanted: StartWanted) -> CommandShown:
        command = await start_charge(self.runtime, self.caller, self.station_id, wanted, timeout_s=self.timeout_s)
        return _shown(command, self.station_id)


async def _sender(station_id: StationId, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None) -> Sender:
    return Sender(runtime, caller, station_id, timeout_s)


SenderDep = Annotated[Sender, Depends(_sender)]


def _endpoint(action: str) -> Callable[..., Awaitable[CommandShown]]:
    async def send_action(request: Request, sender: SenderDep) -> CommandShown:
        return await sender.send(action, await _body(request))

    return send_action


def _body_of(version: Version, action: str) -> dict[str, Any]:
    """The OpenAPI description of the body: the action's own schema, which needs no other document."""
    source = schema_of(version, action, "request")
    content = {"application/json": {"schema": source}}
    return {"requestBody": {"required": bool(source.get("required")), "content": content}}


def _shown_for(versions: Sequence[Version]) -> str:
    """Which version's schema is shown, and who else has the action."""
    shown, *others = (version.removeprefix("ocpp") for version in versions)
    if not others:
        return f"Only OCPP {shown} has it; its schema is shown."
    return (
        f"The schema shown is that of OCPP {shown}; {' and '.join(others)} have it with their own (`command-actions`)."
    )


def _add_operation(name: str, versions: Sequence[Version]) -> None:
    profile = ACTIONS[versions[0]][name].profile
    router.add_api_route(
        f"/stations/{{station_id}}/commands/{name}",
        _endpoint(name),
        methods=["POST"],
        operation_id=f"send_{name}",
        name=f"send_{name}",
        description=(
            f"Sends `{name}` (profile {profile}) and waits for the outcome. The body is the OCPP payload. "
            f"{_shown_for(versions)}"
        ),
        response_description="What came of it: see `outcome`",
        dependencies=_CAN_SEND,
        responses=_PROBLEMS,
        openapi_extra=_body_of(versions[0], name) | behind(name),
    )


_VERSIONS: Final = {
    name: [version for version in Version if name in ACTIONS[version]]
    for name in sorted({action.name for version in Version for action in to_station(version)})
}
"""Which versions have an action that the CSMS may send."""

for _name, _versions in _VERSIONS.items():
    _add_operation(_name, _versions)


def _describe(operation: dict[str, Any]) -> None:
    """What the action is for, and an example of it, as the features say that own it; all are known by then."""
    name = operation["operationId"].removeprefix("send_")
    if name in _VERSIONS:
        operation["summary"] = f"{name}: {purpose_of(name)}"
        if (example := examples_of(_VERSIONS[name][0]).get(name)) is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = example


DESCRIBES = (_describe,)


@router.post(
    "/stations/{station_id}/commands/{action}",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    summary="Send any action of the station's OCPP version",
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}, "example": {"type": "OnIdle"}}}}
    },
)
async def send_any(
    action: Annotated[str, Path(max_length=64, description="see `command-actions`", examples=["Reset"])],
    request: Request,
    sender: SenderDep,
) -> CommandShown:
    """The general form of the operations above."""
    return await sender.send(action, await _body(request))


@router.get(
    "/stations/{station_id}/commands",
    dependencies=[may_read()],
    responses={404: {"description": "no such station"}},
    summary="The command log, newest first",
)
async def list_commands(
    station: StationDep,
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    wanted: Annotated[CommandFilter, Depends(_filter)],
) -> Page[CommandShown]:
    query = commands_of(station, wanted, start=period.start, end=period.end)
    rows, next_cursor = await page_of(work, query, page)
    begun = await charges_begun_by(work, station.id, rows)
    return Page(items=[_shown(row, station.identity, begun.get(row.id)) for row in rows], next_cursor=next_cursor)


@router.get(
    "/stations/{station_id}/commands/{command_id}",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or command"}},
    summary="One command and what came of it",
)
async def show_command(command_id: Id, station: StationDep, work: Reading) -> CommandShown:
    command = await get_command(work, station, command_id)
    begun = await charges_begun_by(work, station.id, [command])
    return _shown(command, station.identity, begun.get(command.id))


@router.get(
    "/stations/{station_id}/command-actions",
    dependencies=[may_read()],
    responses={404: {"description": "no such station"}},
    summary="What can be sent to the station, with schemas and examples",
)
async def list_actions(station: StationDep) -> ActionsShown:
    version = version_of(station)
    actions = [
        ActionShown(
            action=action.name,
            purpose=purpose_of(action.name),
            profile=action.profile,
            request_schema=schema_of(version, action.name, "request"),
            answer_schema=schema_of(version, action.name, "response"),
            example=examples_of(version).get(action.name),
        )
        for action in to_station(version)
    ]
    return ActionsShown(version=version, actions=actions)


@router.post(
    "/stations/{station_id}/restart",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    summary="Restart the station",
    openapi_extra=behind("Reset"),
)
async def restart(body: Restart, sender: SenderDep) -> CommandShown:
    return await sender.wish(lambda version: rules.restart(version, body.kind, body.charge_point_number))


@router.post(
    "/stations/{station_id}/charge-points/{number}/start",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    summary="Start charging at a charge point",
    openapi_extra=behind("RemoteStartTransaction", "RequestStartTransaction"),
)
async def start_charging(body: Start, number: Number, sender: SenderDep) -> CommandShown:
    """`Accepted` means that the station will try; the charge log appears when it has started.

    With OCPP 2.x, `charge_log_id` of the command then says which one it is.
    """
    return await sender.start(StartWanted(number, body.token, body.kind))


@router.post(
    "/stations/{station_id}/charge-points/{number}/unlock",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    summary="Unlock the cable of a charge point",
    openapi_extra=behind("UnlockConnector"),
)
async def unlock(
    number: Number,
    sender: SenderDep,
    connector_number: Annotated[int, Query(ge=1, le=1000, description="which of its connectors (OCPP 2.x)")] = 1,
) -> CommandShown:
    return await sender.wish(lambda version: rules.unlock(version, number, connector_number))


@router.post(
    "/stations/{station_id}/charge-points/{number}/availability",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    summary="Take a charge point out of service, or put it back",
    openapi_extra=behind("ChangeAvailability"),
)
async def change_availability(
    body: Availability,
    number: Annotated[int, Path(ge=0, le=1000, description="the charge point's number; 0 is the whole station")],
    sender: SenderDep,
) -> CommandShown:
    """A charge point that is charging answers `Scheduled` and changes when the charge has ended."""
    is_operative = body.state == "operative"
    return await sender.wish(
        lambda version: rules.availability(version, number, body.connector_number, is_operative=is_operative)
    )


_ABOUT_CHARGE: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "your role may not operate stations"},
    404: {"description": "no such charge"},
    409: {"description": "the charge has ended already, or the station's OCPP version cannot do this"},
}


@router.post(
    "/charge-logs/{charge_log_id}/stop",
    dependencies=_CAN_SEND,
    responses=_ABOUT_CHARGE,
    summary="Stop a running charge",
    openapi_extra=behind("RemoteStopTransaction", "RequestStopTransaction"),
)
async def stop_this_charge(
    charge_log_id: Annotated[Id, Path()], runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> CommandShown:
    """`Accepted` means that the station will stop; the charge log ends when it has."""
    return _shown(*await about_charge(runtime, caller, charge_log_id, rules.stop, timeout_s=timeout_s))


@router.post(
    "/charge-logs/{charge_log_id}/ask-status",
    dependencies=_CAN_SEND,
    responses=_ABOUT_CHARGE,
    summary="Ask the station whether a charge goes on",
    openapi_extra=behind("GetTransactionStatus"),
)
async def ask_status(
    charge_log_id: Annotated[Id, Path()], runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> CommandShown:
    """OCPP 2.x. The answer, also whether messages of the charge wait to be sent, is `status_told` of the charge log."""
    said = rules.transaction_status
    return _shown(*await about_charge(runtime, caller, charge_log_id, said, must_run=False, timeout_s=timeout_s))


@router.post(
    "/charge-logs/{charge_log_id}/cost",
    dependencies=_CAN_SEND,
    responses=_ABOUT_CHARGE,
    summary="Tell the station what a running charge has cost so far",
    openapi_extra=behind("CostUpdated"),
)
async def tell_cost(
    charge_log_id: Annotated[Id, Path()],
    body: RunningCost,
    runtime: RuntimeDep,
    caller: CallerDep,
    timeout_s: Timeout = None,
) -> CommandShown:
    """OCPP 2.x; stations with a display show it. What was told last is in the charge log's `cost_told`."""

    def say(version: Version, transaction_id: str) -> rules.Wish:
        return rules.running_cost(version, transaction_id, body.total_cost)

    return _shown(*await about_charge(runtime, caller, charge_log_id, say, timeout_s=timeout_s))
