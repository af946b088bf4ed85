"""SQLite's turns: one at a time, batches may share one, and nobody waits for ever."""

import asyncio

from csms.store.gate import Gate


async def hold(gate: Gate, name: str, log: list[str], until: asyncio.Event, *, shared: bool) -> None:
    async with gate.shared() if shared else gate.alone():
        log.append(f"{name} begins")
        await until.wait()
        log.append(f"{name} ends")


async def turn() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_batches_share_a_turn() -> None:
    gate, log, done = Gate(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(hold(gate, name, log, done, shared=True)) for name in "AB"]
    await turn()
    assert log == ["A begins", "B begins"]
    done.set()
    await asyncio.gather(*tasks)


async def test_a_unit_alone_waits_for_batches_and_keeps_later_ones_out() -> None:
    gate, log = Gate(), list[str]()
    first, alone, later = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(hold(gate, "A", log, first, shared=True))]
    await turn()
    tasks.append(asyncio.create_task(hold(gate, "unit", log, alone, shared=False)))
    await turn()
    tasks.append(asyncio.create_task(hold(gate, "B", log, later, shared=True)))
    await turn()
    assert log == ["A begins"]
    first.set()
    await turn()
    assert log[1:] == ["A ends", "unit begins"]
    alone.set()
    await turn()
    assert log[3:] == ["unit ends", "B begins"]
    later.set()
    await asyncio.gather(*tasks)


async def test_a_turn_that_is_given_up_while_waiting_blocks_nobody() -> None:
    gate, log, done = Gate(), list[str](), asyncio.Event()
    holding = asyncio.create_task(hold(gate, "A", log, done, shared=False))
    await turn()
    waiting = asyncio.create_task(hold(gate, "unit", log, done, shared=False))
    await turn()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    done.set()
    await holding
    async with asyncio.timeout(5), gate.shared():
        log.append("B")
    assert log == ["A begins", "A ends", "B"]
