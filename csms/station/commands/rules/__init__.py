"""B3: what an operator's wish is in OCPP, what each action is for, and an example of each."""

from csms.ocpp.versions import Version
from csms.station.commands.rules.examples_2 import EXAMPLES_21, EXAMPLES_201
from csms.station.commands.rules.examples_16 import EXAMPLES_16
from csms.station.commands.rules.purposes import PURPOSES
from csms.station.commands.rules.requests import (
    NOT_WHILE_PENDING,
    CannotSay,
    Payload,
    RestartKind,
    Wish,
    availability,
    restart,
    running_cost,
    start,
    stop,
    transaction_status,
    unlock,
)

EXAMPLES = {Version.V16: EXAMPLES_16, Version.V201: EXAMPLES_201, Version.V21: EXAMPLES_21}
"""A valid request of every action that the CSMS sends, by version and action."""

__all__ = [
    "EXAMPLES",
    "NOT_WHILE_PENDING",
    "PURPOSES",
    "CannotSay",
    "Payload",
    "RestartKind",
    "Wish",
    "availability",
    "restart",
    "running_cost",
    "start",
    "stop",
    "transaction_status",
    "unlock",
]
