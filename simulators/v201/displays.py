"""F5: the messages on the display of a simulated 2.x station (2.0.1, O)."""

from typing import Any, Final

from csms.ocpp import timestamps
from simulators.v201.charging import Charging
from simulators.v201.evse import ChargingState, Evse, Status, Transaction
from simulators.v201.parts import Parts

CONTROLLER: Final = "DisplayMessageCtrlr"
PRIORITIES: Final = ("AlwaysFront", "InFront", "NormalCycle")


class Displays:
    """What the CSMS wants shown; gone when its time or its transaction is over."""

    def __init__(self, charging: Charging, parts: Parts) -> None:
        self._held: dict[int, dict[str, Any]] = {}
        self._charging = charging
        self._parts = parts
        charging.on_ended.append(self._forget)

    def set(self, message: dict[str, Any]) -> str:
        """SetDisplayMessage's status (O01, O02, O06)."""
        model = self._parts.model
        if not model.flag(f"{CONTROLLER}.Enabled"):
            return "Rejected"
        state = message.get("state")
        contents = message["message"]
        formats = {one["format"] for one in (contents, *message.get("messageExtra", []))}
        if not formats <= set(model.names(f"{CONTROLLER}.SupportedFormats")):
            return "NotSupportedMessageFormat"
        if message["priority"] not in model.names(f"{CONTROLLER}.SupportedPriorities"):
            return "NotSupportedPriority"
        if state is not None and state not in model.names(f"{CONTROLLER}.SupportedStates"):
            return "NotSupportedState"
        if "transactionId" in message and self._charging.find(message["transactionId"]) is None:
            return "UnknownTransaction"
        return self._keep(message)

    def _keep(self, message: dict[str, Any]) -> str:
        self._drop_old()
        room = self._parts.model.variable(f"{CONTROLLER}.DisplayMessages").characteristics.maximum or 0
        if message["id"] not in self._held and len(self._held) >= room:
            return "Rejected"
        if message["priority"] == "AlwaysFront":  # the newest replaces the one before it (O01)
            self._held = {key: one for key, one in self._held.items() if one["priority"] != "AlwaysFront"}
        self._held[message["id"]] = message
        self._count()
        return "Accepted"

    def clear(self, message_id: int) -> bool:
        """ClearDisplayMessage; False for one that is not there (O05)."""
        self._drop_old()
        is_there = self._held.pop(message_id, None) is not None
        self._count()
        return is_there

    def find(self, payload: dict[str, Any]) -> list[dict[str, Any]]:
        """Those that a GetDisplayMessages asks for (O03, O04)."""
        self._drop_old()
        ids = payload.get("id")
        return [
            one
            for one in self._held.values()
            if (ids is None or one["id"] in ids)
            and payload.get("priority", one["priority"]) == one["priority"]
            and ("state" not in payload or payload["state"] == one.get("state"))
        ]

    def shown(self, evse: Evse) -> list[str]:
        """What a driver reads now, most important first."""
        self._drop_old()
        now, state = self._parts.clock.now(), self._state(evse)
        own = None if evse.transaction is None else evse.transaction.transaction_id
        due = [
            one
            for one in self._held.values()
            if one.get("state", state) == state
            and one.get("transactionId", own) == own
            and ((start := timestamps.read(one.get("startDateTime"))) is None or start.at <= now)
        ]
        in_order = sorted(due, key=lambda one: PRIORITIES.index(one["priority"]))
        return [*(one["message"]["content"] for one in in_order), *self._price(evse)]

    def _price(self, evse: Evse) -> list[str]:
        """What the charge costs so far, or what it will cost (I01 to I03)."""
        model, transaction = self._parts.model, evse.transaction
        cost = None if transaction is None else transaction.total_cost
        if cost is not None and model.flag("TariffCostCtrlr.Enabled[Cost]"):
            return [f"{cost:.2f} {model.text('TariffCostCtrlr.Currency')}"]
        is_tariff = cost is None and model.flag("TariffCostCtrlr.Enabled[Tariff]")
        return [model.text("TariffCostCtrlr.TariffFallbackMessage")] if is_tariff else []

    @staticmethod
    def _state(evse: Evse) -> str:
        if evse.status is Status.FAULTED:
            return "Faulted"
        if evse.transaction is not None and evse.state is ChargingState.CHARGING:
            return "Charging"
        return "Unavailable" if evse.status is Status.UNAVAILABLE else "Idle"

    def _drop_old(self) -> None:
        now = self._parts.clock.now()
        ends = {key: timestamps.read(one.get("endDateTime")) for key, one in self._held.items()}
        self._held = {key: one for key, one in self._held.items() if (end := ends[key]) is None or end.at > now}
        self._count()

    def _forget(self, _evse: Evse, transaction: Transaction) -> None:
        own = transaction.transaction_id
        self._held = {key: one for key, one in self._held.items() if one.get("transactionId") != own}
        self._count()

    def _count(self) -> None:
        self._parts.model.change(f"{CONTROLLER}.DisplayMessages", str(len(self._held)))
