"""B2: grid controls are set, read back, cleared, and followed as they start and stop."""

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import uuid4

from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.schema import check
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, send_for, version_of, why_unanswered
from csms.station.der_controls.model import DerAlarm, DerControl
from csms.station.der_controls.rules import LIVE, NUMBER_MAX, PRESENT, Control, ControlState, set_request
from csms.station.information import Station, get_station
from csms.store import Work

CONTROLS_MAX: Final = 500
"""Controls of one station that are kept as live."""
_GONE: Final = "the station no longer names it"
_NO_RESOURCE: Final = "it may be no grid resource"


def controls_of(station: Station, states: Sequence[ControlState] = ()) -> SelectOfScalar[DerControl]:
    """The station's controls in any of these states; all of them if none is given."""
    query = select(DerControl).where(DerControl.station_id == station.id)
    return query.where(col(DerControl.state).in_(states)) if states else query


def alarms_of(station: Station) -> SelectOfScalar[DerAlarm]:
    """The station's alarms."""
    return select(DerAlarm).where(DerAlarm.station_id == station.id)


async def get_control(work: Work, station: Station, row_id: int) -> DerControl:
    """Raises NotFound, also for another station's."""
    found = (await work.session.exec(controls_of(station).where(DerControl.id == row_id))).first()
    if found is None:
        raise NotFound(f"{station.identity} has no such control; GET its der-controls lists them")
    return found


def _check_version(station: Station) -> None:
    if version_of(station) is not Version.V21:
        raise Conflict("grid controls came with OCPP 2.1; this station speaks an older version")


async def install(
    runtime: Runtime, caller: Caller, identity: str, control_type: str, values: Payload, *, is_default: bool
) -> DerControl:
    """Set a control; the row says what came of it.

    Raises NotFound, Conflict (an older version, or too many controls) and Invalid (values that break the schema).
    """
    control = Control(str(uuid4()), control_type, is_default, values)
    request = set_request(control)
    breach = check(Version.V21, "SetDERControl", "request", request)
    if breach is not None:
        raise Invalid(f"{control_type}: {breach}", place="body/values")
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        _check_version(station)
        live = (await work.session.exec(controls_of(station, LIVE).limit(CONTROLS_MAX))).all()
        if len(live) >= CONTROLS_MAX:
            raise Conflict(f"{CONTROLS_MAX} controls are live on this station already; clear some first")
        row = DerControl(
            organisation_id=station.organisation_id,
            station_id=station.id,
            **_columns(control),
            state=ControlState.REQUESTED,
            state_at=work.now,
            created_at=work.now,
            created_by=caller.name,
        )
        work.session.add(row)
        await work.session.flush()
    return await send_for(
        runtime, caller, identity, row, action="SetDERControl", payload=request, refuse=_refuse, perhaps=_NO_RESOURCE
    )


def _columns(control: Control) -> dict[str, Any]:
    return {
        "control_id": control.control_id,
        "control_type": control.control_type,
        "is_default": control.is_default,
        "values": control.values,
        "starts_at": control.starts_at,
        "duration_s": control.duration_s,
    }


def _refuse(work: Work, row: DerControl, reason: str) -> None:
    if row.state is ControlState.REQUESTED:
        row.state, row.state_at, row.reason = ControlState.REFUSED, work.now, reason


async def clear(runtime: Runtime, caller: Caller, identity: str, row_id: int) -> DerControl:
    """Clear a control. Raises NotFound, and Conflict for one that is not there or that the station keeps."""
    async with runtime.store.reading(caller) as work:
        row = await get_control(work, await get_station(work, identity), row_id)
    if row.state not in LIVE:
        raise Conflict(f"this control is {row.state} already; there is nothing to clear")
    request = {"isDefault": row.is_default, "controlId": row.control_id}
    command = await send(runtime, caller, identity, "ClearDERControl", request)
    if command.outcome is not CommandOutcome.ANSWERED:
        raise Conflict(f"the control is still there: {why_unanswered(command, _NO_RESOURCE)}")
    async with runtime.store.reading(caller) as work:
        return await work.session.get_one(DerControl, row_id)


async def refresh(runtime: Runtime, caller: Caller, identity: str) -> Command:
    """Have the station tell all its controls; they come as parts of a report, after the answer."""
    async with runtime.store.reading(caller) as work:
        _check_version(await get_station(work, identity))
    request = {"requestId": secrets.randbelow(NUMBER_MAX) + 1}
    return await send(runtime, caller, identity, "GetDERControl", request)


# In the broker's units of work


async def find(work: Work, station: ConnectedStation, control_ids: Iterable[str]) -> dict[str, DerControl]:
    """The station's controls of those ids."""
    query = select(DerControl).where(
        DerControl.station_id == station.id, col(DerControl.control_id).in_(list(control_ids))
    )
    return {row.control_id: row for row in await work.session.exec(query)}


def settle(work: Work, row: DerControl, state: ControlState, **columns: Any) -> None:
    """Note what has become of a control."""
    work.change(DerControl, row.id, state=state, state_at=work.now, **columns)


def add_told(work: Work, station: ConnectedStation, control: Control, by: str, told_in: int | None = None) -> None:
    """Note a control that the station has and that was not set through here."""
    work.insert(
        DerControl,
        organisation_id=station.organisation_id,
        station_id=station.id,
        **_columns(control),
        state=ControlState.SUPERSEDED if control.is_superseded else ControlState.INSTALLED,
        state_at=work.now,
        created_at=work.now,
        created_by=by,
        told_in=told_in,
    )


async def supersede(work: Work, station: ConnectedStation, told: object) -> None:
    """Mark the controls whose place another one takes."""
    ids = [str(one) for one in told[:CONTROLS_MAX]] if isinstance(told, list) else []
    for row in (await find(work, station, ids)).values() if ids else ():
        settle(work, row, ControlState.SUPERSEDED)


async def note_report(work: Work, station: ConnectedStation, controls: Sequence[Control], request_id: int) -> None:
    """Bring rows in line with a part of a report."""
    known = await find(work, station, [one.control_id for one in controls])
    present = select(DerControl.id).where(DerControl.station_id == station.id, col(DerControl.state).in_(LIVE))
    room = CONTROLS_MAX - len((await work.session.exec(present.limit(CONTROLS_MAX))).all())
    for one in {one.control_id: one for one in controls}.values():
        row = known.get(one.control_id)
        if row is None and room > 0:
            room -= 1
            add_told(work, station, one, "the station", request_id)
        elif row is not None:
            state = ControlState.SUPERSEDED if one.is_superseded else ControlState.INSTALLED
            if row.state is ControlState.ACTIVE and not one.is_superseded:
                state = ControlState.ACTIVE
            settle(work, row, state, values=one.values, told_in=request_id, reason=None)


async def forget_untold(work: Work, station_id: int, request_id: int) -> None:
    """The report is whole: what it did not name is gone."""
    await work.session.exec(
        update(DerControl)
        .where(
            col(DerControl.station_id) == station_id,
            col(DerControl.state).in_(PRESENT),
            col(DerControl.told_in).is_distinct_from(request_id),
        )
        .values(state=ControlState.GONE, state_at=work.now, reason=_GONE)
    )


async def cleared(work: Work, station: ConnectedStation, request: Payload) -> None:
    """The station has cleared what the request names: one control, all of a type, or all defaults or schedules."""
    query = select(DerControl).where(
        DerControl.station_id == station.id,
        col(DerControl.state).in_(LIVE),
        col(DerControl.is_default).is_(request.get("isDefault") is True),
    )
    for name, column in (("controlId", DerControl.control_id), ("controlType", DerControl.control_type)):
        if request.get(name) is not None:
            query = query.where(col(column) == str(request[name]))
    for row in (await work.session.exec(query.limit(CONTROLS_MAX))).all():
        settle(work, row, ControlState.CLEARED, reason=None)
