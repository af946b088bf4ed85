"""B2: swaps are asked for, and followed by what the station tells."""

import secrets
from typing import Any, Final

from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, NotFound
from csms.ocpp.reading import integer_of
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.battery_swaps.model import EVENTS, BatterySwap, SwapState
from csms.station.commands import send_for, version_of
from csms.station.information import Station, get_station
from csms.station.tokens import TokenKind, id_token, read_id_token
from csms.store import Work

NUMBER_MAX: Final = 2**31 - 1
BATTERIES_MAX: Final = 50
"""Of one message; more does not fit in a station."""


def swaps_of(station: Station) -> SelectOfScalar[BatterySwap]:
    """The station's swaps."""
    return select(BatterySwap).where(BatterySwap.station_id == station.id)


async def get_swap(work: Work, station: Station, swap_id: int) -> BatterySwap:
    """Raises NotFound, also for another station's."""
    found = (await work.session.exec(swaps_of(station).where(BatterySwap.id == swap_id))).first()
    if found is None:
        raise NotFound(f"{station.identity} has no such battery swap; GET its battery-swaps lists them")
    return found


async def request_swap(
    runtime: Runtime, caller: Caller, identity: str, token: str, kind: TokenKind | None
) -> BatterySwap:
    """Let a driver swap; the row says what came of it. Raises NotFound, and Conflict for an older version."""
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        if version_of(station) is not Version.V21:
            raise Conflict("battery swapping came with OCPP 2.1; this station speaks an older version")
        swap = BatterySwap(
            organisation_id=station.organisation_id,
            station_id=station.id,
            number=secrets.randbelow(NUMBER_MAX) + 1,
            token=token,
            state=SwapState.REQUESTED,
            state_at=work.now,
            batteries_in=[],
            batteries_out=[],
            requested_at=work.now,
            requested_by=caller.name,
        )
        work.session.add(swap)
        await work.session.flush()
        request = {"requestId": swap.number, "idToken": id_token(token, kind, is_21=True)}
    perhaps = "it may have no batteries to swap"
    return await send_for(
        runtime, caller, identity, swap, action="RequestBatterySwap", payload=request, refuse=_refuse, perhaps=perhaps
    )


def _refuse(work: Work, swap: BatterySwap, reason: str) -> None:
    if swap.state is SwapState.REQUESTED:
        swap.state, swap.state_at, swap.reason = SwapState.REFUSED, work.now, reason


async def _find(work: Work, station: ConnectedStation, payload: Payload) -> tuple[int | None, BatterySwap | None]:
    number = integer_of(payload.get("requestId"))
    if number is None:
        return None, None
    query = select(BatterySwap).where(BatterySwap.station_id == station.id, BatterySwap.number == number)
    return number, (await work.session.exec(query)).first()


async def note_answer(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """The station will wait for the driver, or not."""
    _, swap = await _find(work, station, request)
    if swap is None or swap.state is not SwapState.REQUESTED:
        return
    is_taken = answer.get("status") == "Accepted"
    state = SwapState.ACCEPTED if is_taken else SwapState.REFUSED
    reason = None if is_taken else "the station will not: it may have no charged battery"
    work.change(BatterySwap, swap.id, state=state, state_at=work.now, reason=reason)


async def note_event(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """Batteries went in or came out; a swap that began at the station itself is new."""
    number, swap = await _find(work, station, payload)
    state = EVENTS.get(str(payload.get("eventType")))
    if number is None or state is None:
        return
    told = payload.get("batteryData")
    batteries = [one for one in (told if isinstance(told, list) else [])[:BATTERIES_MAX] if isinstance(one, dict)]
    columns: dict[str, Any] = {"state": state, "state_at": work.now, "reason": None}
    columns["batteries_in" if state is SwapState.BATTERIES_IN else "batteries_out"] = batteries
    if swap is not None:
        work.change(BatterySwap, swap.id, **columns)
        return
    token, _ = read_id_token(payload.get("idToken"))
    new: dict[str, Any] = {"batteries_in": [], "batteries_out": [], **columns}
    work.insert(
        BatterySwap,
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=number,
        token=token,
        requested_at=work.now,
        requested_by="the driver, at the station",
        **new,
    )
