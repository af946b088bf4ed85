"""S27: Authorize of OCPP 1.6."""

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.tokens.rules import id_tag_info
from csms.station.tokens.service import authorise
from csms.store import Work


async def authorize(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """Say whether the token may charge (OCPP 1.6, 4.1)."""
    verdict = await authorise(work, station, str(payload.get("idTag", "")))
    return {"idTagInfo": id_tag_info(verdict, timestamps.write)}


ROUTES = (Route(Version.V16, "Authorize", authorize),)
