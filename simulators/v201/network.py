"""F5: how a simulated 2.x station reaches the CSMS: network profiles, password, certificate (2.0.1, A, B09, B10)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from simulators.certificates import STATION
from simulators.v201.device_model import SetResult, Variable
from simulators.wire import Answered, Endpoint

if TYPE_CHECKING:
    from simulators.v201.station import Station

SLOTS: Final = range(4)
CLIENT_CERTIFICATE: Final = 3
RECONNECT_S: Final = 1.0


class Network:
    """The profiles in their slots; the one that is in use stands first in NetworkConfigurationPriority."""

    def __init__(self, station: "Station") -> None:
        self.slots: dict[int, dict[str, Any]] = {}
        self._station = station
        self._built = station.endpoint
        self._failures = 0
        self._waits_for_certificate = False

    # --- profiles

    def refusal(self, slot: int, profile: dict[str, Any]) -> str | None:
        """Why a profile is not stored (B09.FR.02 to 04), None when it is."""
        model = self._station.model
        if slot not in SLOTS or profile.get("ocppTransport", "JSON") != "JSON":
            return "InvalidNetworkConf"
        parts = urlsplit(profile["ocppCsmsUrl"])
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            return "InvalidURL"
        if profile["securityProfile"] < model.integer("SecurityCtrlr.SecurityProfile"):
            return "NoSecurityDowngrade"
        is_tls = profile["securityProfile"] > 1
        if is_tls != (parts.scheme == "wss"):
            return "InvalidNetworkConf"
        has_certificate = STATION in self._station.certificates.chains
        return "InvalidConfSlot" if profile["securityProfile"] == CLIENT_CERTIFICATE and not has_certificate else None

    def store(self, slot: int, profile: dict[str, Any]) -> None:
        """Keep it; it is used after a reset that puts its slot first."""
        self.slots[slot] = profile
        self._station.note(f"network profile {slot} is stored")

    def check_priority(self, asked: dict[str, Any]) -> SetResult | None:
        """Refuse an order that names empty slots or a weaker profile (A05.FR.02); None when it is sound."""
        names = (asked["component"]["name"].lower(), asked["variable"]["name"].lower())
        if names != ("ocppcommctrlr", "networkconfigurationpriority"):
            return None
        wanted = [slot.strip() for slot in asked["attributeValue"].split(",")]
        known = {str(slot) for slot in self.slots} | {"0"}
        return SetResult("Rejected", reason="InvalidNetworkConf") if not set(wanted) <= known else None

    def use(self) -> None:
        """A start, or too many failures: take the profile whose turn it is (B10)."""
        station = self._station
        order = [int(slot) for slot in station.model.names("OCPPCommCtrlr.NetworkConfigurationPriority")]
        attempts = station.model.integer("OCPPCommCtrlr.NetworkProfileConnectionAttempts")
        slot = order[self._failures // attempts % len(order)] if order else 0
        if slot != station.model.integer("OCPPCommCtrlr.ActiveNetworkProfile"):
            station.note(f"network profile {slot} is used")
        station.model.change("OCPPCommCtrlr.ActiveNetworkProfile", str(slot))
        profile = self.slots.get(slot)
        password = station.endpoint.password
        built = replace(self._built, password=password)
        station.endpoint = built if profile is None else replace(built, url=profile["ocppCsmsUrl"], tls=None)
        if profile is not None and self._failures == 0:
            station.model.change("SecurityCtrlr.SecurityProfile", str(profile["securityProfile"]))

    def failed(self) -> None:
        """A connection did not come about."""
        self._failures += 1
        self.use()

    def succeeded(self) -> None:
        """A connection stands."""
        self._failures = 0

    def endpoint(self) -> Endpoint:
        """Where to connect: the profile's, with TLS of our own certificates unless a test brings its own."""
        endpoint = self._station.endpoint
        if endpoint.tls is not None or not endpoint.url.startswith("wss:"):
            return endpoint
        profile = self._station.model.integer("SecurityCtrlr.SecurityProfile")
        tls = self._station.certificates.tls_context(has_client_certificate=profile == CLIENT_CERTIFICATE)
        bare = replace(endpoint, tls=tls)
        return replace(bare, password=None) if profile == CLIENT_CERTIFICATE else bare

    # --- password and certificate

    def changed(self, variable: Variable) -> None:
        """Use a new password at once: the line is closed and opened with it (A01)."""
        if variable.name == "BasicAuthPassword":
            station = self._station
            station.endpoint = replace(station.endpoint, password=variable.values["Actual"].encode())
            variable.values["Actual"] = ""
            station.spawn(station.reconnect(RECONNECT_S, "new password"))

    async def ask_certificate(self, kind: str = STATION) -> bool:
        """Make a key and ask the CSMS to have it signed; again while no answer comes (A02.FR.17 to 19)."""
        station, model = self._station, self._station.model
        with station.on_network():
            csr = station.certificates.request(station.identity, model.text("SecurityCtrlr.OrganizationName"), kind)
        outcome = await station.send("SignCertificate", {"csr": csr, "certificateType": kind})
        if not isinstance(outcome, Answered) or outcome.payload.get("status") != "Accepted":
            return False
        if not self._waits_for_certificate:
            self._waits_for_certificate = True
            station.spawn(self._ask_again(kind))
        return True

    async def _ask_again(self, kind: str) -> None:
        station, model = self._station, self._station.model
        wait_s = model.integer("SecurityCtrlr.CertSigningWaitMinimum")
        for _ in range(model.integer("SecurityCtrlr.CertSigningRepeatTimes")):
            await station.clock.sleep(wait_s)
            if not self._waits_for_certificate:
                return
            wait_s *= 2
            await self.ask_certificate(kind)
        self._waits_for_certificate = False

    def use_certificate(self, kind: str) -> None:
        """A new certificate came; where it is shown at the handshake it is used at once (A02.FR.08)."""
        self._waits_for_certificate = False
        station = self._station
        if kind == STATION and station.model.integer("SecurityCtrlr.SecurityProfile") == CLIENT_CERTIFICATE:
            station.spawn(station.reconnect(RECONNECT_S, "new certificate"))
