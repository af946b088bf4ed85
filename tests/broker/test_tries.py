"""B10, B11: guessing passwords is limited for each address and each identity, and the true station still gets in."""

import asyncio
import base64
from collections import Counter
from time import perf_counter
from typing import Any

import pytest
from sqlmodel import select

from csms.config import Settings, UnknownStations
from csms.outbox import Event
from csms.station.connections import Connection
from csms.station.information import Station
from csms.station.information.passwords import hashes_for
from tests.broker.conftest import Bench, boot, eventually
from tests.broker.scripted import basic
from tests.builders import make_station

pytestmark = [pytest.mark.feature("B10"), pytest.mark.feature("B11")]
PEPPER = b"pepper for tests"
KEY = "0123456789abcdef0123456789abcdef"
TRIES = 1000
AT_ONCE = 50
TRIES_PER_MINUTE = 30


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture
def broker_settings(settings: Settings) -> Settings:
    values = {"connects_per_second_max": 100_000, "login_refusal_s": 0.0}
    return settings.model_copy(update={**values, "password_tries_per_minute_max": TRIES_PER_MINUTE})


async def attempt(bench: Bench, identity: str, password: str, source: str = "127.0.0.1") -> tuple[int, bytes]:
    """One handshake over a socket of its own, from that address; the status and the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port, local_addr=(source, 0))
    credentials = base64.b64encode(f"{identity}:{password}".encode()).decode()
    writer.write(
        f"GET /ocpp/{identity} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic {credentials}\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer


async def guess(bench: Bench, sources: list[str]) -> Counter[int]:
    """As many wrong passwords for CS-1 as there are addresses, some at a time."""
    statuses: Counter[int] = Counter()
    for start in range(0, len(sources), AT_ONCE):
        tries = [
            attempt(bench, "CS-1", f"wrong password {start + index}", source)
            for index, source in enumerate(sources[start : start + AT_ONCE])
        ]
        statuses.update(status for status, _ in await asyncio.gather(*tries))
    return statuses


async def secured(bench: Bench, *, is_generated: bool, **fields: Any) -> Station:
    hashes = hashes_for(KEY, PEPPER, is_generated=is_generated)
    return await make_station(bench.store, identity="CS-1", security_profile=1, password_hashes=hashes, **fields)


async def gets_in(bench: Bench, source: str = "127.0.0.1") -> None:
    headers = basic("CS-1", KEY)
    async with bench.station(additional_headers=headers, local_addr=(source, 0)) as client:
        assert (await boot(client))[2]["status"] == "Accepted"


@pytest.mark.robustness(3)
@pytest.mark.parametrize("is_generated", [True, False], ids=["generated", "typed in"])
async def test_a_thousand_tries_from_one_address(bench: Bench, is_generated: bool) -> None:
    await secured(bench, is_generated=is_generated)
    await gets_in(bench)
    statuses = await guess(bench, ["127.0.0.1"] * TRIES)
    assert statuses[401] + statuses[503] == TRIES
    assert statuses[401] <= TRIES_PER_MINUTE * 3, "the bucket fills up while the test runs"
    await gets_in(bench)


@pytest.mark.robustness(3)
@pytest.mark.parametrize("is_generated", [True, False], ids=["generated", "typed in"])
async def test_a_thousand_addresses_on_one_identity(bench: Bench, is_generated: bool) -> None:
    await secured(bench, is_generated=is_generated)
    await gets_in(bench, "127.0.0.9")
    sources = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(TRIES)]
    statuses = await guess(bench, sources)
    assert statuses[401] + statuses[503] == TRIES
    assert statuses[401] <= TRIES_PER_MINUTE * 3
    await gets_in(bench, "127.0.0.9")
    await gets_in(bench, "127.0.0.10")

    async def alarm() -> list[Event]:
        async with bench.store.reading() as work:
            return list((await work.session.exec(select(Event).where(Event.kind == "security_event"))).all())

    events = await eventually(alarm)
    assert {event.data["type"] for event in events} == {"password_guessing"}
    async with bench.store.reading() as work:
        rows = (await work.session.exec(select(Connection).where(Connection.cause == "refused_tries"))).all()
    assert 1 <= len(rows) <= 3, "an attack fills no table"


@pytest.mark.robustness(3)
async def test_a_typed_in_password_is_checked_where_the_station_was_last_even_after_a_restart(bench: Bench) -> None:
    """Nothing is remembered of it yet, and others have used up the tries of its identity."""
    await secured(bench, is_generated=False, remote_address="127.0.0.9")
    await guess(bench, [f"127.1.2.{number + 1}" for number in range(TRIES_PER_MINUTE + 5)])
    await gets_in(bench, "127.0.0.9")


class TestTime:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"login_refusal_s": 0.3})

    @pytest.mark.robustness(2)
    async def test_an_unknown_identity_is_told_the_same_after_the_same_time(self, bench: Bench) -> None:
        await secured(bench, is_generated=False)
        answers, times = [], []
        for identity in ("CS-1", "CS-2"):
            began = perf_counter()
            status, answer = await attempt(bench, identity, "wrong password!!")
            times.append(perf_counter() - began)
            lines = [line for line in answer.split(b"\r\n") if not line.startswith(b"Date:")]
            answers.append((status, lines))
        assert answers[0] == answers[1]
        assert answers[0][0] == 401
        assert min(times) >= 0.3
