"""S15: learning how many items a station takes in a message, before more than one is sent (2.0.1 B05, B06)."""

from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import send, version_of
from csms.station.information import get_station
from csms.station.settings.rules.addresses import Address
from csms.station.settings.service.knowledge import settings_by_key
from csms.station.settings.service.sorting import sort_in_now


async def learn(
    runtime: Runtime, caller: Caller, identity: str, address: Address, *, timeout_s: float | None = None
) -> None:
    """Read a variable of a 2.x station that was never told of; its answer, whatever it is, is remembered."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        is_known = bool(await settings_by_key(work, station.id, [address.key]))
    if is_known or version_of(station) is Version.V16:
        return
    await send(runtime, caller, identity, "GetVariables", {"getVariableData": [address.payload()]}, timeout_s=timeout_s)
    await sort_in_now(runtime, station.id)
