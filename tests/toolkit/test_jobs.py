"""DESIGN 5: periodic jobs run in one worker at a time, go on when it dies, and write nothing while nothing is due."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from broker.node import PRESENCE_S
from broker.server import Broker
from csms.clock import FixedClock
from csms.config import Settings, UnknownStations
from csms.features import offered
from csms.jobs import LOCK, Job, Worker
from csms.runtime import Runtime, open_runtime
from csms.store import Store
from csms.store.locks import PostgresLock
from tests.broker.conftest import Bench, boot, eventually
from tests.builders import make_station

pytestmark = pytest.mark.feature("P7")

HOLDER = """
import asyncio, sys
from csms.store import open_store

async def hold():
    lock = open_store(sys.argv[1]).lock("jobs")
    print(await lock.take(), flush=True)
    await asyncio.sleep(600)

asyncio.run(hold())
"""


class Task:
    """A job that notes its runs; it waits, or fails, when a test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails = False
        self.at_work = self.most_at_work = self.ended = self.cut_off = 0

    async def run(self, _runtime: Runtime) -> None:
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        self.begun.set()
        try:
            await self.may_end.wait()
            if self.fails:
                raise RuntimeError("not today")
            self.ended += 1
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.at_work -= 1

    def job(self, **values: Any) -> Job:
        return Job("task", every_s=3600, run=self.run, **values)


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
async def other(settings: Settings, clock: FixedClock) -> AsyncIterator[Runtime]:
    """A second process of the installation, as far as the database can tell."""
    opened = await open_runtime(settings, clock=clock)
    yield opened
    await opened.close()


@asynccontextmanager
async def worker_of(runtime: Runtime, *jobs: Job) -> AsyncIterator[Worker]:
    """A worker that has asked for the jobs once."""
    worker = Worker(runtime, jobs)
    await worker.keep()
    try:
        yield worker
    finally:
        await worker.stop()


# --- one at a time ----------------------------------------------------------------------------------------


async def test_one_of_many_workers_runs_the_jobs(runtime: Runtime, other: Runtime, task: Task) -> None:
    job = task.job()
    async with worker_of(runtime, job) as first, worker_of(other, job) as second, worker_of(other, job) as third:
        task.may_end.clear()
        runs = asyncio.gather(*(worker.run(job) for worker in (third, second, first)))
        await task.begun.wait()
        for worker in (third, second, first):
            await worker.keep()
        task.may_end.set()
        assert await runs == [False, False, True]
        assert (task.ended, task.most_at_work) == (1, 1)


async def test_a_worker_that_stops_ends_its_work_and_hands_the_jobs_over(
    runtime: Runtime, other: Runtime, task: Task
) -> None:
    job = task.job()
    async with worker_of(runtime, job) as first, worker_of(other, job) as second:
        task.may_end.clear()
        run = asyncio.create_task(first.run(job))
        await task.begun.wait()
        stopping = asyncio.create_task(first.stop())
        await second.keep()
        assert not await second.run(job)
        task.may_end.set()
        await stopping
        assert await run
        await second.keep()
        assert await second.run(job)
        assert not await first.run(job)
        assert (task.ended, task.most_at_work, task.cut_off) == (2, 1, 0)


async def test_a_started_worker_runs_its_jobs_by_itself(runtime: Runtime, task: Task) -> None:
    worker = Worker(runtime, [Job("task", every_s=0.01, run=task.run)])
    await worker.start()

    async def has_run_twice() -> bool:
        return task.ended >= 2

    await eventually(has_run_twice)
    await worker.stop()
    assert task.most_at_work == 1


# --- jobs that go wrong ------------------------------------------------------------------------------------


async def test_a_job_that_fails_runs_again(runtime: Runtime, task: Task) -> None:
    job = task.job()
    async with worker_of(runtime, job) as worker:
        task.fails = True
        assert await worker.run(job)
        task.fails = False
        assert await worker.run(job)
        assert task.ended == 1


async def test_the_same_failure_fills_a_page_of_the_log_only_once(runtime: Runtime, task: Task) -> None:
    """While a database is away dozens of jobs fail every few seconds: what is new must still be seen."""
    job = task.job()
    async with worker_of(runtime, job) as worker:
        with capture_logs() as logs:
            for task.fails in (True, True, True, False, True):
                assert await worker.run(job)
    told = [(entry["event"], "exc_info" in entry) for entry in logs if entry.get("job") == job.name]
    page, line = ("job failed", True), ("job failed again", False)
    assert told == [page, line, line, page]


async def test_a_job_that_hangs_is_cut_off_and_runs_again(runtime: Runtime, task: Task) -> None:
    job = task.job(limit_s=0.05)
    async with worker_of(runtime, job) as worker:
        task.may_end.clear()
        assert await worker.run(job)
        task.may_end.set()
        assert await worker.run(job)
        assert (task.cut_off, task.ended) == (1, 1)


# --- workers that die --------------------------------------------------------------------------------------


@contextmanager
def another_process(url: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the jobs' lock."""
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            yield process
        finally:
            process.kill()


async def test_a_killed_worker_is_taken_over_at_once(runtime: Runtime, database_url: str, task: Task) -> None:
    job = task.job()
    with another_process(database_url) as process:
        async with worker_of(runtime, job) as worker:
            assert not await worker.run(job)
            os.kill(process.pid, signal.SIGKILL)

            async def is_taken_over() -> bool:
                await worker.keep()
                return worker.is_active

            await eventually(is_taken_over)
            assert await worker.run(job)


ON_POSTGRES = pytest.mark.parametrize("database_kind", ["postgresql"])
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])


async def end_lock_sessions(store: Store) -> int:
    async with store.writing() as work:
        ended = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'csms lock' AND datname = current_database()"
        )
        return int((await (await work.session.connection()).execute(ended)).scalar_one())


@ON_POSTGRES
async def test_a_worker_that_loses_the_database_stops_what_it_does(
    runtime: Runtime, other: Runtime, task: Task
) -> None:
    job = task.job()
    async with worker_of(runtime, job) as first, worker_of(other, job) as second:
        task.may_end.clear()
        run = asyncio.create_task(first.run(job))
        await task.begun.wait()
        assert await end_lock_sessions(runtime.store) == 2
        assert not await run
        assert task.cut_off == 1
        assert not first.is_active
        await second.keep()
        await first.keep()
        assert [first.is_active, second.is_active] == [False, True]


@ON_POSTGRES
async def test_a_worker_that_stands_still_loses_the_jobs(database_url: str) -> None:
    """Its host sleeps, or the network between is cut: the server hears nothing and lets go."""
    dsn = database_url.replace("postgresql+asyncpg", "postgresql")
    still, waiting = PostgresLock(dsn, LOCK, silent_s=0.3), PostgresLock(dsn, LOCK)
    lost = asyncio.Event()
    still.on_lost = lost.set
    assert await still.take()
    assert await still.take()
    assert not await waiting.take()
    async with asyncio.timeout(10):
        await lost.wait()
    assert not still.is_held
    assert await waiting.take()
    assert not await still.take()
    await waiting.release()
    await still.release()


def remove_lock_file(store: Store, name: str) -> None:
    Path(f"{store.engine.url.database}.{name}.lock").unlink()


@ON_SQLITE
async def test_whoever_removes_the_file_of_the_lock_does_not_make_two_holders(runtime: Runtime, other: Runtime) -> None:
    first, second = runtime.store.lock("x"), other.store.lock("x")
    lost: list[str] = []
    first.on_lost = lambda: lost.append("first")
    assert await first.take()
    remove_lock_file(runtime.store, "x")
    assert await second.take()
    assert not await first.take()
    assert lost == ["first"]
    await second.release()
    assert await first.take()
    await first.release()


# --- an idle installation ----------------------------------------------------------------------------------


class Commits:
    """Counts the commits of all connections to an SQLite file, by what was done meanwhile."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)
        self._version = self._read()
        self.by: Counter[str] = Counter()

    def _read(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def note(self, what: str) -> None:
        version = self._read()
        self.by[what] += version != self._version
        self._version = version

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def commits(runtime: Runtime) -> Iterator[Commits]:
    with closing(Commits(str(runtime.store.engine.url.database))) as counting:
        yield counting


class Installation:
    """Broker and worker with all features' jobs; their time goes by second by second, as the test's clock."""

    def __init__(self, broker: Broker, worker: Worker, clock: FixedClock, commits: Commits) -> None:
        self._broker = broker
        self._worker = worker
        self._clock = clock
        self._commits = commits
        self.runs = 0

    async def live(self, seconds: int, every_job_once: bool = False) -> None:
        for second in range(1, seconds + 1):
            self._clock.advance(seconds=1)
            for job in offered("jobs", "JOBS"):
                if second % job.every_s == 0 or (every_job_once and second == 1):
                    assert await self._worker.run(job)
                    self.runs += 1
                    self._commits.note(job.name)
            await self._broker.runtime.outbox.deliver_due()
            self._commits.note("outbox")
            if second % PRESENCE_S == 0:
                await self._broker.node.write_presence()
                self._commits.note("presence")
            await self._worker.keep()
            self._commits.note("lock")


@ON_SQLITE
@pytest.mark.feature("P6")
async def test_an_idle_installation_writes_next_to_nothing(
    runtime: Runtime, clock: FixedClock, commits: Commits
) -> None:
    """So that it neither wears out a disk nor wakes it at night."""
    for _ in range(3):
        await make_station(runtime.store)
    broker = Broker(runtime, unknown=UnknownStations.ACCEPT)
    port = await broker.start()
    async with (
        worker_of(runtime) as worker,
        Bench(broker, port, runtime.store).station("CS-1") as client,
    ):
        await boot(client)
        installation = Installation(broker, worker, clock, commits)
        await installation.live(10, every_job_once=True)  # what the new stations bring about is written now
        commits.by.clear()
        installation.runs = 0
        await installation.live(60, every_job_once=True)
    await broker.stop()
    assert installation.runs > 180
    assert +commits.by == {"presence": 6}
