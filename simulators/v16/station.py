"""F5: a simulated OCPP 1.6 station: what its version adds to the life of a station."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulators import firmware, logs
from simulators.battery import Supply
from simulators.boot import Timing
from simulators.clock import Clock
from simulators.files import Files, Words
from simulators.life import StationLife
from simulators.messages import Message
from simulators.v16 import commands, security
from simulators.v16.charging import Charging, Parts
from simulators.v16.configuration import Configuration
from simulators.v16.connector import Transaction
from simulators.v16.local_list import LocalList
from simulators.v16.smart_charging import Profiles
from simulators.wire import Answered, Disconnected, Endpoint, Observer, Payload, Refused, Reply

MAX_CACHED_TAGS = 1_000


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What the station says of itself at boot, and what it is built of."""

    vendor: str = "Simulated Charging"
    model: str = "AC Twin 11"
    serial_number: str = ""
    firmware_version: str = "1.4.2"
    connectors: int = 1
    supply: Supply = field(default_factory=Supply.ac)

    def boot_payload(self) -> Payload:
        """BootNotification's payload (OCPP 1.6, 6.3)."""
        serial = {"chargePointSerialNumber": self.serial_number[:25]} if self.serial_number else {}
        return {
            "chargePointModel": self.model[:20],
            **serial,
            "chargePointVendor": self.vendor[:20],
            "firmwareVersion": self.firmware_version[:50],
        }


class Station(StationLife):
    """One station. `run()` lives its life until `stop()` or `finish()`; `charging` is where its customers act."""

    def __init__(
        self,
        endpoint: Endpoint,
        nameplate: Nameplate | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        configuration: Mapping[str, str] | None = None,
        timing: Timing | None = None,
        profile_urls: Mapping[int, str] | None = None,
    ) -> None:
        """`profile_urls` tells where the CSMS listens for another security profile, where that is another port."""
        super().__init__(endpoint, clock=clock, rng=rng, observer=observer, timing=timing)
        self.nameplate = nameplate or Nameplate()
        self.firmware_version = self.nameplate.firmware_version
        built = {"NumberOfConnectors": str(self.nameplate.connectors)}
        self.configuration = Configuration({**built, **(configuration or {})})
        self.cached_tags: dict[str, bool] = {}
        parts = Parts(self.configuration, self.clock, self.messages, self.observer)
        self.charging = Charging(self.nameplate.supply, self.nameplate.connectors, parts, self.authorize)
        self.local_list = LocalList(self.configuration)
        self.profiles = Profiles(self.charging, parts)
        self.profile_urls = profile_urls or {}
        self.files = Files(self, Words(self._tell_firmware, self._tell_log))

    # --- the words of 1.6

    @property
    def heartbeat_s(self) -> float:
        return float(self.configuration.integer("HeartbeatInterval"))

    @property
    def ping_interval_s(self) -> float:
        return float(self.configuration.integer("WebSocketPingInterval"))

    @property
    def attempts(self) -> tuple[int, int]:
        integer = self.configuration.integer
        return integer("TransactionMessageAttempts"), integer("TransactionMessageRetryInterval")

    def boot_payload(self) -> Payload:
        return replace(self.nameplate, firmware_version=self.firmware_version).boot_payload()

    def is_busy_charging(self) -> bool:
        return any(connector.transaction is not None for connector in self.charging.connectors.values())

    def _note_heartbeat(self, interval_s: int) -> None:
        self.configuration.change("HeartbeatInterval", str(interval_s))

    async def _live(self) -> None:
        await self.charging.run()

    def _begin_reports(self, *, is_boot: bool) -> None:
        self.note("the CSMS accepted the station" if is_boot else "connected again")
        self.charging.report_all(is_boot=is_boot)
        if is_boot:
            self.files.booted()

    def _end_reports(self) -> None:
        self.charging.is_reporting = False

    def _used_endpoint(self) -> Endpoint:
        return security.secured(self)

    def _report(self, action: str, payload: Payload) -> None:
        if self.is_online:
            self.messages.add(action, payload)

    def _tell_firmware(self, order: firmware.Order, status: str) -> None:
        """In the words of 6.3, or with the request's id when the firmware is signed."""
        if order.request_id is not None:
            told = {"status": status, "requestId": order.request_id}
            self._report("SignedFirmwareStatusNotification", told)
        elif status in firmware.STATUSES_16:
            self._report("FirmwareStatusNotification", {"status": status})

    def _tell_log(self, order: logs.Order, status: str) -> None:
        """In the words of 6.2, or of the security extension for GetLog."""
        if order.request_id is None:
            told = status if status in ("Uploading", "Uploaded") else "UploadFailed"
            self._report("DiagnosticsStatusNotification", {"status": told})
        elif status != "AcceptedCanceled":  # 1.6 tells that with the answer only
            self._report("LogStatusNotification", {"status": status, "requestId": order.request_id})

    def _delivered(self, message: Message) -> None:
        self.charging.delivered(message)

    def _accepts(self, message: Message, payload: Payload) -> bool:
        """Whether the answer can be used; takes the transaction id and the word on the tag from it."""
        transaction = message.transaction
        if message.action != "StartTransaction" or not isinstance(transaction, Transaction):
            return True
        transaction_id = payload.get("transactionId")
        if not isinstance(transaction_id, int):
            return False
        transaction.transaction_id = transaction_id
        if not self._learn(transaction.id_tag, payload):
            self.charging.deauthorize(transaction)
        return True

    def _stop_charges(self, reason: str) -> None:
        self.charging.stop_all(reason)

    def _note_reboot(self, reason: str) -> None:
        del reason  # 1.6 tells none
        self.configuration.reboot()

    # --- authorisation

    async def authorize(self, id_tag: str) -> bool:
        """Whether this tag may charge: by the cache, the CSMS, or the rules for being offline (OCPP 1.6, 3.5)."""
        listed = self.local_list.verdict(id_tag)
        is_known = self.cached_tags.get(id_tag, False) if listed is None else listed
        if is_known and self.configuration.flag("LocalPreAuthorize"):
            return True
        wire = self._wire if self.is_online else None
        outcome = Disconnected() if wire is None else await self._call(wire, "Authorize", {"idTag": id_tag})
        match outcome:
            case Answered(payload):
                return self._learn(id_tag, payload)
            case Refused():
                return False
            case _:
                return self._trusts_offline(id_tag)

    def _trusts_offline(self, id_tag: str) -> bool:
        listed = self.local_list.verdict(id_tag)
        if listed is not None:
            return listed and self.configuration.flag("LocalAuthorizeOffline")
        if id_tag in self.cached_tags:
            return self.cached_tags[id_tag] and self.configuration.flag("LocalAuthorizeOffline")
        return self.configuration.flag("AllowOfflineTxForUnknownId")

    def _learn(self, id_tag: str, payload: Payload) -> bool:
        info = payload.get("idTagInfo")
        is_accepted = isinstance(info, dict) and info.get("status") == "Accepted"
        if self.configuration.flag("AuthorizationCacheEnabled"):
            self.cached_tags.pop(id_tag, None)
            self.cached_tags[id_tag] = is_accepted
            if len(self.cached_tags) > MAX_CACHED_TAGS:
                del self.cached_tags[next(iter(self.cached_tags))]
        return is_accepted

    # --- commands

    def _on_call(self, action: str, payload: Payload) -> Reply:
        return commands.answer(self, action, payload)

    def change_password(self, key: bytes) -> None:
        """Use another Basic password, with a new connection (security whitepaper, A01)."""
        self.endpoint = replace(self.endpoint, password=key)
        self.spawn(self.reconnect(security.RECONNECT_S, "new password"))

    def reset(self, *, is_hard: bool) -> None:
        """Restart: charges end with the right reason, the line is closed, the station boots again (OCPP 1.6, 5.14)."""
        self.charging.stop_all("HardReset" if is_hard else "SoftReset")
        if is_hard:
            self._leave(self.timing.reboot_s, "RemoteReset")  # at once: the StopTransactions follow after the boot
        self.spawn(self._restart("RemoteReset", is_at_once=is_hard))
