"""Stations that answer calls as a test wants: the other half of a command."""

import asyncio
import base64
import json
from typing import Any

from websockets.asyncio.client import ClientConnection

from tests.broker.conftest import DEADLINE_S


def basic(username: str, password: bytes | str) -> dict[str, str]:
    """The header of HTTP Basic."""
    secret = password.encode() if isinstance(password, str) else password
    return {"Authorization": "Basic " + base64.b64encode(username.encode() + b":" + secret).decode()}


async def next_call(client: ClientConnection) -> tuple[str, str, dict[str, Any]]:
    """The next call that the station gets: message id, action, payload."""
    while True:
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        if frame[0] == 2:
            return frame[1], frame[2], frame[3]


async def answer_next(client: ClientConnection, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Answer the next call with that payload; returns its action and payload."""
    message_id, action, payload = await next_call(client)
    await client.send(json.dumps([3, message_id, answer]))
    return action, payload


async def refuse_next(client: ClientConnection, code: str) -> None:
    """Answer the next call with a CALLERROR."""
    message_id, _action, _payload = await next_call(client)
    await client.send(json.dumps([4, message_id, code, "", {}]))
