"""Periodic work: features offer jobs, APScheduler is the alarm clock, a lease lets several workers run.

A job runs in one process at a time: it takes the row of its name in `job_lease` until it ends or the lease
runs out, so that whoever notices a dead worker goes on. Jobs must bear to be run twice.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import update
from sqlmodel import Field, col, select

from csms.exceptions import Conflict
from csms.store import Table, UtcDateTime

if TYPE_CHECKING:
    from csms.runtime import Runtime

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """Work done every `every_s` seconds by one worker; offered in a feature's `jobs.py` as `JOBS`."""

    name: str
    every_s: float
    run: Callable[["Runtime"], Awaitable[None]]
    lease_s: float = 300


class JobLease(Table, table=True):
    """Who runs a job now, and when it last ended."""

    __tablename__ = "job_lease"

    name: str = Field(unique=True)
    owner: str = ""
    leased_until: datetime = Field(sa_type=UtcDateTime)
    last_ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = None


class Worker:
    """Runs the jobs of an installation in this process."""

    def __init__(self, runtime: "Runtime", jobs: Iterable[Job]) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._jobs = list(jobs)
        self._owner = secrets.token_hex(8)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._under_way: set[asyncio.Event] = set()
        self._deliveries: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def start(self) -> None:
        for job in self._jobs:
            self._scheduler.add_job(
                self.run, "interval", args=[job], seconds=job.every_s, id=job.name, max_instances=1, coalesce=True
            )
        self._scheduler.start()
        self._deliveries = asyncio.create_task(self._deliver_for_ever())

    async def run(self, job: Job) -> bool:
        """Run the job once unless another worker is at it; returns whether it ran."""
        ended = asyncio.Event()
        self._under_way.add(ended)
        try:
            return not self._is_stopping and await self._run(job)
        finally:
            self._under_way.discard(ended)
            ended.set()

    async def _run(self, job: Job) -> bool:
        if not await self._lease(job):
            return False
        error: str | None = None
        try:
            await job.run(self._runtime)
        except Exception as failure:
            log.exception("job failed", job=job.name)
            error = str(failure)[:500]
        await self._release(job, error)
        return True

    async def _lease(self, job: Job) -> bool:
        try:
            async with self._store.writing() as work:
                lease = (await work.session.exec(select(JobLease).where(JobLease.name == job.name))).first()
                until = work.now + timedelta(seconds=job.lease_s)
                if lease is None:
                    work.session.add(JobLease(name=job.name, owner=self._owner, leased_until=until))
                    return True
                taken = await work.session.exec(
                    update(JobLease)
                    .where(col(JobLease.id) == lease.id, col(JobLease.leased_until) <= work.now)
                    .values(owner=self._owner, leased_until=until)
                )
                return taken.rowcount == 1
        except Conflict:
            return False

    async def _release(self, job: Job, error: str | None) -> None:
        async with self._store.writing() as work:
            await work.session.exec(
                update(JobLease)
                .where(col(JobLease.name) == job.name, col(JobLease.owner) == self._owner)
                .values(leased_until=work.now, last_ended_at=work.now, last_error=error)
            )

    async def _deliver_for_ever(self) -> None:
        outbox = self._runtime.outbox
        while not self._is_stopping:
            try:
                await outbox.deliver_due()
            except Exception:
                log.exception("outbox failed; trying again")
            if not self._is_stopping:
                await outbox.wait_for_news(timeout_s=1.0)

    async def stop(self) -> None:
        """Let what was begun end, within STOP_TIMEOUT_S: a job that is cut off keeps its lease until that runs out."""
        self._is_stopping = True
        if self._scheduler.running:
            self._scheduler.pause()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                for ended in list(self._under_way):
                    await ended.wait()
                if self._deliveries is not None:
                    await asyncio.shield(self._deliveries)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._deliveries is not None:
            self._deliveries.cancel()
            await asyncio.gather(self._deliveries, return_exceptions=True)
