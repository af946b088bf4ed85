"""B12: the message bus: live news and requests between the processes of one installation.

`open_bus(None)` is the bus of one process, `open_bus("nats://…")` that of many hosts. The bus is routing and live
news only: the truth is in the database, so a message may be lost, which a counter shows.
"""

from csms.bus.local import LocalBus
from csms.bus.port import (
    Bus,
    BusError,
    BusUnavailable,
    Message,
    MessageHandler,
    NoResponders,
    RequestFailed,
    RequestHandler,
    Subscription,
)
from csms.bus.subjects import subject_token

__all__ = [
    "Bus",
    "BusError",
    "BusUnavailable",
    "LocalBus",
    "Message",
    "MessageHandler",
    "NoResponders",
    "RequestFailed",
    "RequestHandler",
    "Subscription",
    "open_bus",
    "subject_token",
]


def open_bus(url: str | None) -> Bus:
    """The bus of this process (None), or of a NATS server; call `start` before use.

    `url` is `nats://[user:password@]host[:4222]`, or `tls://…`, which never talks to a server without TLS; further
    servers of the same cluster follow after commas. A user without password is a token. Percent-encode what needs it.
    """
    if url is None:
        return LocalBus()
    from csms.bus.nats import NatsBus  # noqa: PLC0415  one process needs no NATS client: 0.1 s of start-up

    return NatsBus(url)
