"""S27: what stations answer about their lists, whoever asked."""

from typing import Any

from csms.ocpp.reading import integer_of
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload
from csms.station.local_lists.model import LocalList
from csms.station.local_lists.service.keeping import SOON, find_list
from csms.store import Work

_ALL = (Version.V16, *VERSIONS_2)
NO_LIST = -1
"""OCPP 1.6, 5.10: the station does not support lists."""


def _number(payload: Payload) -> int | None:
    return integer_of(payload.get("listVersion", payload.get("versionNumber")))


async def list_sent(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.15; 2.0.1 D01: what the station took. What it now holds is known only to whoever sent it."""
    version = _number(request)
    if version is None or answer.get("status") != "Accepted":
        return
    row = await find_list(work, station.id)
    is_foreign = row is None or row.sending_until is None or row.sending_until <= work.now
    columns: dict[str, Any] = {"snapshot_id": None, "is_supported": True}
    _note(work, station, row, version, columns, is_foreign=is_foreign)


async def version_told(work: Work, station: ConnectedStation, _request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.10; 2.0.1 D02: compared with what the station should have."""
    version = _number(answer)
    if version is None:
        return
    row = await find_list(work, station.id)
    if version == NO_LIST:
        _note(work, station, row, 0, {"is_supported": False, "due_at": None, "snapshot_id": None}, is_foreign=False)
        return
    is_as_known = row is not None and version == row.version
    columns = {"is_supported": True} if is_as_known else {"is_supported": True, "snapshot_id": None}
    _note(work, station, row, version, columns, is_foreign=not is_as_known)


def _note(  # the parts of one row
    work: Work,
    station: ConnectedStation,
    row: LocalList | None,
    version: int,
    columns: dict[str, Any],
    *,
    is_foreign: bool,
) -> None:
    """`is_foreign`: it is another list than ours, so that it is looked at soon, if it is kept at all."""
    columns |= {"station_version": version, "station_version_at": work.now}
    if is_foreign:
        columns |= {"due_at": work.now + SOON}
        if row is None or row.is_in_step or row.in_step_changed_at is None:
            columns |= {"is_in_step": False, "in_step_changed_at": work.now}
    if row is not None:
        work.change(LocalList, row.id, **columns)
        return
    usual = LocalList(organisation_id=station.organisation_id, station_id=station.id).model_dump()
    work.insert(LocalList, **usual | columns)


ANSWERED = (
    Answered(_ALL, "SendLocalList", list_sent),
    Answered(_ALL, "GetLocalListVersion", version_told),
)
