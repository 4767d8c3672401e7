"""Keys of one namespace are served in turn, however many keys of another namespace wait or fail."""

import asyncio

from shop_operator.names import Key
from shop_operator.observability.metrics import Metrics
from shop_operator.reconcile.queue import Backoff, WorkQueue, _Buckets


def queue(backoff: Backoff | None = None) -> WorkQueue[Key]:
    return WorkQueue(Metrics(lease="x"), backoff, lane=lambda key: key.namespace)


async def test_given_a_flood_of_one_namespace_then_another_namespace_waits_for_one_key_at_most() -> None:
    waiting = queue()
    for number in range(1_000):
        waiting.add(Key("flood", str(number)))
    first = await waiting.get()
    waiting.add(Key("quiet", "web"))

    following = [await waiting.get() for _ in range(2)]

    assert first.namespace == "flood"
    assert Key("quiet", "web") in following
    assert len(waiting) == 998


async def test_given_keys_of_several_namespaces_then_each_namespace_keeps_its_order_and_all_keys_are_served() -> (
    None
):
    waiting = queue()
    keys = [Key(namespace, str(number)) for number in range(5) for namespace in ("a", "b", "c")]
    for key in sorted(keys):
        waiting.add(key)

    served = [await waiting.get() for _ in keys]

    assert served == keys
    assert len(waiting) == 0


def test_given_many_failures_in_one_namespace_then_the_first_retry_of_another_is_not_delayed() -> None:
    buckets = _Buckets(Backoff())
    flood = [buckets.reserve("flood", 0.0) for _ in range(5_000)]

    assert buckets.reserve("quiet", 0.0) == 0
    assert max(flood) > 60


def test_given_two_failing_namespaces_then_they_share_the_retry_rate() -> None:
    backoff = Backoff(rate=20, burst=1)
    buckets = _Buckets(backoff)
    for lane in ("a", "b"):
        buckets.reserve(lane, 0.0)

    waits = [buckets.reserve("b", 0.0) for _ in range(10)]

    assert waits[-1] == 10 / (backoff.rate / 2)


def test_given_a_namespace_that_no_longer_fails_then_it_has_no_share_of_the_retry_rate() -> None:
    backoff = Backoff(rate=20, burst=1)
    buckets = _Buckets(backoff)
    buckets.reserve("a", 0.0)
    buckets.reserve("b", 10.0)

    assert buckets.reserve("b", 10.0) == 1 / backoff.rate


def test_given_any_number_of_failures_then_a_retry_waits_300_seconds_at_most() -> None:
    buckets = _Buckets(Backoff())

    assert max(buckets.reserve("a", 0.0) for _ in range(50_000)) <= 300


async def test_given_a_flood_of_failures_in_one_namespace_then_a_key_of_another_is_retried_in_time() -> None:
    waiting = queue(Backoff(first=0.001, limit=0.001, rate=1, burst=10))
    for number in range(300):
        waiting.retry(Key("flood", str(number)))
    waiting.retry(Key("quiet", "web"))

    async with asyncio.timeout(5):
        while (key := await waiting.get()) != Key("quiet", "web"):
            waiting.done(key)
