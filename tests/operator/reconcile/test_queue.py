"""The guarantees of the work queue: a key is queued once, never processed twice at a time, never lost, and fails independently."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.reconcile.queue import Backoff, WorkQueue

DEADLINE = 5


@dataclass
class Recorder:
    events: list[str] = field(default_factory=list)

    def added(self, depth: int) -> None:
        self.events.append(f"added {depth}")

    def depth(self, depth: int) -> None:
        self.events.append(f"depth {depth}")

    def started(self, depth: int, waited: float) -> None:
        assert waited >= 0
        self.events.append(f"started {depth}")

    def finished(self, took: float) -> None:
        assert took >= 0
        self.events.append("finished")

    def retried(self) -> None:
        self.events.append("retried")


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(Recorder(), Backoff(first=0.001, limit=0.01, rate=1000, burst=1000))


async def take(queue: WorkQueue[str]) -> str:
    async with asyncio.timeout(DEADLINE):
        return await queue.get()


async def test_a_key_that_is_added_many_times_is_handed_out_once(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")

    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_processed_waits_until_that_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)

    queue.add("a")
    assert len(queue) == 0  # no other worker may get it now
    queue.done("a")

    assert await take(queue) == "a"


async def test_a_key_that_is_done_and_was_not_added_again_is_forgotten(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.done(await take(queue))

    assert queue.idle()


async def test_a_waiting_worker_gets_a_key_that_is_added_later(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(take(queue))
    await asyncio.sleep(0)

    queue.add("late")

    assert await waiting == "late"


async def test_many_workers_never_hold_the_same_key(queue: WorkQueue[str]) -> None:
    held: set[str] = set()
    passes = 0

    async def worker() -> None:
        nonlocal passes
        while passes < 300:
            key = await queue.get()
            assert key not in held
            held.add(key)
            await asyncio.sleep(0)
            held.discard(key)
            passes += 1
            queue.add(key)
            queue.done(key)

    for key in "abc":
        queue.add(key)
    async with asyncio.timeout(DEADLINE):
        done, pending = await asyncio.wait(
            [asyncio.create_task(worker()) for _ in range(8)], return_when=asyncio.FIRST_COMPLETED
        )
    for task in pending:
        task.cancel()
    assert all(task.exception() is None for task in done)


async def test_the_earliest_of_two_delays_of_a_key_applies(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 3600)
    queue.add_after("a", 0.001)

    assert await take(queue) == "a"
    queue.done("a")
    assert queue.idle()


async def test_a_failed_key_returns_and_a_success_resets_its_count(queue: WorkQueue[str]) -> None:
    queue.add("a")
    for _ in range(5):
        key = await take(queue)
        queue.retry(key)
        queue.done(key)
    assert queue._failures == {"a": 5}

    queue.forget("a")

    assert queue._failures == {}


async def test_a_requested_wait_is_a_minimum() -> None:
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=0.001))
    before = asyncio.get_running_loop().time()

    queue.retry("a", after=30)

    assert queue._timers["a"].when() >= before + 30


async def test_no_event_shortens_a_requested_wait() -> None:
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=0.001))
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    started = asyncio.get_running_loop().time()
    queue.retry("a", after=0.2)
    queue.done(key)
    queue.add("a")
    queue.add_after("a", 0.01)

    assert await queue.get() == "a"

    assert asyncio.get_running_loop().time() >= started + 0.2
    queue.done("a")
    assert queue.idle()


async def test_clear_drops_all_waiting_keys_and_close_accepts_no_more(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add_after("b", 3600)
    queue.clear()
    assert queue.idle()

    queue.close()
    queue.add("c")
    queue.add_after("d", 0.001)
    assert queue.idle()


async def test_the_observer_receives_each_step() -> None:
    recorder = Recorder()
    queue: WorkQueue[str] = WorkQueue(recorder)

    queue.add("a")
    queue.add("b")
    queue.done(await take(queue))
    queue.retry("a")

    assert recorder.events == ["added 1", "added 2", "started 1", "finished", "retried"]


async def test_the_observer_receives_keys_that_wait_again_and_an_empty_queue() -> None:
    recorder = Recorder()
    queue: WorkQueue[str] = WorkQueue(recorder)
    queue.add("a")
    key = await take(queue)
    queue.add("a")

    queue.done(key)
    assert recorder.events[-1] == "depth 1"

    queue.clear()
    assert recorder.events[-1] == "depth 0"


async def test_an_event_during_a_pass_waits_exactly_as_long_as_requested() -> None:
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=100, limit=100, jitter=0))
    queue.add("a")
    await take(queue)
    queue.add("a")
    now = asyncio.get_running_loop().time()

    queue.retry("a", after=2)

    assert queue._timers["a"].when() == pytest.approx(now + 2, abs=0.5)


async def test_a_pause_is_not_a_failure_and_no_event_shortens_it() -> None:
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=100, limit=100, jitter=0))
    queue.add("a")
    key = await take(queue)
    queue.add("a")
    started = asyncio.get_running_loop().time()

    queue.pause("a", 0.1)
    queue.done(key)
    queue.add("a")

    assert await take(queue) == "a"
    assert asyncio.get_running_loop().time() >= started + 0.1
    assert queue._failures == {}


@given(st.integers(min_value=0, max_value=10_000))
def test_the_delay_doubles_to_its_limit_and_never_overflows(failures: int) -> None:
    backoff = Backoff(first=0.1, limit=60, jitter=0.2)

    delay = backoff.delay(failures)

    assert min(0.1 * 2 ** min(failures, 20), 60) <= delay <= 72


async def test_a_rate_limits_all_retries_together() -> None:
    queue: WorkQueue[int] = WorkQueue(Recorder(), Backoff(first=0.001, jitter=0, rate=10, burst=5))
    now = asyncio.get_running_loop().time()

    for key in range(25):
        queue.retry(key)

    delays = sorted(timer.when() - now for timer in queue._timers.values())
    assert delays[4] < 0.5
    assert delays[-1] == pytest.approx(2.0, abs=0.5)  # 20 keys over the burst, 10 a second
