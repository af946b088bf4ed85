"""S25: dynamic profiles of OCPP 2.1 (K28): their figures change while they are in force."""

from csms.exceptions import Conflict, Invalid
from csms.ocpp import timestamps
from csms.rights import Caller
from csms.routing import Payload
from csms.runtime import Runtime
from csms.station.charging_profiles.model import INSTALLED
from csms.station.charging_profiles.rules.profile import Kind
from csms.station.charging_profiles.service.known import get_profile
from csms.station.charging_profiles.service.telling import with_figures
from csms.station.commands import CommandOutcome, send
from csms.station.information import get_station


async def change_figures(
    runtime: Runtime, caller: Caller, identity: str, row_id: int, update: Payload, *, is_sent: bool
) -> None:
    """Send new figures, or keep them until the station pulls them.

    Raises NotFound, Invalid without any figure, Conflict for a profile that is not dynamic or not installed, and
    where the station did not take them.
    """
    if not update:
        raise Invalid("give at least one figure", place="body")
    async with runtime.store.writing(caller) as work:
        row = await get_profile(work, await get_station(work, identity), row_id)
        if row.kind is not Kind.DYNAMIC:
            raise Conflict("only a dynamic profile can be changed while it is in force; set a new one in its place")
        if row.state not in INSTALLED:
            raise Conflict(f"this profile is {row.state}; the station does not have it")
        if not is_sent:
            row.payload = with_figures(row.payload, update, timestamps.write(work.now))
            return
        request = {"chargingProfileId": row.profile_id, "scheduleUpdate": update}
    command = await send(runtime, caller, identity, "UpdateDynamicSchedule", request)
    answer = command.payload or {}
    if command.outcome is not CommandOutcome.ANSWERED or answer.get("status") != "Accepted":
        why = command.reason or (command.error or {}).get("description") or answer.get("status") or "no answer"
        raise Conflict(f"the station did not take the new figures ({why}); the old ones stay")
