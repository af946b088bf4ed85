"""S15: asking a station for a message, over HTTP."""

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from csms.exceptions import Invalid
from csms.ids import Id
from csms.ocpp.versions import Version
from csms.rights import Area
from csms.station.commands import Command, CommandOutcome, Timeout, send, version_of
from csms.station.information import StationDep, StationId, get_station
from csms.station.triggers.rules import (
    AT_CHARGE_POINTS,
    TriggeredMessage,
    possible,
    status_needs_connector,
    trigger_request,
)
from csms.web import CallerDep, RuntimeDep, Shown, Strict, behind, may_read, may_write

router = APIRouter()

NUMBER_MAX: Final = 1000
ACTIONS: Final = ("TriggerMessage", "ExtendedTriggerMessage")


class TriggerOutcome(StrEnum):
    """Whether the station will send it."""

    ACCEPTED = "accepted"
    """It will; the message follows by itself and is found where such messages are."""
    REJECTED = "rejected"
    """It knows the message and will not send it now."""
    NOT_IMPLEMENTED = "not_implemented"
    """It cannot."""
    NOT_ANSWERED = "not_answered"
    NOT_SENT = "not_sent"


_OUTCOMES: Final = {
    "accepted": TriggerOutcome.ACCEPTED,
    "rejected": TriggerOutcome.REJECTED,
    "notimplemented": TriggerOutcome.NOT_IMPLEMENTED,
}
_DETAILS: Final = {
    TriggerOutcome.ACCEPTED: "the station will send it",
    TriggerOutcome.REJECTED: "the station will not send it now",
    TriggerOutcome.NOT_IMPLEMENTED: "the station cannot send this on request",
}


class Trigger(Strict):
    """What the station shall send, and of which charge point."""

    message: TriggeredMessage = Field(examples=["heartbeat"])
    charge_point_number: int | None = Field(
        None, ge=0, le=NUMBER_MAX, description="for status, meter_values and transaction; left out: of all"
    )
    connector_number: int | None = Field(
        None, ge=1, le=NUMBER_MAX, description="2.x, for status: which of the charge point's connectors; 1 if left out"
    )
    custom: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = Field(
        None, description="2.1: the vendor's own message, with `custom`"
    )


class TriggerShown(Shown):
    """Whether the station will send it."""

    outcome: TriggerOutcome
    detail: str = Field(description="in words", examples=["the station will send it"])
    action: str = Field(description="the OCPP action that asked for it", examples=["TriggerMessage"])
    command_id: Id


class TriggersShown(Shown):
    """What the station may be asked to send, by its version of OCPP."""

    messages: list[TriggeredMessage]


@router.get(
    "/stations/{station_id}/trigger",
    dependencies=[may_read()],
    openapi_extra=behind(*ACTIONS),
    summary="What the station may be asked to send",
)
async def list_triggers(station: StationDep) -> TriggersShown:
    """By its version of OCPP; whether this station can is known when it was asked."""
    return TriggersShown(messages=possible(version_of(station)))


@router.post(
    "/stations/{station_id}/trigger",
    dependencies=[may_write(Area.OPERATION)],
    responses={
        409: {"description": "the station is rejected and must not be sent anything"},
        422: {"description": "the station's version of OCPP has no such message, or it is not of a charge point"},
    },
    openapi_extra=behind(*ACTIONS),
    summary="Ask the station to send a message now",
)
async def trigger(
    station_id: StationId, body: Trigger, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> TriggerShown:
    """Works also while the station waits to be accepted. The message itself comes by itself after the answer."""
    async with runtime.store.reading(caller) as work:
        version = version_of(await get_station(work, station_id))
    action, payload = _request(version, body)
    return _shown(await send(runtime, caller, station_id, action, payload, timeout_s=timeout_s))


def _request(version: Version, body: Trigger) -> tuple[str, dict[str, Any]]:
    if body.charge_point_number is not None and body.message not in AT_CHARGE_POINTS:
        raise Invalid(f"{body.message} is of the station as a whole", place="body/charge_point_number")
    if body.message is TriggeredMessage.CUSTOM and body.custom is None:
        raise Invalid("name the vendor's message", place="body/custom")
    connector = body.connector_number
    if connector is None and status_needs_connector(version, body.message):
        connector = 1
    request = trigger_request(
        version, body.message, number=body.charge_point_number, connector=connector, custom=body.custom
    )
    if request is None:
        words = ", ".join(possible(version))
        raise Invalid(f"{version.value} has no {body.message}; it has {words}", place="body/message")
    return request


def _shown(command: Command) -> TriggerShown:
    if command.outcome is CommandOutcome.ANSWERED:
        status = str((command.payload or {}).get("status"))
        outcome = _OUTCOMES.get(status.lower(), TriggerOutcome.REJECTED)
        detail = _DETAILS[outcome]
    elif command.outcome is CommandOutcome.REFUSED:
        code = (command.error or {}).get("code")
        outcome, detail = TriggerOutcome.NOT_IMPLEMENTED, f"the station refused {command.action}: {code}"
    else:
        is_unsent = command.outcome in (CommandOutcome.OFFLINE, CommandOutcome.EXPIRED)
        outcome = TriggerOutcome.NOT_SENT if is_unsent else TriggerOutcome.NOT_ANSWERED
        detail = command.reason or "no answer"
    return TriggerShown(outcome=outcome, detail=detail, action=command.action, command_id=command.id)
