"""B3: CustomerInformation and NotifyCustomerInformation (2.0.1 N09, N10)."""

from typing import Any

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.runtime import Runtime
from csms.station.commands import Command, Guard, check_may_manage
from csms.station.customer_information.service import note_answer, note_part
from csms.station.information import Station
from csms.store import Work


async def notify_customer_information(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 N09.FR.05: a part of the text."""
    await note_part(work, station, payload)
    return {}


def _concerns(_payload: Payload) -> bool:
    return True


async def _prepare(_runtime: Runtime, _version: Version, _payload: Payload) -> None:
    pass  # nothing takes time


async def _begin(work: Work, _command: Command, _station: Station, _payload: Payload, _prepared: Any) -> None:
    check_may_manage(work.actor, "asking for customers' data, or deleting them,")


async def _end(_work: Work, _command: Command, _payload: Payload) -> None:
    pass  # the answer is noted where it arrives


GUARDS = (Guard("CustomerInformation", _concerns, _prepare, _begin, _end),)
ROUTES = (Route(VERSIONS_2, "NotifyCustomerInformation", notify_customer_information),)
ANSWERED = (Answered(VERSIONS_2, "CustomerInformation", note_answer),)
