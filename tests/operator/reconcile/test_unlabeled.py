"""The objects without the operator's label are listed once per namespace, and nothing of them outlives its ShopService."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.snapshot import Shop
from shop_operator.names import ChildId, Key
from shop_operator.reconcile.passes import Pass
from shop_operator.reconcile.unlabeled import Unlabeled
from tests.operator.fake_api import FakeApi

A, B = ChildId("Deployment", "a-relay"), ChildId("Deployment", "b-relay")


class SlowApi(FakeApi):
    """A cluster whose LISTs of some namespaces are answered only when the test says so.

    Attributes:
        lists: the LISTs, by namespace.
        slow: by namespace, set once its LISTs may be answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lists: Counter[str] = Counter()
        self.slow: dict[str, asyncio.Event] = {}

    async def unlabeled(self, kind: str, namespace: str) -> AsyncGenerator[dict[str, Any]]:
        self.lists[namespace] += 1
        if namespace in self.slow:
            await self.slow[namespace].wait()
        async for each in super().unlabeled(kind, namespace):
            yield each

    def has(self, child: ChildId, owner: Pass, *, kind: str = "ShopService") -> None:
        """Create a child that has lost its label."""
        controller = {"kind": kind, "name": owner.key.name, "uid": owner.owner, "controller": True}
        metadata = {"namespace": owner.key.namespace, "name": child.name, "ownerReferences": [controller]}
        self.objects[child.kind, owner.key.namespace, child.name] = {"kind": child.kind, "metadata": metadata}


def outdated(namespace: str, name: str, uid: str = "") -> Pass:
    """The first pass over a ShopService whose status describes an earlier generation."""
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "generation": 2}
    whole = {"kind": "ShopService", "metadata": {**metadata, "resourceVersion": "7"}}
    obj = {**whole, "spec": {"image": "shop:1"}}
    return Pass(Key(namespace, name), Shop.of(obj), ShopService.from_object(obj), frozenset())


def over(api: FakeApi) -> Unlabeled:
    return Unlabeled(api, lambda: frozenset({"Deployment"}))


async def test_given_a_slow_list_of_one_namespace_then_the_passes_of_another_one_do_not_wait() -> None:
    api, slow, quick = SlowApi(), outdated("slow", "a"), outdated("quick", "b")
    api.slow["slow"] = asyncio.Event()
    api.has(A, slow)
    api.has(B, quick)
    unlabeled = over(api)

    waiting = asyncio.create_task(unlabeled.children(slow))
    async with asyncio.timeout(5):
        assert await unlabeled.children(quick) == {B}
    assert not waiting.done()

    api.slow["slow"].set()
    assert await waiting == {A}


async def test_given_passes_over_one_namespace_at_the_same_time_then_it_is_listed_once() -> None:
    api, first, second = SlowApi(), outdated("ns", "a"), outdated("ns", "b")
    api.has(A, first)
    api.has(B, second)
    unlabeled = over(api)

    of_first, of_second = await asyncio.gather(unlabeled.children(first), unlabeled.children(second))

    assert [of_first, of_second] == [{A}, {B}]
    assert api.lists == {"ns": 1}


async def test_given_a_child_of_an_earlier_shopservice_of_the_name_then_it_is_left_to_the_garbage_collector() -> (
    None
):
    api = SlowApi()
    api.has(A, outdated("ns", "a", uid="earlier"))
    assert await over(api).children(outdated("ns", "a")) == frozenset()


async def test_given_an_object_of_another_kind_of_controller_then_it_is_no_child() -> None:
    api, this = SlowApi(), outdated("ns", "a")
    api.has(A, this, kind="ReplicaSet")
    assert await over(api).children(this) == frozenset()


async def test_given_the_last_shopservice_of_a_namespace_was_deleted_then_its_namespace_is_listed_again() -> (
    None
):
    api, this, other = SlowApi(), outdated("ns", "a"), outdated("ns", "b")
    unlabeled = over(api)
    await asyncio.gather(unlabeled.children(this), unlabeled.children(other))

    unlabeled.forget(this.key)
    again = outdated("ns", "a", uid="again")
    await unlabeled.children(again)
    assert api.lists == {"ns": 1}, "the list of the namespace still is in use"

    unlabeled.forget(again.key)
    unlabeled.forget(other.key)
    api.has(A, again)
    assert await unlabeled.children(again) == {A}
    assert api.lists == {"ns": 2}


async def test_given_leadership_is_lost_during_a_list_then_the_next_term_lists_again() -> None:
    api, this = SlowApi(), outdated("ns", "a")
    api.slow["ns"] = asyncio.Event()
    unlabeled = over(api)
    of_the_last_term = asyncio.create_task(unlabeled.children(this))
    await asyncio.sleep(0)

    unlabeled.clear()
    api.slow.pop("ns").set()
    await of_the_last_term
    api.has(A, this)

    assert await unlabeled.children(this) == {A}
    assert api.lists == {"ns": 2}
