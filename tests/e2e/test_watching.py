"""P6: what watches an installation finds health, readiness and metrics in every process, also without the API."""

import httpx
import pytest

from csms.config import Settings
from csms.launch.process import Part, prepare, running
from csms.launch.welcome import welcome

pytestmark = [pytest.mark.feature("P6")]


@pytest.mark.parametrize(
    ("part", "metric"), [(Part.BROKER, "csms_broker_connections"), (Part.WORKER, "csms_worker_is_active")]
)
async def test_a_process_without_the_api_can_be_watched(part: Part, metric: str, settings: Settings) -> None:
    own = settings.model_copy(update={"metrics_port": 0, "broker_port": 0})
    await prepare(own)
    async with running(own, {part}) as started:
        url = f"http://127.0.0.1:{started.metrics_port}"
        assert f"{url}/metrics" in welcome(started, is_demo=False)
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health")).json() == {"status": "ok"}
            assert (await client.get("/ready")).json()["is_ready"] is True
            assert metric in (await client.get("/metrics")).text
            through_a_proxy = await client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"})
            assert through_a_proxy.status_code == 401
            assert (await client.get("/api/v1/stations")).status_code == 404


async def test_without_a_port_nothing_listens(settings: Settings) -> None:
    await prepare(settings)
    async with running(settings.model_copy(update={"broker_port": 0}), {Part.BROKER}) as started:
        assert started.metrics_port == 0
        assert "metrics" not in welcome(started, is_demo=False)
