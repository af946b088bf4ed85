"""F5: load of OCPP 2.0.1: the cycle of `simulators.load` told with TransactionEvents, in the same proportions."""

from typing import Any, Final

from simulators.load import LoadConnection, Tally

# 20 messages: 60 % meter values, the rest heartbeats, status, start, change of state and end, as in 1.6.
_METER_PART: Final = ("Meter8", "Meter8", "Meter9")
CYCLE: Final = (
    *("Occupied", "Started", "Charging", *_METER_PART, "Heartbeat", *_METER_PART, "Heartbeat"),
    *(*_METER_PART, "Heartbeat", *_METER_PART, "Ended", "Available"),
)
NEEDS_TRANSACTION: Final = frozenset({"Charging", "Meter8", "Meter9", "Ended"})

_SAMPLE = (
    '{"value":%s,"context":"Sample.Periodic","measurand":"%s"%s,"location":"Outlet","unitOfMeasure":{"unit":"%s"}}'
)
_SAMPLES: Final = (
    _SAMPLE % ("%(energy_wh)d", "Energy.Active.Import.Register", "", "Wh"),
    _SAMPLE % ("10986.4", "Power.Active.Import", "", "W"),
    *(_SAMPLE % ("15.93", "Current.Import", f',"phase":"{phase}"', "A") for phase in ("L1", "L2", "L3")),
    *(_SAMPLE % ("229.87", "Voltage", f',"phase":"{phase}-N"', "V") for phase in ("L1", "L2", "L3")),
    _SAMPLE % ("46.2", "SoC", "", "Percent"),
)


def _event(kind: str, trigger: str, state: str, *, count: int = 1, more: str = "", info: str = "") -> bytes:
    samples = ",".join(_SAMPLES[:count])
    values = f',"meterValue":[{{"timestamp":"%(at)b","sampledValue":[{samples}]}}]' if count else ""
    return (
        f'[2,"%(id)b","TransactionEvent",{{"eventType":"{kind}","timestamp":"%(at)b","triggerReason":"{trigger}",'
        f'"seqNo":%(seq_no)d,"transactionInfo":{{"transactionId":"%(transaction)b","chargingState":"{state}"{info}}}'
        f"{more}{values}}}]"
    ).encode()


def _status(status: str) -> bytes:
    return (
        f'[2,"%(id)b","StatusNotification",{{"timestamp":"%(at)b","connectorStatus":"{status}","evseId":1,'
        '"connectorId":1}]'
    ).encode()


_WHO: Final = ',"idToken":{"idToken":"%(tag)b","type":"ISO14443"}'
TEMPLATES: Final[dict[str, bytes]] = {
    "Boot": (
        b'[2,"%(id)b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"Load",'
        b'"vendorName":"Simulated Charging"}}]'
    ),
    "Heartbeat": b'[2,"%(id)b","Heartbeat",{}]',
    "Occupied": _status("Occupied"),
    "Available": _status("Available"),
    "Started": _event("Started", "Authorized", "EVConnected", more=',"evse":{"id":1,"connectorId":1}' + _WHO),
    "Charging": _event("Updated", "ChargingStateChanged", "Charging", count=0),
    "Meter8": _event("Updated", "MeterValuePeriodic", "Charging", count=8),
    "Meter9": _event("Updated", "MeterValuePeriodic", "Charging", count=9),
    "Ended": _event("Ended", "StopAuthorized", "EVConnected", more=_WHO, info=',"stoppedReason":"Local"'),
}


class LoadConnection201(LoadConnection):
    """One closed-loop station of 2.0.1; it gives its transactions' ids, so no answer has to be read."""

    templates = TEMPLATES

    def prepare(self, tally: Tally, tag: bytes, **options: Any) -> None:
        """As in 1.6; no transaction runs yet."""
        super().prepare(tally, tag, **options)
        self.values |= {b"transaction": b"", b"seq_no": 0}

    def send_next(self) -> None:
        """Send the next message of the cycle; before the first start, heartbeats stand in for what needs one."""
        kind, values = CYCLE[self.step], self.values
        self.step = (self.step + 1) % len(CYCLE)
        if kind == "Started":
            values[b"transaction"] = b"%b-%d" % (self.id_prefix, self.sent_count)
            values[b"seq_no"] = 0
        elif kind in NEEDS_TRANSACTION:
            if not values[b"transaction"]:
                kind = "Heartbeat"
            else:
                values[b"seq_no"] += 1
        values[b"energy_wh"] += 37
        self.send_kind(kind)
        if kind == "Ended":
            values[b"transaction"] = b""
