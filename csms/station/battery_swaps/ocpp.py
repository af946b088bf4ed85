"""B2: BatterySwap and RequestBatterySwap (2.1, block S)."""

from csms.ocpp.versions import Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.battery_swaps.service import note_answer, note_event
from csms.store import Work


async def battery_swap(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 S01 to S04."""
    await note_event(work, station, payload)
    return {}


ROUTES = (Route(Version.V21, "BatterySwap", battery_swap),)
ANSWERED = (Answered(Version.V21, "RequestBatterySwap", note_answer),)
