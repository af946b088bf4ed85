"""Plain OCPP 1.6 stations that write down every frame they send and get, and keep what was not answered."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from csms.ocpp.timestamps import write as timestamp

CALL, CALLRESULT = 2, 3
METER_VALUES_A_CHARGE = 5
ENERGY_A_SAMPLE_WH = 250
TOKEN = "TRAFFIC-1"
NOT_READY = 1013


@dataclass
class Try:
    """A message on the wire once: its text, and the text of its answer if one came."""

    message_id: str
    text: str
    sent_at_s: float
    answer: str | None = None
    answered_at_s: float | None = None

    @property
    def is_acknowledged(self) -> bool:
        """Whether a CALLRESULT came."""
        return self.answer is not None and json.loads(self.answer)[0] == CALLRESULT


@dataclass
class Told:
    """A message that the station must get through: the same payload in every try, until one is acknowledged."""

    action: str
    payload: dict[str, Any]
    tries: list[Try] = field(default_factory=list)

    @property
    def answer(self) -> dict[str, Any] | None:
        """The payload of the CALLRESULT."""
        found = next((one.answer for one in self.tries if one.is_acknowledged), None)
        return None if found is None else json.loads(found)[2]


class TrafficStation:
    """Charges one car after the other; `told` is its whole history, `closes` how each connection ended."""

    def __init__(self, url: str, identity: str) -> None:
        self.identity = identity
        self.told: list[Told] = []
        self.closes: list[int | None] = []
        self.connects = 0
        self.acknowledged_count = 0
        self.is_stopping = False
        self._url = f"{url}/{identity}"
        self._random = random.Random(identity)
        self._sent_count = 0
        self._last_at = datetime.now(UTC)
        self._meter_wh = self._random.randrange(10**6)
        self._life = self._charges()
        self._pending: Told | None = None

    @property
    def acknowledged(self) -> Iterator[tuple[Told, Try]]:
        """Every message with the try that was acknowledged."""
        return ((told, one) for told in self.told for one in told.tries if one.is_acknowledged)

    async def run(self) -> None:
        """Connect, and connect again; returns once it was told to stop and its charge has ended."""
        while not self.is_stopping or self._pending is not None:
            with contextlib.suppress(OSError, TimeoutError, InvalidHandshake):
                async with connect(
                    self._url,
                    subprotocols=[Subprotocol("ocpp1.6")],
                    compression=None,
                    ping_interval=None,
                    proxy=None,
                ) as client:
                    self.connects += 1
                    await self._converse(client)
            await asyncio.sleep(self._random.uniform(0.1, 0.4))  # as stations do, not all at once

    async def _converse(self, client: ClientConnection) -> None:
        try:
            while (told := self._next()) is not None:
                await self._tell(client, told)
                await asyncio.sleep(self._random.uniform(0.02, 0.1))
            await client.close(1000, "enough")
        except ConnectionClosed:
            pass  # the code is in the connection
        self.closes.append(client.close_code)

    def _next(self) -> Told | None:
        """What was not acknowledged yet, else the next message of its life; None at the end."""
        if self._pending is None:
            self._pending = next(self._life, None)
            if self._pending is not None:
                self.told.append(self._pending)
        return self._pending

    async def _tell(self, client: ClientConnection, told: Told) -> None:
        self._sent_count += 1
        message_id = f"{self.identity}-{self._sent_count}"
        text = json.dumps([CALL, message_id, told.action, told.payload])
        one = Try(message_id, text, time.monotonic())
        told.tries.append(one)
        await client.send(text)
        while one.answer is None:
            received = str(await client.recv())
            if json.loads(received)[1] == message_id:
                one.answer, one.answered_at_s = received, time.monotonic()
        if one.is_acknowledged:
            self.acknowledged_count += 1
            self._pending = None

    # --- a station's life -------------------------------------------------------------------------------------------

    def _charges(self) -> Iterator[Told]:
        yield Told("BootNotification", {"chargePointVendor": "Traffic", "chargePointModel": "T 200"})
        while not self.is_stopping:
            yield self._status("Preparing")
            yield from self._charge()
            yield self._status("Available")

    def _charge(self) -> Iterator[Told]:
        start = Told(
            "StartTransaction",
            {"connectorId": 1, "idTag": TOKEN, "meterStart": self._meter_wh, "timestamp": self._now()},
        )
        yield start
        transaction_id = (start.answer or {})["transactionId"]
        yield self._status("Charging")
        for _ in range(METER_VALUES_A_CHARGE):
            self._meter_wh += ENERGY_A_SAMPLE_WH
            yield self._meter_values(transaction_id)
        stop = {"meterStop": self._meter_wh, "timestamp": self._now(), "transactionId": transaction_id}
        yield Told("StopTransaction", {"idTag": TOKEN, **stop, "reason": "Local"})

    def _meter_values(self, transaction_id: int) -> Told:
        sampled = [{"value": str(self._meter_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]
        meter_value = [{"timestamp": self._now(), "sampledValue": sampled}]
        return Told("MeterValues", {"connectorId": 1, "transactionId": transaction_id, "meterValue": meter_value})

    def _status(self, status: str) -> Told:
        payload = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": self._now()}
        return Told("StatusNotification", payload)

    def _now(self) -> str:
        """The time, but no time twice: a real station's meter values are seconds apart."""
        self._last_at = max(datetime.now(UTC), self._last_at + timedelta(milliseconds=1))
        return timestamp(self._last_at)


class Traffic:
    """Many such stations at once."""

    def __init__(self, url: str, count: int) -> None:
        self.stations = [TrafficStation(url, f"TRAFFIC-{number:03d}") for number in range(count)]
        self._lives: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Let all live, in tasks of their own."""
        self._lives = [asyncio.create_task(station.run(), name=station.identity) for station in self.stations]

    @property
    def acknowledged_counts(self) -> list[int]:
        return [station.acknowledged_count for station in self.stations]

    def has_advanced(self, before: list[int], by: int) -> bool:
        """Whether every station got so many more messages acknowledged than `before`."""
        self.check()
        return all(now - then >= by for now, then in zip(self.acknowledged_counts, before, strict=True))

    def check(self) -> None:
        """Raise what went wrong in a station."""
        for life in self._lives:
            if life.done() and not life.cancelled():
                life.result()

    async def end(self) -> None:
        """Let every station finish its charge, deliver everything and close with 1000."""
        for station in self.stations:
            station.is_stopping = True
        await asyncio.gather(*self._lives)

    async def drop(self) -> None:
        """End at once, whatever is under way."""
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
