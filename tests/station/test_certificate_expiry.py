"""B10: nobody is surprised by a certificate that expires: warned once for each step, renewed, and then all is well."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.calls import Answered, Offline, Order, Outcome, call_subject, read_order, write_outcome
from csms.clock import FixedClock
from csms.ocpp.versions import Version
from csms.outbox import Event
from csms.runtime import Runtime
from csms.station.certificates.rules.expiry import due_step, is_urgent, must_renew, words_of
from csms.station.certificates.service.watching import watch
from csms.station.connections import ShownCertificate, keep_server_certificates
from csms.station.connections.service import node_is_alive
from csms.store import Store
from tests.builders import CallingStation, connect, make_station
from tests.certificate_builders import NOW, pem_of, root_certificate

pytestmark = pytest.mark.feature("B10", "S5")
STEPS = [30, 7, 1]


@pytest.mark.parametrize(
    ("days_left", "warned", "step"),
    [
        (31, None, None),
        (30, None, 30),
        (30, 30, None),
        (8, 30, None),
        (7, 30, 7),
        (6, None, 7),
        (0.5, 7, 1),
        (0.5, 1, None),
        (-1, 1, 0),
        (-1, None, 0),
        (-9, 0, None),
    ],
)
def test_each_step_is_due_once(days_left: float, warned: int | None, step: int | None) -> None:
    assert due_step(STEPS, NOW + timedelta(days=days_left), NOW, warned) == step


def test_words_and_renewals() -> None:
    assert words_of("CN=a", NOW + timedelta(days=7), NOW) == "CN=a expires on 2026-01-08, in 7 days"
    assert words_of("CN=a", NOW + timedelta(days=1), NOW) == "CN=a expires on 2026-01-02, in 1 day"
    assert words_of("CN=a", NOW, NOW) == "CN=a expired on 2026-01-01"
    assert [is_urgent(STEPS, step) for step in (30, 1, 0)] == [False, True, True]
    end = NOW + timedelta(days=10)
    assert must_renew(None, end, NOW, None) is False
    assert must_renew(9, end, NOW, None) is False
    assert must_renew(10, end, NOW, None) is True
    assert must_renew(10, end, NOW, NOW - timedelta(hours=23)) is False
    assert must_renew(10, end, NOW, NOW - timedelta(hours=24)) is True


async def install(calling: CallingStation, *, days: int, kind: str = "CSMSRootCertificate") -> None:
    body = {"certificateType": kind, "certificate": pem_of(root_certificate("Ours", days=days))}
    await calling.answered("InstallCertificate", body, {"status": "Accepted"})


async def errors(api: httpx.AsyncClient, calling: CallingStation) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/v1/stations/{calling.connected.identity}/errors")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def facts(store: Store, kind: str) -> list[dict[str, Any]]:
    async with store.reading() as work:
        rows = await work.session.exec(select(Event).where(Event.kind == kind).order_by(Event.id))  # type: ignore[arg-type]
        return [row.data for row in rows]


async def test_warnings_become_an_error_that_ends_with_the_certificate(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    calling = await connect(store, await make_station(store), Version.V201)
    await install(calling, days=40)
    await watch(runtime)
    assert await errors(api, calling) == []
    clock.advance(days=11)
    for _ in range(2):
        await watch(runtime)
    (error,) = await errors(api, calling)
    assert (error["code"], error["source"], error["severity"]) == ("CertificateExpiring", "system", "warning")
    assert error["info"] == "CN=Ours expires on 2026-02-10, in 29 days"
    soon = (await api.get("/api/v1/certificates")).json()["items"]
    assert [(one["subject"], one["days_left"]) for one in soon] == [("CN=Ours", 29)]
    assert (await api.get("/api/v1/certificates", params={"expires_within_days": 7})).json()["items"] == []
    clock.advance(days=28)
    await watch(runtime)
    (error,) = await errors(api, calling)
    assert (error["severity"], error["repeat_count"]) == ("error", 1)
    clock.advance(days=2)
    await watch(runtime)
    texts = [fact["text"] for fact in await facts(store, "certificate_expiring")]
    assert texts == [
        "CN=Ours expires on 2026-02-10, in 29 days",
        "CN=Ours expires on 2026-02-10, in 1 day",
        "CN=Ours expired on 2026-02-10",
    ]
    assert len(await facts(store, "error_raised")) == 1
    assert len(await facts(store, "error_worsened")) == 1
    await calling.answered("GetInstalledCertificateIds", {}, {"status": "NotFound"})
    await watch(runtime)
    (error,) = await errors(api, calling)
    assert error["resolution"] == "system"


async def test_what_is_revoked_or_far_away_warns_nobody(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    calling = await connect(store, await make_station(store), Version.V21)
    await install(calling, days=400)
    await install(calling, days=5)
    listed = (await api.get("/api/v1/certificates")).json()["items"]
    url = f"/api/v1/stations/{calling.connected.identity}/certificates/{listed[0]['id']}/revoke"
    await api.post(url, json={"reason": "unused"})
    await watch(runtime)
    assert await errors(api, calling) == []


async def test_the_authority_itself_is_watched(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    await api.post("/api/v1/certificate-authority", json={"operator_name": "Fjord", "days": 30})
    for _ in range(2):
        await watch(runtime)
    (fact,) = await facts(store, "certificate_expiring")
    assert fact["text"] == "O=Fjord,CN=Fjord Station CA expires on 2026-01-31, in 30 days"
    assert (await api.get("/api/v1/certificate-authority")).json()["days_left"] == 30


@pytest.mark.parametrize("version", list(Version))
async def test_a_station_is_asked_to_renew_by_itself_once_a_day(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock, version: Version
) -> None:
    station = await make_station(store, protocol=version.value, is_online=True)
    calling = await connect(store, station, version)
    orders: list[Order] = []
    outcome: Outcome = Offline("gone")

    async def serve(data: bytes) -> bytes:
        orders.append(read_order(data))
        return write_outcome(outcome)

    await runtime.bus.serve(call_subject(station.identity), serve)
    chain = {"certificateChain": pem_of(root_certificate("Login", days=20))}
    await calling.answered("CertificateSigned", chain, {"status": "Accepted"})
    await watch(runtime)
    assert orders == [], "the policy leaves it to operators"
    await api.patch("/api/v1/certificate-policy", json={"renew_days": 30})
    for _ in range(2):
        await watch(runtime)
    assert len(orders) == 1
    outcome = Answered({"status": "Accepted"})
    clock.advance(days=1)
    await watch(runtime)
    assert len(orders) == 2
    is_16 = version is Version.V16
    assert orders[0].action == ("ExtendedTriggerMessage" if is_16 else "TriggerMessage")
    (shown,) = (await api.get(f"/api/v1/stations/{station.identity}/certificates")).json()["items"]
    assert shown["renewal_asked_at"] == "2026-01-02T00:00:00Z"


async def test_the_brokers_own_certificate_is_warned_of_too_until_it_is_renewed(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    await make_station(store)  # and with it the organisation

    async def show(fingerprint: str, not_after: datetime) -> None:
        shown = ShownCertificate("server.pem", "CN=csms", ("csms.example.com",), fingerprint, NOW, not_after)
        async with store.writing() as work:
            await node_is_alive(work, "node-1")
            await keep_server_certificates(work, "node-1", [shown])

    ends = clock() + timedelta(days=20)
    for _ in range(2):  # as after a restart with the same files
        await show("a1", ends)
        await watch(runtime)
    (fact,) = await facts(store, "certificate_expiring")
    assert fact["what"] == "server_certificate"
    assert fact["text"].startswith("the TLS port's certificate CN=csms (server.pem) expires on ")
    assert fact["text"].endswith(", in 20 days")
    (listed,) = (await api.get("/api/v1/server-certificates")).json()["items"]
    assert (listed["days_left"], listed["hosts"]) == (20, ["csms.example.com"])
    await show("b2", clock() + timedelta(days=400))
    clock.advance(days=15)
    await watch(runtime)
    assert len(await facts(store, "certificate_expiring")) == 1
    assert (await api.get("/api/v1/server-certificates")).json()["items"] == []  # that broker is not running any more
