"""S25: charges that go before others (OCPP 2.1 K22)."""

from typing import Any, Final

from sqlmodel import select

from csms.exceptions import Conflict
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.charging_profiles.model import PriorityCharge
from csms.station.charging_profiles.service.known import running_at, running_charges, transaction_of
from csms.station.charging_profiles.service.storing import tell
from csms.station.commands import Command, send
from csms.station.information import get_station
from csms.store import Work

ID_CHARS_MAX: Final = 255


async def give_priority(runtime: Runtime, caller: Caller, identity: str, number: int, *, is_active: bool) -> Command:
    """Let the charge that runs there go before others, or not any more. Raises NotFound, Conflict without a charge."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        log = await running_at(work, station.id, number)
        if log is None:
            raise Conflict(f"nothing charges at charge point {number} now")
        request = {"transactionId": transaction_of(log), "activate": is_active}
    return await send(runtime, caller, identity, "UsePriorityCharging", request)


async def priority_changed(
    work: Work, station: ConnectedStation, transaction_id: Any, *, is_active: bool, is_own_wish: bool
) -> None:
    """Note it for the charge point where that transaction runs; of others nothing is kept."""
    if not isinstance(transaction_id, str) or len(transaction_id) > ID_CHARS_MAX:
        return
    logs = await running_charges(work, station.id)
    log = next((one for one in logs if transaction_of(one) == transaction_id), None)
    if log is None:
        return
    number = log.charge_point_number
    columns = {
        "transaction_id": transaction_id,
        "is_active": is_active,
        "changed_at": work.now,
        "is_own_wish": is_own_wish,
    }
    query = select(PriorityCharge.id).where(
        PriorityCharge.station_id == station.id, PriorityCharge.charge_point_number == number
    )
    found = (await work.session.exec(query)).first()
    if found is not None:
        work.change(PriorityCharge, found, **columns)
    else:
        owned = {"organisation_id": station.organisation_id, "station_id": station.id}
        work.insert(PriorityCharge, **owned, charge_point_number=number, **columns)
    tell(work, station, number)


async def priority_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """UsePriorityCharging was answered."""
    if answer.get("status") == "Accepted":
        is_active = request.get("activate") is True
        await priority_changed(work, station, request.get("transactionId"), is_active=is_active, is_own_wish=False)
