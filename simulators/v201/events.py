"""F5: what a simulated 2.x station tells of its transactions: TransactionEvent with its meter values (2.0.1, E, J)."""

from typing import Any, Final

from csms.ocpp.timestamps import write as timestamp
from simulators.messages import Message
from simulators.v201.evse import Evse, IdToken, Transaction
from simulators.v201.parts import Parts
from simulators.v201.sampling import REGISTER, Seal, meter_value

INTERMEDIATE: Final = frozenset({"MeterValuePeriodic", "MeterValueClock"})

MeterValue = dict[str, Any]


class Events:
    """Writes the events of all transactions and queues them, online or not."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.seal = Seal()

    def tell(
        self,
        evse: Evse,
        transaction: Transaction,
        kind: str,
        trigger: str,
        *,
        meter_values: list[MeterValue] | None = None,
        token: IdToken | None = None,
        stopped_reason: str | None = None,
    ) -> None:
        """Queue one event for this moment. A token is told when it is new, or given (who stopped)."""
        info: dict[str, Any] = {"transactionId": transaction.transaction_id}
        transaction.told_state = evse.state
        info["chargingState"] = str(evse.state)
        if kind == "Ended":
            info |= {"timeSpentCharging": round(transaction.charging_s), "stoppedReason": stopped_reason}
        if transaction.remote_start_id is not None:
            info["remoteStartId"] = transaction.remote_start_id
        payload: dict[str, Any] = {
            "eventType": kind,
            "timestamp": timestamp(self._parts.clock.now()),
            "triggerReason": trigger,
            "seqNo": transaction.next_seq_no(),
            "transactionInfo": info,
            **({} if self._parts.is_online() else {"offline": True}),
            **self._who_and_where(evse, transaction, token),
        }
        if evse.battery is not None and evse.is_closed:
            payload["numberOfPhasesUsed"] = evse.battery.phases
        if meter_values:
            payload["meterValue"] = meter_values
        message = Message("TransactionEvent", payload, transaction, is_intermediate=trigger in INTERMEDIATE)
        self._parts.messages.put(message)

    @staticmethod
    def _who_and_where(evse: Evse, transaction: Transaction, token: IdToken | None) -> dict[str, Any]:
        """Token, EVSE and reservation stand in the first event that can name them (E02.FR.01, E03.FR.01)."""
        told: dict[str, Any] = {}
        if not transaction.told_evse:
            transaction.told_evse = True
            told["evse"] = {"id": evse.evse_id, "connectorId": evse.used_connector}
        if transaction.reservation_id is not None:
            told["reservationId"] = transaction.reservation_id
            transaction.reservation_id = None
        new = transaction.token if transaction.token != transaction.told_token else None
        if (named := token or new) is not None:
            told["idToken"] = named.payload()
            transaction.told_token = transaction.token
        return told

    # --- meter values

    def sample(self, evse: Evse, variable: str, context: str) -> list[MeterValue]:
        """The values that a variable of the device model names, as a list of one or none."""
        model, now = self._parts.model, self._parts.clock.now()
        value = meter_value(evse.measure(), model.names(variable), context, now)
        if value is None:
            return []
        controller = variable.partition(".")[0]
        if model.flag(f"{controller}.SignReadings") and evse.transaction is not None:
            self._seal(value, evse, evse.transaction, context)
        return [value]

    def _seal(self, value: MeterValue, evse: Evse, transaction: Transaction, context: str) -> None:
        sealed: dict[str, Any] = self.seal.sign(evse.meter.energy_wh, self._parts.clock.now(), context)
        sealed["publicKey"] = self._public_key(transaction)
        for sampled in value["sampledValue"]:
            if sampled["measurand"] == REGISTER:
                sampled["signedMeterValue"] = sealed

    def _public_key(self, transaction: Transaction) -> str:
        """As PublicKeyWithSignedMeterValue has it; a key that is not told is an empty text (J01.FR.21)."""
        wanted = self._parts.model.text("OCPPCommCtrlr.PublicKeyWithSignedMeterValue")
        is_told = wanted == "EveryMeterValue" or (wanted == "OncePerTransaction" and not transaction.told_key)
        transaction.told_key = True
        return self.seal.public_key if is_told else ""

    def note(self, evse: Evse, transaction: Transaction, variable: str, context: str) -> None:
        """Keep a sample for the last event."""
        for value in self.sample(evse, variable, context):
            transaction.samples.add(value)
