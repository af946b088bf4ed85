"""F5: answers about certificates and network profiles (2.0.1, A02, B09, M)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.certificates import STATION
from simulators.v201.commands.core import ACCEPTED, TRIGGERS, refused
from simulators.v201.evse import Evse
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station


def _signed(station: "Station", payload: Payload) -> Reply:
    kind = payload.get("certificateType", STATION)
    chain = payload["certificateChain"]
    if len(chain) > station.model.integer("SecurityCtrlr.MaxCertificateChainSize"):
        return Reply(refused("TooLargeChain"))
    reason = station.certificates.take(chain, station.clock.now(), kind)
    if reason is not None:
        station.tell_security("InvalidChargingStationCertificate", reason)  # A02.FR.07
        return Reply(refused(reason))
    return Reply(ACCEPTED, lambda: station.network.use_certificate(kind))


def _install(station: "Station", payload: Payload) -> Reply:
    status = station.certificates.install(payload["certificateType"], payload["certificate"], station.clock.now())
    station.count_certificates()
    return Reply({"status": status})


def _delete(station: "Station", payload: Payload) -> Reply:
    status = station.certificates.delete(payload["certificateHashData"])
    station.count_certificates()
    return Reply({"status": status})


def _installed(station: "Station", payload: Payload) -> Reply:
    found = station.certificates.listed(payload.get("certificateType"))
    return Reply({"status": "Accepted", "certificateHashDataChain": found} if found else {"status": "NotFound"})


def _set_network_profile(station: "Station", payload: Payload) -> Reply:
    reason = station.network.refusal(payload["configurationSlot"], payload["connectionData"])
    if reason is not None:
        return Reply(refused(reason))
    station.network.store(payload["configurationSlot"], payload["connectionData"])
    return Reply(ACCEPTED)


def _trigger_signing(station: "Station", _evses: list[Evse], _connector_id: int | None) -> None:
    station.spawn(station.network.ask_certificate())


TRIGGERS |= {"SignChargingStationCertificate": _trigger_signing}

HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "CertificateSigned": _signed,
    "DeleteCertificate": _delete,
    "GetInstalledCertificateIds": _installed,
    "InstallCertificate": _install,
    "SetNetworkProfile": _set_network_profile,
}
