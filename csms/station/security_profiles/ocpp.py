"""B10: a higher security profile on the wire, whoever sends it (1.6 ChangeConfiguration; 2.x SetNetworkProfile)."""

from typing import Any

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, AnswerHandler, ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, Guard
from csms.station.information import Station
from csms.station.security_profiles import service
from csms.station.security_profiles.rules import Readiness, asked_profile
from csms.store import Work


def _guard(action: str) -> Guard:
    def concerns(payload: Payload) -> bool:
        return asked_profile(action, payload) is not None

    async def prepare(runtime: Runtime, _version: Version, payload: Payload) -> Readiness:
        service.checked_profile(asked_profile(action, payload))
        return await service.readiness(runtime)

    async def begin(work: Work, command: Command, station: Station, payload: Payload, prepared: Any) -> None:
        await service.begin(work, command, station, asked_profile(action, payload), prepared)

    async def end(work: Work, command: Command, _payload: Payload) -> None:
        await service.end(work, command)

    return Guard(action, concerns, prepare, begin, end)


def _answered(action: str) -> AnswerHandler:
    async def handle(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
        if asked_profile(action, request) is not None:
            await service.answered(work, station, answer)

    return handle


GUARDS = (_guard("ChangeConfiguration"), _guard("SetNetworkProfile"))
ANSWERED = (
    Answered(Version.V16, "ChangeConfiguration", _answered("ChangeConfiguration")),
    Answered(VERSIONS_2, "SetNetworkProfile", _answered("SetNetworkProfile")),
)
