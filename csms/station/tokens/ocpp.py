"""S27: Authorize of all versions, and the news that a token has changed."""

from dataclasses import replace

from csms.ocpp import timestamps
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Hear, Payload, Route
from csms.station.tokens.rules import id_tag_info, id_token_info, read_id_token, with_chain
from csms.station.tokens.service import ContractCheck, authorise, heard, load
from csms.station.tokens.service.judging import CHANGED, POLICY_CHANGED
from csms.store import Work


async def authorize(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """Say whether the token may charge (OCPP 1.6, 4.1)."""
    verdict = await authorise(work, station, str(payload.get("idTag", "")))
    return {"idTagInfo": id_tag_info(verdict, timestamps.write)}


async def authorize_2(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1, C01 to C07: the token, and the certificate of a vehicle's contract if the station sent one."""
    uid, kind = read_id_token(payload.get("idToken"))
    verdict = await authorise(work, station, uid, kind=kind)
    is_21 = station.version is Version.V21
    hashes, certificate = payload.get("iso15118CertificateHashData"), payload.get("certificate")
    if not hashes and not certificate:
        return {"idTokenInfo": id_token_info(verdict, timestamps.write, is_21=is_21)}
    word, status = with_chain(verdict.status, station.recall(ContractCheck).take())
    info = id_token_info(replace(verdict, status=status), timestamps.write, is_21=is_21)
    return {"idTokenInfo": info, "certificateStatus": word}


ROUTES = (
    Route(Version.V16, "Authorize", authorize),
    Route(VERSIONS_2, "Authorize", authorize_2),
)
HEARS = (Hear(frozenset({CHANGED, POLICY_CHANGED}), heard),)
RELOADS = frozenset({"station_changed"})  # its site and tags say which tokens it takes
__all__ = ["HEARS", "RELOADS", "ROUTES", "load"]
