"""F2: hears of errors and windows, puts what is due into messages, and sends them."""

import asyncio

from csms.fleet.escalation.deliveries import Leased, lease_due, record, send
from csms.fleet.escalation.escalations import due_rules, escalate_rule
from csms.fleet.escalation.service import close_escalations, open_escalations, release_held
from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.runtime import Runtime
from csms.station.errors import Resolution
from csms.store import Work


async def error_raised(work: Work, event: Event) -> None:
    """An error is new, or worse than before."""
    worse_since = event.at if event.kind == "error_worsened" else None
    await open_escalations(work, int(event.data["error_id"]), worse_since=worse_since)


async def error_resolved(work: Work, event: Event) -> None:
    """An error is over."""
    resolution = Resolution(event.data["resolution"])
    await close_escalations(work, int(event.data["error_id"]), event.at, resolution)


async def window_changed(work: Work, event: Event) -> None:
    """A maintenance window was changed or is over."""
    if event.station_id is not None:
        await release_held(work, event.station_id)


async def escalate_due(runtime: Runtime) -> None:
    """Put escalations whose time has come into messages; a rule in trouble does not keep back the others."""
    async with runtime.store.reading() as work:
        rule_ids = await due_rules(work)
    failures = []
    for rule_id in rule_ids:
        try:
            async with runtime.store.writing() as work:
                await escalate_rule(work, rule_id, runtime.settings.public_url)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised when the others had their turn
            failures.append(error)
    if failures:
        raise ExceptionGroup("rules that could not be worked through", failures)


async def deliver_due(runtime: Runtime) -> None:
    """Send what is due, many at once; each result is noted as soon as it is known."""
    while True:
        async with runtime.store.writing() as work:
            leased = await lease_due(work, runtime.secret_key)
        if not leased:
            return
        async with asyncio.TaskGroup() as sending:
            for one in leased:
                sending.create_task(_deliver(runtime, one))


async def _deliver(runtime: Runtime, leased: Leased) -> None:
    outcome = await send(runtime, leased)
    async with runtime.store.writing() as work:
        await record(work, leased, outcome)


JOBS = (
    Job("escalation.escalate_due", every_s=5, run=escalate_due),
    Job("escalation.deliver_due", every_s=2, run=deliver_due, limit_s=1800),
)
CONSUMERS = (
    Consumer("escalation.error_raised", frozenset({"error_raised", "error_worsened"}), error_raised),
    Consumer("escalation.error_resolved", frozenset({"error_resolved"}), error_resolved),
    Consumer(
        "escalation.window_changed",
        frozenset({"maintenance_window_changed", "maintenance_window_ended"}),
        window_changed,
    ),
)
