"""B2, S11: what only OCPP 2.1 has on the wire: SEND, which is never answered, and CALLRESULTERROR."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload, Route, Routes, find_routes
from csms.station.communication_logs import Frame
from csms.station.data_transfers import DataTransfer
from csms.store import Work
from tests.broker.conftest import Bench, call, eventually

pytestmark = [pytest.mark.feature("B2", "S11")]
STREAM = {"id": 1, "pending": 0, "basetime": "2026-01-01T00:00:00Z", "data": [{"t": 0.0, "v": "230.1"}]}
BOOT = {"chargingStation": {"model": "M", "vendorName": "V"}, "reason": "PowerUp"}


async def frames_with(bench: Bench, message_id: str) -> Sequence[Frame]:
    async with bench.store.reading() as work:
        query = select(Frame).where(Frame.message_id == message_id).order_by(col(Frame.id))
        return (await work.session.exec(query)).all()


async def stored(bench: Bench, message_id: str, count: int = 1) -> Sequence[Frame]:
    async def found() -> Sequence[Frame]:
        rows = await frames_with(bench, message_id)
        return rows if len(rows) == count else ()

    rows: Sequence[Frame] = await eventually(found)
    return rows


async def keep_stream(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    work.insert(
        DataTransfer,
        organisation_id=station.organisation_id,
        station_id=station.id,
        at=work.now,
        vendor_id=payload["data"][0]["v"],
        is_json=False,
    )
    return {}


@pytest.mark.ocpp("2.1 NotifyPeriodicEventStream")
async def test_a_send_is_handled_and_stored_and_not_answered(bench: Bench) -> None:
    bench.broker.node._routes = Routes([Route(Version.V21, "NotifyPeriodicEventStream", keep_stream), *_boot()])
    async with bench.station(subprotocols=["ocpp2.1"]) as client:
        await call(client, "BootNotification", **BOOT)
        await client.send(json.dumps([6, "s-1", "NotifyPeriodicEventStream", STREAM]))
        (frame,) = await stored(bench, "s-1")
        assert (frame.outcome, frame.answer, frame.from_station) == ("sent", None, True)
        await client.send(json.dumps([2, "after", "BootNotification", BOOT]))
        assert json.loads(await client.recv())[1] == "after"  # nothing came before it
        async with bench.store.reading() as work:
            kept = (await work.session.exec(select(DataTransfer))).one()
    assert kept.vendor_id == "230.1"


def _boot() -> list[Route]:
    handlers = find_routes()._handlers
    return [Route(Version.V21, "BootNotification", handlers[Version.V21, "BootNotification"])]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ([6, "s-1", "NotifyPeriodicEventStream", {"id": "x"}], "TypeConstraintViolation"),
        ([6, "s-1", "Heartbeat", {}], "NotSupported"),
        ([6, "s-1", "Nonsense", {}], "NotImplemented"),
    ],
)
async def test_a_send_that_cannot_be_used_is_stored_and_not_answered(bench: Bench, text: list[Any], code: str) -> None:
    async with bench.station(subprotocols=["ocpp2.1"]) as client:
        await call(client, "BootNotification", **BOOT)
        await client.send(json.dumps(text))
        (frame,) = await stored(bench, "s-1")
        assert (frame.outcome, frame.error_code, frame.answer) == ("refused", code, None)
        await client.send(json.dumps([2, "after", "Heartbeat", {}]))
        assert json.loads(await client.recv())[1] == "after"


async def test_an_answer_that_the_station_cannot_use(bench: Bench, api: httpx.AsyncClient) -> None:
    """The exchange ends as such, the text is kept, and the operator reads why."""
    async with bench.station(subprotocols=["ocpp2.1"]) as client:
        await call(client, "BootNotification", **BOOT)
        await client.send(json.dumps([2, "h-1", "Heartbeat", {}]))
        assert json.loads(await client.recv())[:2] == [3, "h-1"]
        await client.send(json.dumps([5, "h-1", "FormatViolation", "currentTime has no zone", {}]))
        exchange, text = await stored(bench, "h-1", 2)
        assert (exchange.outcome, exchange.error_code, exchange.action) == (
            "answer_refused",
            "FormatViolation",
            "Heartbeat",
        )
        assert exchange.answer is not None
        assert (text.outcome, text.action) == ("answer_refused", "Heartbeat")
        assert "currentTime has no zone" in (text.request or "")
        assert (await call(client, "Heartbeat"))[0] == 3
        lines = (await api.get("/api/v1/stations/CS-1/logs", params={"level": "error"})).json()["items"]
    assert "could not use our answer to Heartbeat" in lines[0]["text"]
    assert "currentTime has no zone" in lines[0]["why"]


async def test_one_that_names_no_call_of_the_station_is_only_kept(bench: Bench) -> None:
    async with bench.station(subprotocols=["ocpp2.1"]) as client:
        await call(client, "BootNotification", **BOOT)
        await client.send(json.dumps([5, "never", "GenericError", "", {}]))
        (text,) = await stored(bench, "never")
        assert (text.outcome, text.action, text.answer) == ("answer_refused", None, None)
        assert (await call(client, "Heartbeat"))[0] == 3


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
@pytest.mark.parametrize("kind", [5, 6])
async def test_before_2_1_these_types_are_ignored(bench: Bench, version: str, kind: int) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await client.send(json.dumps([kind, "x", "Heartbeat", {}, {}]))
        await client.send(json.dumps([2, "after", "Heartbeat", {}]))
        assert json.loads(await client.recv())[:2] == [3, "after"]
        assert await frames_with(bench, "x") == []
