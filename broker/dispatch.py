"""Group commit: the calls of all stations that wait are one batch, written in bulk, committed once, answered after.

While one batch commits the next gathers: no timer, no window (PERFORMANCE: natural batching). A station is in a
batch at most once, so its calls stay in order and its memory is never shared by two units of work.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

import structlog

from broker.metrics import BATCH_CALLS, COMMIT_FAILURES, COMMIT_S, OUTLIVED_CALLS
from csms.store import Store, Work
from csms.store.writers import Outlived, RowRefused

log = structlog.get_logger(__name__)

BATCH_CALLS_MAX = 1000
COMMITS_AT_ONCE = 2
"""While one batch is written the next is handled; more would only make batches smaller."""
COMMIT_TRIES = 20
RETRY_PAUSE_S = 1.0


class Piece(Protocol):
    """Something to do in a unit of work of its own, and what follows once it is durable."""

    def handle(self, work: Work) -> Awaitable[None]:
        """Note rows; if it raises, nothing is kept and it has failed."""
        ...

    def committed(self) -> None: ...

    def failed(self) -> None:
        """Nothing of the unit was kept."""
        ...


class Noted:
    """A piece whose rows are known already; `done` ends when they are durable."""

    def __init__(self, fill: "NoteRows") -> None:
        self._fill = fill
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def handle(self, work: Work) -> None:
        await self._fill(work)

    def committed(self) -> None:
        self._settle(is_kept=True)

    def failed(self) -> None:
        self._settle(is_kept=False)

    def _settle(self, *, is_kept: bool) -> None:
        if not self.done.done():
            self.done.set_result(is_kept)


class NoteRows(Protocol):
    async def __call__(self, work: Work) -> None: ...


class Dispatcher:
    """One per broker process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ready: list[Piece] = []
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(COMMITS_AT_ONCE)
        self._commits: set[asyncio.Task[None]] = set()
        self._runner: asyncio.Task[None] | None = None
        self._is_stopping = False

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run(), name="dispatcher")

    def submit(self, piece: Piece) -> None:
        """Put a piece into the next batch."""
        self._ready.append(piece)
        self._news.set()

    async def write(self, fill: NoteRows) -> bool:
        """Write rows with the next batch; returns whether they were kept."""
        piece = Noted(fill)
        self.submit(piece)
        return await asyncio.shield(piece.done)

    async def _run(self) -> None:
        while not (self._is_stopping and not self._ready):
            await self._news.wait()
            await self._slots.acquire()
            pieces = self._ready[:BATCH_CALLS_MAX]
            del self._ready[:BATCH_CALLS_MAX]
            if not self._ready:
                self._news.clear()
            if not pieces:
                self._slots.release()
                continue
            handled = await self._handle(pieces)
            task = asyncio.create_task(self._commit(handled))
            self._commits.add(task)
            task.add_done_callback(self._commits.discard)

    async def _handle(self, pieces: Sequence[Piece]) -> list[tuple[Piece, Work]]:
        """The pieces that noted what they had to, each with its unit of work."""
        handled = []
        now = self._store.clock()
        for piece in pieces:
            work = self._store.note(now)
            try:
                await piece.handle(work)
                if work.has_session:
                    await work.close()  # what it read, it has read: a batch holds one database connection, not hundreds
            except Exception:  # a piece turns what goes wrong into an answer; this is the database's fault or our own
                log.exception("piece failed")
                await work.close()
                _tell(piece, is_kept=False)
                continue
            handled.append((piece, work))
        return handled

    async def _commit(self, handled: Sequence[tuple[Piece, Work]]) -> None:
        BATCH_CALLS.observe(len(handled))
        try:
            kept = await self._keep([work for _, work in handled])
        except Exception:
            log.exception("commit failed for good; the calls of the batch are not acknowledged", calls=len(handled))
            kept = [False] * len(handled)
        finally:
            self._slots.release()
        for (piece, _), is_kept in zip(handled, kept, strict=True):
            _tell(piece, is_kept=is_kept)

    async def _keep(self, works: Sequence[Work]) -> list[bool]:
        """Commit all at once; if a row cannot be stored, one by one, so that it costs only itself."""
        try:
            with COMMIT_S.time():
                await self._persist(works)
        except RowRefused:
            return [await self._keep_alone(work) for work in works]
        except Outlived as error:
            return await self._keep_owned(works, error)
        return [True] * len(works)

    async def _keep_owned(self, works: Sequence[Work], error: Outlived) -> list[bool]:
        """Without the units of stations that speak with another process by now; there they say it again."""
        OUTLIVED_CALLS.inc(sum(work.owner in error.owners for work in works))
        kept = iter(await self._keep([work for work in works if work.owner not in error.owners]))
        return [work.owner not in error.owners and next(kept) for work in works]

    async def _keep_alone(self, work: Work) -> bool:
        try:
            await self._persist([work])
        except RowRefused as error:
            log.error("a row cannot be stored; its call is not acknowledged", error=str(error))  # noqa: TRY400  # no trace wanted
            return False
        except Outlived:
            OUTLIVED_CALLS.inc()
            return False
        return True

    async def _persist(self, works: Sequence[Work]) -> None:
        """Try again while the database is away: stations wait, nothing is acknowledged that is not stored."""
        for attempt in range(1, COMMIT_TRIES + 1):
            try:
                await self._store.commit_all(works)
            except Outlived:
                raise
            except RowRefused:
                if attempt > 1 and await self._store.is_kept(works):
                    self._store.settle(works)  # the try before had committed, only its confirmation was lost
                    return
                raise
            except Exception as error:
                COMMIT_FAILURES.inc()
                if attempt == COMMIT_TRIES:
                    raise
                log.warning("commit failed; trying again", attempt=attempt, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_PAUSE_S)
            else:
                return

    async def stop(self) -> None:
        """Handle what was submitted, then end."""
        self._is_stopping = True
        self._news.set()
        if self._runner is not None:
            await self._runner
        while self._commits:
            await asyncio.wait(set(self._commits))


def _tell(piece: Piece, *, is_kept: bool) -> None:
    """A piece that cannot bear the news must not cost the others theirs."""
    try:
        (piece.committed if is_kept else piece.failed)()
    except Exception:
        log.exception("a piece failed when it was told what became of it", is_kept=is_kept)
