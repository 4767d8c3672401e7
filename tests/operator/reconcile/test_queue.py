"""The guarantees of the work queue: a key is queued once, never processed twice at a time, never lost, and fails independently."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.reconcile.queue import Backoff, WorkQueue
from tests.operator.engine import idle

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


async def test_given_a_key_added_several_times_when_a_worker_takes_it_then_it_is_handed_out_once(
    queue: WorkQueue[str],
) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")

    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_given_a_key_in_process_when_it_is_added_then_it_waits_until_it_is_done(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    await take(queue)

    queue.add("a")
    assert len(queue) == 0  # no other worker may get it now
    queue.done("a")

    assert await take(queue) == "a"


async def test_given_a_key_in_process_when_it_is_done_then_the_queue_forgets_it(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    queue.done(await take(queue))

    assert idle(queue)


async def test_given_a_waiting_worker_when_a_key_is_added_then_the_worker_gets_it(
    queue: WorkQueue[str],
) -> None:
    waiting = asyncio.create_task(take(queue))
    await asyncio.sleep(0)

    queue.add("late")

    assert await waiting == "late"


async def test_given_many_workers_then_no_two_of_them_hold_the_same_key(queue: WorkQueue[str]) -> None:
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


async def test_given_two_delays_of_one_key_then_the_earlier_one_wins(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 3600)
    queue.add_after("a", 0.001)

    assert await take(queue) == "a"
    queue.done("a")
    assert idle(queue)


async def test_given_a_failing_key_then_it_is_retried_and_success_resets_its_failure_count(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    for _ in range(5):
        key = await take(queue)
        queue.retry(key)
        queue.done(key)
    assert queue._failures == {"a": 5}

    queue.forget("a")

    assert queue._failures == {}


async def test_given_a_retry_after_then_the_key_waits_that_long() -> None:
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=0.001))
    before = asyncio.get_running_loop().time()

    queue.retry("a", after=30)

    assert queue._timers["a"].when() >= before + 30


async def test_given_a_retry_after_when_the_key_is_added_again_then_it_still_waits_that_long() -> None:
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
    assert idle(queue)


async def test_given_waiting_keys_when_the_queue_is_cleared_then_it_is_empty(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    queue.add_after("b", 3600)
    queue.clear()
    assert idle(queue)


async def test_when_keys_pass_through_the_queue_then_the_observer_gets_an_event_for_each_step() -> None:
    recorder = Recorder()
    queue: WorkQueue[str] = WorkQueue(recorder)

    queue.add("a")
    queue.add("b")
    queue.done(await take(queue))
    queue.retry("a")

    assert recorder.events == ["added 1", "added 2", "started 1", "finished", "retried"]


async def test_when_a_key_waits_again_and_the_queue_is_cleared_then_the_observer_gets_each_depth() -> None:
    recorder = Recorder()
    queue: WorkQueue[str] = WorkQueue(recorder)
    queue.add("a")
    key = await take(queue)
    queue.add("a")

    queue.done(key)
    assert recorder.events[-1] == "depth 1"

    queue.clear()
    assert recorder.events[-1] == "depth 0"


async def test_given_a_key_added_during_its_pass_when_it_is_retried_after_a_delay_then_it_waits_just_that_long() -> (
    None
):
    queue: WorkQueue[str] = WorkQueue(Recorder(), Backoff(first=100, limit=100, jitter=0))
    queue.add("a")
    await take(queue)
    queue.add("a")
    now = asyncio.get_running_loop().time()

    queue.retry("a", after=2)

    assert queue._timers["a"].when() == pytest.approx(now + 2, abs=0.5)


async def test_given_a_paused_key_when_it_is_added_again_then_the_pause_holds_and_no_failure_is_counted() -> (
    None
):
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
def test_given_any_number_of_failures_then_the_delay_doubles_up_to_its_limit(failures: int) -> None:
    backoff = Backoff(first=0.1, limit=60, jitter=0.2)

    delay = backoff.delay(failures)

    assert min(0.1 * 2 ** min(failures, 20), 60) <= delay <= 72


async def test_given_many_retries_then_together_they_keep_to_the_rate() -> None:
    queue: WorkQueue[int] = WorkQueue(Recorder(), Backoff(first=0.001, jitter=0, rate=10, burst=5))
    now = asyncio.get_running_loop().time()

    for key in range(25):
        queue.retry(key)

    delays = sorted(timer.when() - now for timer in queue._timers.values())
    assert delays[4] < 0.5
    assert delays[-1] == pytest.approx(2.0, abs=0.5)  # 20 keys over the burst, 10 a second
