"""F5: a simulated 1.6 station inside a test, for the length of a block."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from simulators.running import living
from simulators.v16.station import Station
from simulators.wire import Endpoint


@contextlib.asynccontextmanager
async def running_station(
    url: str, identity: str = "CP-1", *, password: bytes | None = None, **options: Any
) -> AsyncIterator[Station]:
    """A station that lives as long as the block; `options` are those of `Station` (clock, nameplate, observer, …)."""
    station = Station(Endpoint(url, identity, password), **options)
    async with living(station):
        yield station
