import asyncio
import base64
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from csms.ocpp.errors import ErrorKind, OcppError
from simulators.counters import Counters
from simulators.wire import Answered, ConnectError, Disconnected, Endpoint, Refused, Reply, TimedOut, Wire, tls_context
from tests.simulators.scripted_csms import refuse, scripted_csms

pytestmark = pytest.mark.feature("F5")


def obey(_action: str, _payload: dict[str, Any]) -> Reply:
    return Reply({"status": "Accepted"})


def test_the_identity_is_percent_encoded_and_the_password_is_bytes() -> None:
    endpoint = Endpoint("ws://host/ocpp/", "RDAM 123/ä", b"\x00\xff:secret")
    assert endpoint.address == "ws://host/ocpp/RDAM%20123%2F%C3%A4"
    sent = base64.b64decode(endpoint.headers["Authorization"].removeprefix("Basic "))
    assert sent == "RDAM 123/ä".encode() + b":\x00\xff:secret"
    assert "secret" not in repr(endpoint)


async def test_every_end_of_a_call_is_a_value_and_is_counted() -> None:
    counters = Counters()
    async with scripted_csms() as csms:
        wire = await Wire.open(Endpoint(csms.url, "CP-1"), obey, counters)
        serving = asyncio.create_task(wire.serve())
        assert isinstance(await wire.call("Heartbeat", {}, 5.0), Answered)
        csms.answers["Heartbeat"] = refuse
        refused = await wire.call("Heartbeat", {}, 5.0)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.description) == ("InternalError", "the database is away")
        csms.answers["Heartbeat"] = lambda _: None
        assert await wire.call("Heartbeat", {}, 0.02) == TimedOut()
        cut_off = asyncio.create_task(wire.call("Heartbeat", {}, 5.0))
        await csms.expect("Heartbeat", 4)
        wire.abort()
        assert await cut_off == Disconnected()
        assert await wire.call("Heartbeat", {}, 5.0) == Disconnected()
        assert await serving == 1006
    assert counters.answered["Heartbeat"] == 1
    assert counters.refused == {"Heartbeat: InternalError": 1}
    assert (counters.timed_out, counters.interrupted, counters.errors) == (1, 2, 2)


async def test_only_one_call_is_outstanding() -> None:
    gate: list[dict[str, Any] | None] = [None]
    async with scripted_csms() as csms:
        csms.answers["Heartbeat"] = lambda _: gate[0]
        wire = await Wire.open(Endpoint(csms.url, "CP-1"), obey, Counters())
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(wire.serve())
            calls = [group.create_task(wire.call("Heartbeat", {}, 0.05)) for _ in range(3)]
            await csms.expect("Heartbeat")
            assert len(csms.received) == 1
            await asyncio.gather(*calls)
            assert len(csms.received) == 3
            await wire.close()
            assert await serving == 1000


async def test_a_fault_of_the_handler_is_told_and_the_line_stays() -> None:
    def handler(action: str, _payload: dict[str, Any]) -> Reply:
        if action == "Reset":
            raise OcppError(ErrorKind.SECURITY, "no")
        raise ZeroDivisionError

    async with scripted_csms() as csms:
        wire = await Wire.open(Endpoint(csms.url, "CP-1"), handler, Counters())
        async with asyncio.TaskGroup() as group:
            group.create_task(wire.serve())
            assert await csms.call("Reset", {"type": "Hard"}) == {"error": "SecurityError"}
            assert await csms.call("ClearCache", {}) == {"error": "InternalError"}
            await wire.close()


async def test_late_and_foreign_answers_are_counted_and_harm_nothing() -> None:
    counters = Counters()
    async with scripted_csms() as csms:
        wire = await Wire.open(Endpoint(csms.url, "CP-1"), obey, counters)
        async with asyncio.TaskGroup() as group:
            group.create_task(wire.serve())
            for text in ('[3,"nobody-asked",{}]', "no json", '[9,"x",{}]', b"\x00binary", '[3,"x",5]'):
                await csms.sockets["CP-1"].send(text)
            assert isinstance(await wire.call("Heartbeat", {}, 5.0), Answered)
            await wire.close()
    assert counters.strays == 5


async def test_tls_shows_a_client_certificate_and_trusts_only_the_given_root(tmp_path: Path) -> None:
    site, makers = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    site.issue_cert("127.0.0.1").configure_cert(context)
    makers.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    root, chain = tmp_path / "root.pem", tmp_path / "chain.pem"
    site.cert_pem.write_to_path(root)
    makers.issue_cert("CP-1").private_key_and_cert_chain_pem.write_to_path(chain)
    async with scripted_csms(tls=context) as csms:
        for tls in (tls_context(root), tls_context(None, chain)):
            with contextlib.suppress(ConnectError):  # TLS 1.3 tells of a missing certificate after the handshake
                wire = await Wire.open(Endpoint(csms.url, "CP-1", tls=tls), obey, Counters())
                wire.abort()
        assert csms.sockets == {}
        endpoint = Endpoint(csms.url, "CP-1", b"secret", tls=tls_context(root, chain))
        wire = await Wire.open(endpoint, obey, Counters())
        async with asyncio.TaskGroup() as group:
            group.create_task(wire.serve())
            assert isinstance(await wire.call("Heartbeat", {}, 5.0), Answered)
            await wire.close()
        assert csms.authorizations == [endpoint.headers["Authorization"]]


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/ocpp", "http://127.0.0.1/ocpp", "nonsense"])
async def test_what_cannot_be_connected_is_one_kind_of_error(url: str) -> None:
    with pytest.raises(ConnectError):
        await Wire.open(Endpoint(url, "CP-1"), obey, Counters())
