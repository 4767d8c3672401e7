"""A discovery hostname belongs to one ShopService of the whole cluster."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from itertools import permutations
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.hostnames import Hostnames, claims
from shop_operator.cache.store import Store
from shop_operator.errors import InvalidSpec
from shop_operator.names import Key
from shop_operator.objects.discovery import normalized, registered, wish
from shop_operator.objects.ownership import CONFLICT_RECHECK
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.render import render
from tests.operator.engine import Engine
from tests.operator.fake_api import FakeApi
from tests.operator.reconcile.test_runner import Observer, until
from tests.operator.world import KEY, World

NAME = "payment.shop.internal"
ELSEWHERE = Key("other", "pay")


def shop(key: Key, created: str, hostname: Any = NAME, **more: Any) -> dict[str, Any]:
    """A ShopService that asks for a hostname, as a watch shows it."""
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {
            "namespace": key.namespace,
            "name": key.name,
            "uid": f"{key}",
            "resourceVersion": "1",
            "creationTimestamp": created,
            **more,
        },
        "spec": {"image": "shop:1", **({"discovery": {"hostname": hostname}} if hostname else {})},
    }


def service(key: Key, hostname: str, version: int = 2, created: str = "1") -> dict[str, Any]:
    """The headless Service of a ShopService."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": key.namespace,
            "name": f"{key.name}-discovery",
            "uid": f"{key}-service",
            "resourceVersion": str(version),
            "creationTimestamp": created,
            "labels": {"shopservice.dev/name": key.name},
            "annotations": {"external-dns.kubernetes.io/hostname": hostname},
            "ownerReferences": [{"kind": "ShopService", "uid": f"{key}", "controller": True}],
        },
    }


@pytest.fixture
def woken() -> set[Key]:
    return set()


@pytest.fixture
def store(woken: set[Key]) -> Store:
    return Store(hostnames=Hostnames(woken.update))


A, B, C = Key("a", "pay"), Key("b", "pay"), Key("c", "pay")


@pytest.mark.parametrize("order", list(permutations([(A, "2"), (B, "1"), (C, "3")])))
def test_given_several_claims_of_a_hostname_then_the_oldest_shopservice_holds_it_in_any_order(
    store: Store, order: list[tuple[Key, str]]
) -> None:
    for key, created in order:
        store.put(shop(key, created))

    assert store.holder(NAME) == B


def test_given_the_same_age_then_the_uid_decides(store: Store) -> None:
    for key in (B, A):
        store.put(shop(key, "1"))

    assert store.holder(NAME) == A


def test_when_the_holder_is_deleted_then_the_next_is_woken(store: Store, woken: set[Key]) -> None:
    for key, created in ((A, "1"), (B, "2"), (C, "3")):
        store.put(shop(key, created))
    assert woken == set()

    store.remove(shop(A, "1"))

    assert store.holder(NAME) == B
    assert B in woken
    assert C not in woken


def test_when_the_holder_requests_another_hostname_then_the_next_is_woken(
    store: Store, woken: set[Key]
) -> None:
    store.put(shop(A, "1"))
    store.put(shop(B, "2"))

    store.put(shop(A, "1", "orders.shop.internal", resourceVersion="2"))

    assert store.holder(NAME) == B
    assert B in woken


def test_when_the_last_claimant_is_deleted_then_the_hostname_is_free(store: Store) -> None:
    store.put(shop(A, "1"))
    store.remove(shop(A, "1"))

    assert store.holder(NAME) is None


@pytest.mark.parametrize(
    "same", ["PAYMENT.shop.Internal", "payment.shop.internal.", "Payment.Shop.Internal."]
)
def test_given_hostnames_that_differ_in_case_or_a_trailing_dot_then_they_are_equal(
    store: Store, same: str
) -> None:
    store.put(shop(A, "1"))
    store.put(shop(B, "2", same))

    assert store.holder(same) == A


@pytest.mark.parametrize("hostname", [None, 7, "", ".", [], {}, "x" * 1000])
def test_given_a_value_that_is_no_hostname_then_it_claims_nothing(store: Store, hostname: Any) -> None:
    store.put(shop(A, "1", hostname))

    assert store.shop(A) is not None
    assert wish(shop(A, "1", hostname)) is None


def test_given_a_registered_hostname_when_an_older_shopservice_claims_it_then_the_holder_keeps_it(
    store: Store,
) -> None:
    # Given a young ShopService that is registered, and an old one without a hostname.
    store.put(shop(A, "1", None))
    store.put(shop(B, "2"))
    store.put(service(B, NAME))

    # When the old one asks for the hostname.
    store.put(shop(A, "1", resourceVersion="3"))

    # Then the registered one keeps it.
    assert store.holder(NAME) == B


@pytest.mark.parametrize("order", list(permutations([A, B, C])))
def test_given_several_registered_services_then_the_oldest_service_holds_the_hostname(
    store: Store, order: list[Key]
) -> None:
    # As another client, or an operator that did not know better, has left them.
    shops, services = {A: "2", B: "3", C: "1"}, {A: "6", B: "5", C: "7"}
    for key in order:
        store.put(shop(key, shops[key]))
        store.put(service(key, NAME, created=services[key]))

    assert store.holder(NAME) == B


@pytest.mark.parametrize("created", ["8", "4"])
def test_given_a_hostname_in_use_when_another_service_is_annotated_by_hand_then_the_holder_keeps_it(
    created: str, woken: set[Key]
) -> None:
    # Given one that is registered, and an older one that asks for its hostname, whose Service may be older too.
    store = Store(hostnames=Hostnames(woken.update, lambda: True))
    store.put(shop(B, "2"))
    store.put(service(B, NAME, created="5"))
    store.put(shop(A, "1"))

    # When another client sets the annotation of that Service.
    store.put(service(A, NAME, created=created))
    store.put(shop(B, "2", "orders.shop.internal", resourceVersion="3"))

    # Then the first one keeps the hostname, as long as its Service carries it.
    assert store.holder(NAME) == B
    assert woken == set()
    store.put(service(B, "orders.shop.internal", 4, created="5"))
    assert store.holder(NAME) == A


def test_given_a_holder_that_leaves_its_hostname_then_it_stays_in_use_until_its_service_changes(
    store: Store, woken: set[Key]
) -> None:
    # Given one that is registered, and that asks for another hostname while it is suspended or invalid.
    store.put(shop(A, "1"))
    store.put(service(A, NAME))
    store.put(shop(A, "1", "orders.shop.internal", resourceVersion="3"))
    # When a second one asks for the hostname.
    store.put(shop(B, "2"))
    # Then it has to wait.
    assert store.holder(NAME) == A

    # When the Service follows, then the second one is woken.
    store.put(service(A, "orders.shop.internal", 4))
    assert store.holder(NAME) == B
    assert B in woken


@pytest.mark.parametrize("news", ["gone", "unlabelled", "another owner"])
def test_given_a_deleted_unlabeled_or_foreign_service_then_it_claims_nothing(store: Store, news: str) -> None:
    store.put(shop(A, "2"))
    store.put(shop(B, "1"))
    live = service(A, NAME)
    store.put(live)
    assert store.holder(NAME) == A

    live["metadata"]["resourceVersion"] = "5"
    if news == "gone":
        store.remove(live)
    elif news == "unlabelled":
        store.put({**live, "metadata": {**live["metadata"], "labels": {}}})
    else:
        store.put({**live, "metadata": {**live["metadata"], "ownerReferences": []}})

    assert store.holder(NAME) == B


def test_when_a_sweep_removes_the_holder_then_its_hostname_passes_to_the_next(
    store: Store, woken: set[Key]
) -> None:
    store.put(shop(A, "1"))
    store.put(shop(B, "2"))

    store.sweep("ShopService", None, {str(B)}, 9)

    assert store.holder(NAME) == B
    assert B in woken


def test_when_all_claims_of_a_shopservice_end_then_no_state_of_them_is_kept() -> None:
    hostnames = Hostnames[Key]()
    for number in range(3):
        wanted = wish(shop(A, "1", f"n{number}.shop.internal"))
        hostnames.put(A, claims("u", wanted, f"n{number - 1}.shop.internal" if number else ""))
    hostnames.put(A, {})

    assert not any(vars(hostnames)[each] for each in ("_by_key", "_by_hostname", "_holders"))


def test_given_either_annotation_of_externaldns_then_the_service_is_registered() -> None:
    old, new = "external-dns.alpha.kubernetes.io/hostname", "external-dns.kubernetes.io/hostname"

    assert registered({"metadata": {"annotations": {old: NAME}}}) == NAME
    assert registered({"metadata": {"annotations": {new: NAME}}}) == NAME
    assert registered({"metadata": {}}) == registered({"metadata": {"annotations": None}}) == ""
    assert normalized("A.B.") == "a.b"


def services(world: World) -> set[str]:
    return {name for kind, namespace, name in world.api.objects if kind == "Service" and namespace == "ns"}


async def test_given_a_younger_claim_then_it_is_a_conflict_and_only_the_headless_service_is_missing(
    world: World,
) -> None:
    # Given a ShopService of another namespace that has the hostname.
    world.store.put(shop(ELSEWHERE, "1970-01-01T00:00:00Z"))
    world.shop(discovery={"hostname": NAME})

    # When a pass is made.
    look = await world.pass_()

    # Then the other one is not named, and only the headless Service is missing.
    stalled = world.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "Conflict")
    message = world.condition("Ready")["message"]
    assert f"{NAME} is in use by a ShopService of another namespace." in message
    assert "pay" not in message.replace(NAME, "")
    assert "other/" not in message
    assert services(world) == {"web"}
    assert ("Deployment", "ns", "web") in world.api.objects
    assert look is not None
    assert look <= CONFLICT_RECHECK

    # When that one goes, then it gets the hostname.
    world.store.remove(shop(ELSEWHERE, "1970-01-01T00:00:00Z"))
    await world.pass_()
    assert services(world) == {"web", "web-discovery"}
    assert world.condition("Stalled")["status"] == "False"


async def test_given_a_conflict_within_a_namespace_then_the_message_names_the_holder(world: World) -> None:
    world.store.put(shop(Key("ns", "pay"), "1970-01-01T00:00:00Z"))
    world.shop(discovery={"hostname": NAME})

    await world.pass_()

    assert f"{NAME} is in use by ShopService pay." in world.condition("Ready")["message"]


class SlowStatus(FakeApi):
    """Delays the response to a write of the status of one ShopService.

    Attributes:
        asked: such a write has come.
        answer: it may be answered.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        if name == self._name:
            self.asked.set()
            await self.answer.wait()
        return await super().patch_status(namespace, name, version=version, patch=patch)


@pytest.fixture
def slow() -> SlowStatus:
    return SlowStatus("late")


@pytest.fixture
async def engine(world: World, slow: SlowStatus) -> AsyncIterator[Engine]:
    """Works on whatever it is shown."""
    world.api = slow
    world.store = Store(hostnames=Hostnames(lambda keys: found.wake(keys)))  # noqa: PLW0108  it is there later
    world.restart()
    queue: WorkQueue[Key] = WorkQueue(Observer())
    found = Engine(world.store, queue, world.reconciler, Observer(), "ShopService")
    found.begin_list()
    found.end_list("ShopService", None, set(), 1)
    found.lead(leads=True)
    workers = [asyncio.create_task(start()) for start in found.workers.tasks(2)]
    yield found
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


@pytest.mark.parametrize("how", ["asks for another hostname", "asks for none", "is deleted"])
async def test_given_a_waiting_claim_when_the_hostname_becomes_free_during_its_pass_then_it_is_registered(
    engine: Engine, slow: SlowStatus, how: str
) -> None:
    def hostname(name: str) -> str:
        return registered(slow.objects.get(("Service", "ns", f"{name}-discovery"), {}))

    # Given a registered ShopService, and a pass over another one that has found the hostname in use.
    holder, late = Key("ns", "payment"), Key("ns", "late")
    engine.seen("ADDED", slow.put(shop(holder, "2026-01-01T00:00:00Z")))
    await until(lambda: hostname("payment") == NAME)
    engine.seen("ADDED", slow.put(shop(late, "2026-01-01T00:00:01Z")))
    async with asyncio.timeout(5):
        await slow.asked.wait()

    # When the first one lets go of the hostname, and that pass ends only then.
    if how == "is deleted":
        engine.seen("DELETED", slow.forget(("ShopService", *holder)))
    else:
        other = "x.shop.internal" if how == "asks for another hostname" else None
        status = slow.objects["ShopService", "ns", "payment"]["status"]
        changed = shop(holder, "2026-01-01T00:00:00Z", other, generation=2)
        engine.seen("MODIFIED", slow.put({**changed, "status": status}))
        await until(lambda: hostname("payment") == (other or ""))
    assert hostname("late") == ""
    slow.answer.set()

    # Then the second one is registered, long before its next scheduled pass.
    await until(lambda: hostname("late") == NAME)


async def test_given_two_registered_services_then_the_later_one_is_deleted(world: World) -> None:
    # Given two that an earlier version has registered under one hostname.
    world.shop(discovery={"hostname": NAME})
    await world.pass_()
    assert services(world) == {"web", "web-discovery"}
    live = world.edit("Service", "web-discovery")
    live["metadata"]["creationTimestamp"] = "1970-01-01T00:00:02Z"
    world.see(live)
    world.store.put(shop(ELSEWHERE, "1970-01-01T00:00:03Z"))
    world.store.put(service(ELSEWHERE, NAME, created="1970-01-01T00:00:01Z"))

    # When a pass over the later one is made, then its registration goes and nothing else.
    await world.pass_()
    assert services(world) == {"web"}
    assert world.condition("Stalled")["reason"] == "Conflict"


async def test_given_a_registered_shopservice_when_an_older_one_claims_its_hostname_then_it_stays_registered(
    world: World,
) -> None:
    world.shop(discovery={"hostname": NAME})
    await world.pass_()
    world.store.put(shop(ELSEWHERE, "1970-01-01T00:00:00Z"))

    assert await world.pass_() is None

    assert services(world) == {"web", "web-discovery"}
    assert world.store.holder(NAME) == KEY


def test_given_a_discovery_hostname_then_a_hostname_in_the_pod_template_is_refused() -> None:
    # ExternalDNS registers a pod's hostname in front of the Service's: shop.internal and payment make payment.shop.internal.
    found = ShopService.from_object(
        {
            "metadata": {"namespace": "ns", "name": "web", "uid": "u"},
            "spec": {
                "image": "shop:1",
                "discovery": {"hostname": "shop.internal"},
                "podTemplate": {"spec": {"hostname": "payment"}},
            },
        }
    )

    with pytest.raises(InvalidSpec, match=r"spec\.podTemplate\.spec\.hostname: must not be set together"):
        render(found, live=None)
