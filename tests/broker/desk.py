"""An operator at the API and a station at the socket, for tests of what the one sends and the other answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection

from csms.ocpp.versions import Version
from tests.broker.conftest import DEADLINE_S, Bench, call

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "/api/v1/stations/CS-1"
PROFILES = f"{URL}/charging-profiles"
ACCEPTED = {"status": "Accepted"}
Payload = dict[str, Any]
Reply = Payload | Callable[[str, Payload], Payload]

PERIODS = [{"start_s": 0, "limit": 21.4, "phases": 3}, {"start_s": 3600, "limit": 6}]
EVENING: Payload = {
    "charge_point_number": 1,
    "purpose": "transaction_default",
    "kind": "absolute",
    "stack_level": 0,
    "schedules": [{"unit": "A", "starts_at": "2026-01-01T12:00:00Z", "duration_s": 86400, "periods": PERIODS}],
}


def wanted(**changed: Any) -> Payload:
    return {**EVENING, **changed}


def schedule(limit: float, **more: Any) -> list[Payload]:
    return [{"unit": "A", "starts_at": "2026-01-01T12:00:00Z", "periods": [{"start_s": 0, "limit": limit}], **more}]


class Desk:
    """An operator at the API and a station at the socket: what the one sends the other answers."""

    def __init__(self, api: httpx.AsyncClient, client: ClientConnection, version: Version) -> None:
        self.api, self.client, self.version = api, client, version
        self.asked: list[tuple[str, Payload]] = []

    async def call(self, action: str, **payload: Any) -> Payload:
        """The station calls us; a CALLERROR fails."""
        answer = await call(self.client, action, **payload)
        assert answer[0] == 3, answer
        return dict(answer[2])

    async def do(self, request: Awaitable[httpx.Response], *replies: Reply) -> httpx.Response:
        """Carry out a request of the operator while the station answers with `replies`, in order."""
        doing = asyncio.ensure_future(request)
        for reply in replies or (ACCEPTED,):
            frame = json.loads(await asyncio.wait_for(self.client.recv(), DEADLINE_S))
            self.asked.append((frame[2], frame[3]))
            answer = reply(frame[2], frame[3]) if callable(reply) else reply
            await self.client.send(json.dumps([3, frame[1], answer]))
        return await doing

    async def refused(self, request: Awaitable[httpx.Response], status: int) -> Payload:
        """A request that never reaches the station."""
        answer = await request
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def profile(self, *replies: Reply, **changed: Any) -> Payload:
        """Set a profile and return its resource."""
        answer = await self.do(self.api.post(PROFILES, json=wanted(**changed)), *replies)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def states(self) -> dict[int, str]:
        """What is known of each profile, by its number; the newest of each."""
        items = (await self.api.get(PROFILES)).json()["items"]
        return {item["profile_id"]: item["state"] for item in reversed(items)}

    async def limits(self, number: int = 1) -> Payload:
        shown = (await self.api.get(f"{URL}/charging-limits")).json()
        return dict(shown["station"] if number == 0 else shown["charge_points"][number - 1])


@asynccontextmanager
async def sitting(bench: Bench, api: httpx.AsyncClient, version: Version) -> AsyncIterator[Desk]:
    """A booted station with charge points 1 and 2, and the operator."""
    async with bench.station(subprotocols=[version]) as client:
        desk = Desk(api, client, version)
        if version is Version.V16:
            await desk.call("BootNotification", chargePointVendor="V", chargePointModel="M")
            for number in (1, 2):
                await desk.call("StatusNotification", connectorId=number, errorCode="NoError", status="Available")
        else:
            boot = {"chargingStation": {"model": "M", "vendorName": "V"}, "reason": "PowerUp"}
            await desk.call("BootNotification", **boot)
            for number in (1, 2):
                about = {"timestamp": "2026-01-01T12:00:00Z", "connectorStatus": "Available"}
                await desk.call("StatusNotification", **about, evseId=number, connectorId=1)
        yield desk


async def start(desk: Desk, number: int = 1) -> str:
    """A charge begins at noon; returns its transaction's id."""
    at = "2026-01-01T12:00:00Z"
    if desk.version is Version.V16:
        about = {"connectorId": number, "idTag": "TAG", "meterStart": 0, "timestamp": at}
        return str((await desk.call("StartTransaction", **about))["transactionId"])
    await desk.call(
        "TransactionEvent",
        eventType="Started",
        timestamp=at,
        triggerReason="Authorized",
        seqNo=0,
        transactionInfo={"transactionId": f"tx-{number}"},
        evse={"id": number, "connectorId": 1},
        idToken={"idToken": "TAG", "type": "ISO14443"},
    )
    return f"tx-{number}"


async def stop(desk: Desk, transaction_id: str) -> None:
    """The charge ends half an hour later."""
    at = "2026-01-01T12:30:00Z"
    if desk.version is Version.V16:
        await desk.call("StopTransaction", transactionId=int(transaction_id), meterStop=100, timestamp=at)
        return
    await desk.call(
        "TransactionEvent",
        eventType="Ended",
        timestamp=at,
        triggerReason="EVDeparted",
        seqNo=1,
        transactionInfo={"transactionId": transaction_id, "stoppedReason": "EVDisconnected"},
    )
