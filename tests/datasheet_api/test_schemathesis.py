"""Random requests made from the OpenAPI document, over a real socket: never a 5xx, always as documented."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from csms.platform.access import Access
from csms.runtime import Runtime
from csms.store import Store
from datasheet_api.server import ApiServer
from tests.builders import make_station

EXAMPLES = 12
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def attack(operation: Any, base_url: str, headers: dict[str, str], station: str) -> Counter[int]:
    """Send some requests that the operation's description allows; how often each status came back."""
    statuses: Counter[int] = Counter()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        if "station_id" in (case.path_parameters or {}):
            case.path_parameters["station_id"] = station  # one that exists, so that more than 404 is reached
        answer = case.call_and_validate(base_url=base_url, headers=headers, checks=CHECKS, timeout=30)
        statuses[answer.status_code] += 1

    check()
    return statuses


def is_endless(context: Any) -> bool:
    """A stream of events never ends by itself; its own tests read it."""
    return "text/event-stream" in context.operation.definition.raw["responses"].get("200", {}).get("content", {})


@pytest.mark.slow
async def test_random_requests_are_answered_as_documented(
    app: FastAPI, api: httpx.AsyncClient, store: Store, runtime: Runtime
) -> None:
    station = await make_station(store)
    app.state.authenticator = Access(runtime.settings.model_copy(update={"requests_per_minute_max": 1_000_000}))
    server = ApiServer(app, runtime.settings)
    base_url = f"http://127.0.0.1:{await server.start()}"
    headers = {"Authorization": api.headers["Authorization"]}
    schema = schemathesis.openapi.from_dict(app.openapi()).exclude(is_endless)
    statuses: Counter[int] = Counter()
    failures: list[Exception] = []
    try:
        for operation in [result.ok() for result in schema.get_all_operations()]:
            try:
                statuses += await asyncio.to_thread(attack, operation, base_url, headers, station.identity)
            except Exception as failure:  # noqa: BLE001  # all operations are tried, then all failures told
                failures.append(failure)
    finally:
        await server.stop()
    if failures:
        raise ExceptionGroup("operations that did not answer as documented", failures)
    assert sum(count for status, count in statuses.items() if status < 300) > statuses.total() / 4, statuses
    assert statuses[401] <= EXAMPLES, statuses  # only the logins: the key held to the end
