"""Periodic work: features offer jobs, APScheduler is the alarm clock, one worker of the installation runs them.

That worker holds the lock `jobs` (csms/store/locks.py) for as long as it lives; the others deliver facts as it does and
wait for the lock. So no job runs twice at a time, a dead worker's jobs go on at once, and an idle installation writes
nothing (docs/adr/0012). Jobs must bear to be cut off and to be run twice.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from prometheus_client import Counter, Gauge

from csms.troubles import Troubles, short

if TYPE_CHECKING:
    from csms.runtime import Runtime

log = structlog.get_logger(__name__)

OUTBOX = "outbox"
LOCK = "jobs"
KEEP_S = 2.0
"""How often a worker asks for the lock, or whether it still has it."""
STOP_TIMEOUT_S = 10.0
IS_ACTIVE = Gauge(
    "csms_worker_is_active", "1 in the process that runs the installation's jobs, 0 in those that stand by"
)
RUNS = Counter("csms_job_runs", "Runs of periodic jobs by outcome: done, failed, cut_off", ["job", "outcome"])
LAST_DONE = Gauge("csms_job_last_done_timestamp_seconds", "When a job was last done (Unix time)", ["job"])


@dataclass(frozen=True, slots=True)
class Job:
    """Work done every `every_s` seconds by one worker; offered in a feature's `jobs.py` as `JOBS`."""

    name: str
    every_s: float
    run: Callable[["Runtime"], Awaitable[None]]
    limit_s: float = 300
    """A run that takes longer hangs: it is cut off, and begun anew when its time comes again."""


class Worker:
    """Runs the jobs of an installation in this process, or stands by for the worker that does."""

    def __init__(self, runtime: "Runtime", jobs: Iterable[Job]) -> None:
        self._runtime = runtime
        self._jobs = list(jobs)
        self._lock = runtime.store.lock(LOCK)
        self._lock.on_lost = self._lost
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._under_way: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._deliveries: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_away = False
        self._troubles = Troubles()
        """How each job, and the delivery, failed last time: the same again is one line, not a page every second."""

    @property
    def is_active(self) -> bool:
        """Whether the jobs are this worker's to run."""
        return self._lock.is_held

    async def start(self) -> None:
        """Raises what `keep` hides at its first attempt: a worker that can never have the lock must not seem to run."""
        await self._take()
        for job in self._jobs:
            self._scheduler.add_job(
                self.run,
                "interval",
                args=[job],
                name=job.name,
                seconds=job.every_s,
                id=job.name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,  # late is better than not before the next time, which may be hours away
            )
        self._scheduler.start()
        self._keeping = asyncio.create_task(self._keep_for_ever(), name="keep the jobs' lock")
        self._deliveries = asyncio.create_task(self._deliver_for_ever(), name="deliver facts")

    # --- whose turn it is ---------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Take the lock if it is free, or make sure that it is still ours."""
        try:
            await self._take()
        except Exception as error:  # noqa: BLE001  # whatever it is, the lock is not held, and asked for again
            if not self._is_away:
                log.warning("no jobs are run here: their lock cannot be had", error=repr(error))
            self._is_away = True
        else:
            self._is_away = False

    async def _take(self) -> None:
        was_active = self.is_active
        is_active = await self._lock.take()
        IS_ACTIVE.set(is_active)
        if is_active and not was_active:
            log.info("this worker runs the jobs")

    def _lost(self) -> None:
        """Another worker may have begun the jobs already: end what is under way."""
        IS_ACTIVE.set(0)
        if not self._is_stopping:
            jobs = [task.get_name() for task in self._under_way]
            log.warning("the jobs' lock was lost; what is under way is cut off", jobs=jobs)
        self._cut_off()

    def _cut_off(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def _keep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            await self.keep()

    # --- what is done ---------------------------------------------------------------------------------------

    async def run(self, job: Job) -> bool:
        """Run the job once if the jobs are this worker's; returns whether it ran to its end, good or bad."""
        if self._is_stopping or not self.is_active:
            return False
        task = asyncio.create_task(self._run(job), name=job.name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait([task])
        return not task.cancelled()

    async def _run(self, job: Job) -> None:
        limit = asyncio.timeout(job.limit_s)
        try:
            async with limit:
                await job.run(self._runtime)
        except Exception as error:
            outcome = "cut_off" if limit.expired() else "failed"
            if self._troubles.is_new(job.name, error):
                log.exception("job failed", job=job.name, outcome=outcome, limit_s=job.limit_s)
            else:
                log.warning("job failed again", job=job.name, outcome=outcome, error=short(error))
        else:
            outcome = "done"
            self._troubles.is_over(job.name)
            LAST_DONE.labels(job.name).set_to_current_time()
        RUNS.labels(job.name, outcome).inc()

    async def _deliver_for_ever(self) -> None:
        outbox = self._runtime.outbox
        while not self._is_stopping:
            try:
                await outbox.deliver_due()
            except Exception as error:
                if self._troubles.is_new(OUTBOX, error):
                    log.exception("news cannot be delivered; trying on")
            else:
                if self._troubles.is_over(OUTBOX):
                    log.info("news is delivered again")
            if not self._is_stopping:
                await outbox.wait_for_news(timeout_s=1.0)

    async def stop(self) -> None:
        """Let what was begun end, within STOP_TIMEOUT_S; then the next worker may have the jobs."""
        self._is_stopping = True
        if self._scheduler.running:
            self._scheduler.pause()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.gather(*map(asyncio.shield, self._under_way), return_exceptions=True)
                if self._deliveries is not None:
                    await asyncio.shield(self._deliveries)
        self._cut_off()
        await _end(*self._under_way, self._deliveries, self._keeping)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await self._lock.release()
        IS_ACTIVE.set(0)


async def _end(*tasks: asyncio.Task[None] | None) -> None:
    left = [task for task in tasks if task is not None]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
