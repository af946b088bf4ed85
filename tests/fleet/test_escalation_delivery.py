"""F2: deliveries over real SMTP and HTTP: signed, retried, each attempt stored, repeated at most once by a crash."""

import asyncio
import email
import email.policy
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select, update

from csms import webhooks
from csms.clock import FixedClock
from csms.config import Settings
from csms.fleet.escalation import Delivery, DeliveryAttempt, Escalation, EscalationRule
from csms.fleet.escalation.deliveries import LEASE_S, Leased, Outcome, lease_due, record, send
from csms.fleet.escalation.jobs import deliver_due, escalate_due
from csms.fleet.escalation.rules import ATTEMPTS_MAX, AttemptResult, DeliveryState, EscalationState
from csms.mail import SmtpMailer, SmtpSettings
from csms.runtime import Runtime, open_runtime
from csms.station.information import Station
from tests.builders import connect, make_organisation, make_station
from tests.servers import Answer, HttpReceiver, SmtpServer, http_receiver, smtp_server

pytestmark = pytest.mark.feature("F2")

RULES = "/api/v1/escalation-rules"


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture
def smtp(runtime: Runtime, clock: FixedClock) -> Iterator[SmtpServer]:
    """A mail server that the runtime sends to."""
    with smtp_server() as server:
        settings = SmtpSettings(host=server.host, port=server.port, sender="csms@example.com", security="none")
        runtime.mailer = SmtpMailer(settings, clock)
        yield server


async def make_rule(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(RULES, json={"name": "Night shift", "hold_off_s": 0, "roll_up_s": 0} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def raise_error(runtime: Runtime, **fields: Any) -> Station:
    """An error whose escalations are in messages, none of them sent."""
    station = await make_station(runtime.store, **fields)
    caller = await connect(runtime.store, station)
    await caller.call("StatusNotification", connectorId=1, errorCode="GroundFailure", status="Faulted", info="leak")
    await runtime.outbox.deliver_due()
    await escalate_due(runtime)
    return station


async def deliveries(runtime: Runtime) -> list[Delivery]:
    async with runtime.store.reading() as work:
        return list((await work.session.exec(select(Delivery).order_by(col(Delivery.id)))).all())


async def attempts(runtime: Runtime) -> list[tuple[AttemptResult, str | None]]:
    async with runtime.store.reading() as work:
        rows = await work.session.exec(select(DeliveryAttempt).order_by(col(DeliveryAttempt.id)))
        return [(row.result, row.detail) for row in rows]


async def states(runtime: Runtime) -> list[EscalationState]:
    async with runtime.store.reading() as work:
        return [row.state for row in await work.session.exec(select(Escalation))]


# --- e-mail -------------------------------------------------------------------------------------------------------


async def test_an_alert_arrives_by_mail(runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"], language="de")
    station = await raise_error(runtime, name="Kai 3", site="Hafen")
    await deliver_due(runtime)
    (received,) = await smtp.received(1)
    message = email.message_from_bytes(received.content, policy=email.policy.default)
    (delivery,) = await deliveries(runtime)
    assert received.recipients == ["night@example.com"]
    assert message["Subject"] == f"Kritisch: {station.identity} Kai 3, Ladepunkt 1: GroundFailure"
    assert message["Message-ID"] == f"<escalation-{delivery.id}@localhost>"
    body = message.get_content()
    assert "der FI-Schutz hat ausgelöst" in body
    assert "Hafen" in body
    assert delivery.state is DeliveryState.SENT
    assert await states(runtime) == [EscalationState.SENT]
    assert [result for result, _ in await attempts(runtime)] == [AttemptResult.SENT]


async def test_a_mail_server_in_trouble_is_tried_again_with_growing_pauses(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer, clock: FixedClock
) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"])
    await raise_error(runtime)
    smtp.refuse["DATA"] = "451 try later"
    await deliver_due(runtime)
    await deliver_due(runtime)  # not before its time
    assert [detail for _, detail in await attempts(runtime)] == ["451 try later"]
    clock.advance(seconds=30)
    await deliver_due(runtime)
    (delivery,) = await deliveries(runtime)
    assert (delivery.state, delivery.attempts, delivery.problem) == (DeliveryState.DUE, 2, "451 try later")
    assert delivery.next_attempt_at == clock() + timedelta(seconds=60)
    del smtp.refuse["DATA"]
    clock.advance(seconds=60)
    await deliver_due(runtime)
    assert len(await smtp.received(1)) == 1
    assert [result for result, _ in await attempts(runtime)] == [AttemptResult.FAILED] * 2 + [AttemptResult.SENT]
    (delivery,) = await deliveries(runtime)
    assert (delivery.state, delivery.sent_at, delivery.problem) == (DeliveryState.SENT, clock(), None)


async def test_an_address_refused_for_good_is_not_tried_again(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer
) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"])
    await raise_error(runtime)
    smtp.refuse["RCPT"] = "550 no such user"
    await deliver_due(runtime)
    (delivery,) = await deliveries(runtime)
    assert (delivery.state, delivery.problem) == (DeliveryState.FAILED, "550 no such user")
    assert await states(runtime) == [EscalationState.FAILED]
    async with runtime.store.reading() as work:
        (escalation,) = await work.session.exec(select(Escalation))
    assert escalation.reason == "not delivered: 550 no such user"


async def test_one_recipient_reached_counts_as_told(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer, clock: FixedClock
) -> None:
    await make_rule(api, channel="email", recipients=["a@example.com", "b@example.com"])
    await raise_error(runtime)
    async with runtime.store.writing() as work:
        first, second = await lease_due(work, runtime.secret_key)
    refused = Outcome(is_sent=False, detail="550 no such user", is_final=True)
    async with runtime.store.writing() as work:
        await record(work, first, refused)
    assert await states(runtime) == [EscalationState.DUE]
    async with runtime.store.writing() as work:
        await record(work, second, await send(runtime, second))
    assert await states(runtime) == [EscalationState.SENT]
    assert len(await smtp.received(1)) == 1


async def test_a_mail_server_away_for_half_a_night_loses_no_alarm(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer, clock: FixedClock
) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"])
    await raise_error(runtime)
    smtp.refuse["RCPT"] = "451 come back later"
    for _ in range(60):
        await deliver_due(runtime)
        clock.advance(minutes=5)
    del smtp.refuse["RCPT"]
    clock.advance(minutes=30)
    await deliver_due(runtime)
    await smtp.received(1)
    assert await states(runtime) == [EscalationState.SENT]


async def test_an_alarm_that_could_not_be_sent_while_it_mattered_wakes_nobody_later(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer, clock: FixedClock
) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"], sends_all_clear=True)
    station = await raise_error(runtime)
    smtp.refuse["RCPT"] = "451 come back later"
    await deliver_due(runtime)
    caller = await connect(runtime.store, station)
    await caller.call("StatusNotification", connectorId=1, errorCode="NoError", status="Available")
    del smtp.refuse["RCPT"]
    for _ in range(3):
        clock.advance(minutes=5)
        await runtime.outbox.deliver_due()
        await escalate_due(runtime)
        await deliver_due(runtime)
    assert smtp.mails == []
    (delivery,) = await deliveries(runtime)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 1)
    assert delivery.problem == "not sent any more: what it tells of is over"
    assert await states(runtime) == [EscalationState.FAILED]


async def test_without_a_mail_server_the_delivery_says_what_to_set(runtime: Runtime, api: httpx.AsyncClient) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"])
    await raise_error(runtime)
    await deliver_due(runtime)
    assert await attempts(runtime) == [(AttemptResult.FAILED, "no mail server is set; set CSMS_SMTP_HOST")]


async def test_after_the_last_attempt_it_is_given_up(
    runtime: Runtime, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    await make_rule(api, channel="email", recipients=["night@example.com"])
    await raise_error(runtime)
    for _ in range(ATTEMPTS_MAX + 2):
        await deliver_due(runtime)
        clock.advance(hours=1)
    (delivery,) = await deliveries(runtime)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, ATTEMPTS_MAX)
    assert len(await attempts(runtime)) == ATTEMPTS_MAX
    assert await states(runtime) == [EscalationState.FAILED]


# --- webhooks -----------------------------------------------------------------------------------------------------


async def test_a_webhook_arrives_signed_with_the_secret_shown_once(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    rule = await make_rule(api, channel="webhook", url=f"{receiver.url}/alarm")
    station = await raise_error(runtime)
    await deliver_due(runtime)
    (request,) = await receiver.received(1)
    (delivery,) = await deliveries(runtime)
    assert request.path == "/alarm"
    assert request.headers["webhook-id"] == str(delivery.id)
    assert webhooks.verify(request.headers, request.body, secret=rule["webhook_secret"], now=clock())
    news = json.loads(request.body)
    assert news["type"] == "escalation.alert"
    (error,) = news["data"]["errors"]
    assert (error["station_id"], error["code"], error["severity"], error["info"]) == (
        station.identity,
        "GroundFailure",
        "critical",
        "leak",
    )
    assert await attempts(runtime) == [(AttemptResult.SENT, "HTTP 200")]
    assert "webhook_secret" not in (await api.get(f"{RULES}/{rule['id']}")).json()


async def test_a_renewed_secret_signs_and_the_old_one_does_not(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    rule = await make_rule(api, channel="webhook", url=receiver.url)
    renewed = (await api.post(f"{RULES}/{rule['id']}/secret")).json()["webhook_secret"]
    await raise_error(runtime)
    await deliver_due(runtime)
    (request,) = await receiver.received(1)
    assert webhooks.verify(request.headers, request.body, secret=renewed, now=clock())
    assert not webhooks.verify(request.headers, request.body, secret=rule["webhook_secret"], now=clock())


async def test_a_failing_receiver_is_tried_again_with_the_same_id(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    receiver.answer(500, 503)
    for _ in range(3):
        await deliver_due(runtime)
        clock.advance(minutes=2)
    first, second, third = await receiver.received(3)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == third.headers["webhook-id"]
    assert first.body == third.body
    assert [detail for _, detail in await attempts(runtime)] == ["HTTP 500", "HTTP 503", "HTTP 200"]


async def test_a_receiver_that_is_gone_for_good_is_not_tried_again(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    receiver.answer(410)
    await deliver_due(runtime)
    clock.advance(days=1)
    await deliver_due(runtime)
    assert len(receiver.requests) == 1
    assert await states(runtime) == [EscalationState.FAILED]


@pytest.mark.robustness(40)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:8000/",
        "http://[::1]/",
        "http://10.0.0.5/",
        "ftp://example.com/",
        "https://user:password@example.com/",
        "nonsense",
        "http://",
    ],
)
async def test_targets_inside_the_house_are_refused_when_the_rule_is_made(api: httpx.AsyncClient, url: str) -> None:
    refused = await api.post(RULES, json={"name": "x", "channel": "webhook", "url": url})
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["place"] == "body/url"


@pytest.mark.robustness(40)
async def test_targets_inside_the_house_are_refused_at_delivery_too(runtime: Runtime, api: httpx.AsyncClient) -> None:
    await make_rule(api, channel="webhook", url="http://127.0.0.1:9/")
    await raise_error(runtime)
    async with runtime.store.writing() as work:
        await work.session.exec(update(Delivery).values(target="http://0x7f.1:9/"))
    await deliver_due(runtime)
    (delivery,) = await deliveries(runtime)
    assert delivery.state is DeliveryState.FAILED
    assert delivery.problem is not None
    assert "not public" in delivery.problem


# --- crashes and several workers ----------------------------------------------------------------------------------


async def lease_one(runtime: Runtime) -> Leased:
    async with runtime.store.writing() as work:
        (leased,) = await lease_due(work, runtime.secret_key)
    return leased


@pytest.mark.robustness(37)
async def test_a_crash_between_sending_and_noting_repeats_one_delivery_with_its_id(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    leased = await lease_one(runtime)
    assert (await send(runtime, leased)).is_sent  # and here the process dies
    await deliver_due(runtime)
    assert len(receiver.requests) == 1  # somebody else waits for the lease to run out
    clock.advance(seconds=LEASE_S)
    await deliver_due(runtime)
    first, second = await receiver.received(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [result for result, _ in await attempts(runtime)] == [AttemptResult.LOST, AttemptResult.SENT]
    clock.advance(days=1)
    await deliver_due(runtime)
    assert len(receiver.requests) == 2


@pytest.mark.robustness(37)
async def test_a_worker_cancelled_while_sending_leaves_the_delivery_to_the_next(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    receiver.answer(Answer(hangs=True))
    worker = asyncio.create_task(deliver_due(runtime))
    await receiver.received(1)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    clock.advance(seconds=LEASE_S)
    await deliver_due(runtime)
    assert len(await receiver.received(2)) == 2
    assert await states(runtime) == [EscalationState.SENT]


SENDER = """
import asyncio
from csms.config import load_settings
from csms.fleet.escalation.jobs import deliver_due
from csms.runtime import open_runtime

async def main():
    await deliver_due(await open_runtime(load_settings()))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.robustness(37)
async def test_a_worker_killed_while_sending_repeats_one_delivery(
    runtime: Runtime, settings: Settings, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    """A real process and SIGKILL: it has sent the message, and nobody has noted it."""
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    receiver.answer(Answer(hangs=True))
    environment = os.environ | {
        "CSMS_DATABASE_URL": settings.database_url.get_secret_value(),
        "CSMS_DATA_DIR": str(settings.data_dir),
        "CSMS_SECRET_KEY": "pepper for tests",
        "CSMS_WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1"]',
    }
    sender = await asyncio.create_subprocess_exec(sys.executable, "-c", SENDER, env=environment)
    await receiver.received(1, timeout_s=60)
    sender.kill()
    await sender.wait()
    clock.at = datetime.now(UTC)  # the killed process had the real clock
    await deliver_due(runtime)
    assert len(receiver.requests) == 1
    clock.advance(seconds=LEASE_S)
    await deliver_due(runtime)
    first, second = await receiver.received(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [result for result, _ in await attempts(runtime)] == [AttemptResult.LOST, AttemptResult.SENT]
    assert await states(runtime) == [EscalationState.SENT]


async def test_a_result_that_comes_after_the_lease_is_kept_if_it_is_good(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, clock: FixedClock
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    slow = await lease_one(runtime)
    clock.advance(seconds=LEASE_S)
    second = await lease_one(runtime)
    async with runtime.store.writing() as work:
        await record(work, slow, Outcome(is_sent=False, detail="HTTP 500"))
    assert [one.state for one in await deliveries(runtime)] == [DeliveryState.SENDING]
    async with runtime.store.writing() as work:
        await record(work, slow, Outcome(is_sent=True, detail="HTTP 200"))
    async with runtime.store.writing() as work:
        await record(work, second, Outcome(is_sent=False, detail="HTTP 500"))
    assert [one.state for one in await deliveries(runtime)] == [DeliveryState.SENT]
    assert await states(runtime) == [EscalationState.SENT]


@pytest.mark.robustness(37)
async def test_two_workers_at_once_send_each_message_once(
    runtime: Runtime, settings: Settings, clock: FixedClock, api: httpx.AsyncClient, receiver: HttpReceiver
) -> None:
    await make_rule(api, channel="webhook", url=receiver.url, group_by="none")
    station = await make_station(runtime.store)
    caller = await connect(runtime.store, station)
    for number in range(1, 13):
        await caller.call("StatusNotification", connectorId=number, errorCode="GroundFailure", status="Faulted")
    other = await open_runtime(settings, clock=clock)
    try:
        await asyncio.gather(runtime.outbox.deliver_due(), other.outbox.deliver_due())
        await asyncio.gather(escalate_due(runtime), escalate_due(other))
        await asyncio.gather(deliver_due(runtime), deliver_due(other))
    finally:
        await other.close()
    requests = await receiver.received(12)
    assert len(requests) == len({request.headers["webhook-id"] for request in requests}) == 12
    told = [json.loads(request.body)["data"]["errors"][0]["charge_point_number"] for request in requests]
    assert sorted(told) == list(range(1, 13))


# --- rules over HTTP ----------------------------------------------------------------------------------------------


async def test_rules_are_made_changed_and_deleted(runtime: Runtime, api: httpx.AsyncClient) -> None:
    made = await make_rule(
        api, channel="email", recipients=["night@example.com"], severities=["critical"], time_zone="Europe/Berlin"
    )
    assert made.pop("webhook_secret") is None
    path = f"{RULES}/{made['id']}"
    assert (await api.get(path)).json() == made
    changed = await api.patch(path, json={"hold_off_s": 60, "sources": ["offline"], "recipients": ["b@example.com"]})
    assert changed.json() == made | {"hold_off_s": 60, "sources": ["offline"], "recipients": ["b@example.com"]}
    assert (await api.get(RULES)).json()["items"] == [changed.json()]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_deleted_rule_tells_nothing_that_is_on_its_way(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver
) -> None:
    rule = await make_rule(api, channel="webhook", url=receiver.url)
    await raise_error(runtime)
    await api.delete(f"{RULES}/{rule['id']}")
    await deliver_due(runtime)
    assert receiver.requests == []
    assert [one.problem for one in await deliveries(runtime)] == ["the rule was deleted"]
    assert await states(runtime) == [EscalationState.CANCELLED]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"channel": "email"}, "body/recipients"),
        ({"channel": "email", "recipients": ["a@b.example"], "url": "https://example.com"}, "body/url"),
        ({"channel": "email", "recipients": ["a@b\r\nBcc: c@d"]}, "body/recipients/0"),
        ({"channel": "email", "recipients": ["nobody"]}, "body/recipients/0"),
        ({"channel": "webhook"}, "body/url"),
        ({"channel": "webhook", "url": "https://example.com", "recipients": ["a@b.example"]}, "body/recipients"),
        ({"channel": "email", "recipients": ["a@b.example"], "time_zone": "Europe"}, "body/time_zone"),
        ({"channel": "email", "recipients": ["a@b.example"], "time_zone": "../etc/passwd"}, "body/time_zone"),
        ({"channel": "email", "recipients": ["a@b.example"], "hold_off_s": -1}, "body/hold_off_s"),
        ({"channel": "email", "recipients": ["a@b.example"], "secret_salt": "x"}, "body/secret_salt"),
    ],
)
async def test_rules_that_cannot_work_are_refused_with_the_place(
    api: httpx.AsyncClient, fields: dict[str, Any], place: str
) -> None:
    refused = await api.post(RULES, json={"name": "x"} | fields)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["place"] == place


@pytest.mark.parametrize("address", ["night..shift@example.com", ".night@example.com", "a" * 65 + "@example.com"])
async def test_an_address_that_no_mail_can_go_to_is_refused_when_the_rule_is_made(
    api: httpx.AsyncClient, address: str
) -> None:
    answer = await api.post(RULES, json={"name": "Night shift", "channel": "email", "recipients": [address]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["place"] == "body/recipients/0"


async def test_a_change_that_breaks_a_rule_is_refused(api: httpx.AsyncClient) -> None:
    rule = await make_rule(api, channel="email", recipients=["night@example.com"])
    path = f"{RULES}/{rule['id']}"
    for body, place in [({"recipients": []}, "body/recipients"), ({"name": None}, "body/name")]:
        refused = await api.patch(path, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["place"]) == (422, place)
    assert (await api.post(f"{path}/secret")).status_code == 409
    assert (await api.get(path)).json()["recipients"] == ["night@example.com"]


async def test_a_test_message_goes_the_way_of_all_others_and_can_be_followed(
    runtime: Runtime, api: httpx.AsyncClient, smtp: SmtpServer
) -> None:
    rule = await make_rule(api, channel="email", recipients=["night@example.com"])
    started = await api.post(f"{RULES}/{rule['id']}/test")
    assert started.status_code == 202
    (delivery,) = started.json()
    await deliver_due(runtime)
    (received,) = await smtp.received(1)
    assert "Night shift" in received.content.decode()
    shown = (await api.get(f"/api/v1/deliveries/{delivery['id']}")).json()
    assert (shown["state"], shown["kind"], shown["next_attempt_at"]) == ("sent", "test", None)
    assert [(one["number"], one["result"]) for one in shown["attempt_list"]] == [(1, "sent")]
    for query, count in [("state=sent", 1), ("state=failed", 0), (f"rule_id={rule['id']}", 1), ("kind=alert", 0)]:
        assert len((await api.get(f"/api/v1/deliveries?{query}")).json()["items"]) == count


@pytest.mark.robustness(48)
async def test_the_secret_is_neither_stored_nor_shown_nor_logged(
    runtime: Runtime, api: httpx.AsyncClient, receiver: HttpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = await make_rule(api, channel="webhook", url=f"{receiver.url}/token-in-path")
    secret = rule["webhook_secret"].removeprefix("whsec_")
    await raise_error(runtime)
    receiver.answer(500)
    await deliver_due(runtime)
    async with runtime.store.reading() as work:
        stored = [str((await work.session.get_one(EscalationRule, int(rule["id"]))).model_dump())]
    stored += [str(row.model_dump()) for row in await deliveries(runtime)]
    shown = [
        (await api.get(path)).text
        for path in (RULES, f"{RULES}/{rule['id']}", "/api/v1/deliveries", "/api/v1/audit-log")
    ]
    logged = capsys.readouterr()
    for text in (*stored, *shown, logged.out, logged.err):
        assert secret not in text
    assert "token-in-path" not in logged.out + logged.err


async def test_rules_and_deliveries_are_for_those_who_may(
    runtime: Runtime, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, api_as: Any
) -> None:
    rule = await make_rule(api, channel="email", recipients=["night@example.com"])
    delivery = (await api.post(f"{RULES}/{rule['id']}/test")).json()[0]
    stranger = await api_as("administrator", await make_organisation(runtime.store, "Strangers"))
    reader = await api_as("user")
    assert (await anonymous.get(RULES)).status_code == 401
    assert (await reader.get(RULES)).status_code == 200
    assert (await reader.post(RULES, json={})).status_code == 403
    assert (await reader.post(f"{RULES}/{rule['id']}/test")).status_code == 403
    assert (await stranger.get(RULES)).json()["items"] == []
    for method, path in [
        ("GET", f"{RULES}/{rule['id']}"),
        ("PATCH", f"{RULES}/{rule['id']}"),
        ("DELETE", f"{RULES}/{rule['id']}"),
        ("POST", f"{RULES}/{rule['id']}/test"),
        ("GET", f"/api/v1/deliveries/{delivery['id']}"),
    ]:
        body = {"json": {}} if method == "PATCH" else {}
        assert (await stranger.request(method, path, **body)).status_code == 404, path
    assert (await stranger.get("/api/v1/deliveries")).json()["items"] == []
    assert (await stranger.delete(f"{RULES}/{rule['id']}")).status_code == 404
    assert (await api.get(f"{RULES}/{rule['id']}")).status_code == 200
