"""F5: a simulated 2.x station inside a test, for the length of a block."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from csms.ocpp.versions import Version
from simulators.running import living
from simulators.v201.station import Station
from simulators.wire import Endpoint


@contextlib.asynccontextmanager
async def running_station(
    url: str,
    identity: str = "CS-1",
    *,
    password: bytes | None = None,
    versions: Sequence[Version] = (Version.V201,),
    **options: Any,
) -> AsyncIterator[Station]:
    """A station that lives as long as the block; `options` are those of `Station` (clock, nameplate, observer, …)."""
    station = Station(Endpoint(url, identity, password, tuple(versions)), **options)
    async with living(station):
        yield station
