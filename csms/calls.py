"""Call a station: the port to whichever node holds its socket; every call ends in exactly one outcome.

The node that holds the socket serves the station's subject on the bus, so the subscription is the routing
table: nobody serving means offline, at once.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from csms.bus import Bus, BusUnavailable, NoResponders, RequestFailed, subject_token

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """The station answered with a CALLRESULT."""

    payload: Payload


@dataclass(frozen=True, slots=True)
class Refused:
    """The station answered with a CALLERROR."""

    code: str
    description: str
    details: Payload


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer within the time allowed; the station may have acted all the same."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Offline:
    """The call never left: no connection, or it ended before the call's turn."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The call was sent, and the connection ended before an answer; the station may have acted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The call waited too long behind others (or the queue was full) and was never sent."""

    reason: str


Outcome = Answered | Refused | TimedOut | Offline | Disconnected | Expired

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Answered, Refused, TimedOut, Offline, Disconnected, Expired)
}


@dataclass(frozen=True, slots=True)
class Order:
    """A call on its way to the node: which command row it belongs to, what to send, for how long to wait."""

    command_id: int
    action: str
    payload: Payload
    timeout_s: float


class StationCalls(Protocol):
    async def call(self, identity: str, order: Order) -> Outcome:
        """Send the call and wait for its outcome; never raises for what a station or the network does."""
        ...


class BusCalls:
    """The port over the bus, the same for one process and for many hosts."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def call(self, identity: str, order: Order) -> Outcome:
        data = orjson.dumps(
            {
                "command_id": order.command_id,
                "action": order.action,
                "payload": order.payload,
                "timeout_s": order.timeout_s,
            }
        )
        try:
            reply = await self._bus.request(call_subject(identity), data, timeout_s=order.timeout_s * 2 + 10)
        except BusUnavailable:
            return Offline("the message bus is away, so the station cannot be reached; try again later")
        except RequestFailed:
            return Disconnected("the broker that holds the station failed; the call may have been sent")
        except NoResponders:
            return Offline("the station is not connected")
        except TimeoutError:
            return TimedOut(order.timeout_s)
        return read_outcome(reply)


def call_subject(identity: str) -> str:
    return f"call.{subject_token(identity)}"


def read_order(data: bytes) -> Order:
    return Order(**orjson.loads(data))


def write_outcome(outcome: Outcome) -> bytes:
    fields = {name: getattr(outcome, name) for name in outcome.__slots__}
    return orjson.dumps({"kind": type(outcome).__name__, "fields": fields})


def read_outcome(data: bytes) -> Outcome:
    parts = orjson.loads(data)
    return _KINDS[parts["kind"]](**parts["fields"])  # type: ignore[no-any-return]  # one of Outcome's members
