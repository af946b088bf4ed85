"""B1: the OCPP versions that exist here, and how a handshake agrees on one."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal


class Version(StrEnum):
    """A protocol version; its value is the WebSocket subprotocol registered with IANA."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"


VERSIONS_2 = (Version.V201, Version.V21)
"""What 2.0.1 has works over 2.1 too."""


def negotiate(
    offered: Sequence[str],
    enabled: Sequence[Version],
    *,
    prefer: Literal["station", "csms"] = "station",
) -> Version | None:
    """Agree on a version both sides speak, or None when there is none (also when none is offered).

    ``offered`` are the station's subprotocols in its order of preference (OCPP-J 1.6, 3.1.2; RFC 6455,
    4.1), ``enabled`` ours in our order. Subprotocol names are compared exactly, as RFC 6455 demands.
    """
    common = [Version(name) for name in offered if name in enabled]
    if prefer == "csms":
        common.sort(key=list(enabled).index)
    return common[0] if common else None
