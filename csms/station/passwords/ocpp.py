"""B10: the new password on the wire (1.6 security whitepaper A01: AuthorizationKey; 2.0.1 A01: BasicAuthPassword)."""

from typing import Any

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, AnswerHandler, ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, Guard
from csms.station.information import Station
from csms.station.passwords import service
from csms.station.passwords.rules import names_password
from csms.store import Work


def _guard(action: str) -> Guard:
    def concerns(payload: Payload) -> bool:
        return names_password(action, payload)

    async def prepare(runtime: Runtime, version: Version, payload: Payload) -> str:
        return await service.prepare(runtime, version, action, payload)

    async def begin(work: Work, command: Command, station: Station, _payload: Payload, prepared: Any) -> None:
        await service.begin(work, command, station, prepared)

    async def end(work: Work, command: Command, _payload: Payload) -> None:
        await service.end(work, command)

    return Guard(action, concerns, prepare, begin, end)


def _answered(action: str) -> AnswerHandler:
    async def handle(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
        if names_password(action, request):
            await service.answered(work, station, action, answer)

    return handle


GUARDS = (_guard("ChangeConfiguration"), _guard("SetVariables"), _guard("SetNetworkProfile"))
ANSWERED = (
    Answered(Version.V16, "ChangeConfiguration", _answered("ChangeConfiguration")),
    Answered(VERSIONS_2, "SetVariables", _answered("SetVariables")),
    Answered(VERSIONS_2, "SetNetworkProfile", _answered("SetNetworkProfile")),
)
