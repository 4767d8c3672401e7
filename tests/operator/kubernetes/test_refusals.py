"""Refused requests are sent again, whatever their status code: the policy that denies them may be removed."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shop_operator.cache.store import Store
from shop_operator.errors import ApiUnavailable, Forbidden, InternalError, OperatorError, Refused, Terminating
from shop_operator.kubernetes.client import Kube
from shop_operator.kubernetes.refusals import FIRST, LONGEST, Refusals
from shop_operator.names import Key
from shop_operator.observability.metrics import Metrics
from shop_operator.reconcile.queue import WorkQueue
from tests.operator.clock import Clock
from tests.operator.connections import connected
from tests.operator.engine import Engine
from tests.operator.kubernetes.test_client import ACCOUNT, Scripted, failure
from tests.operator.kubernetes.test_client import api as api  # noqa: PLC0414  a fixture
from tests.operator.kubernetes.test_client import url as url  # noqa: PLC0414  a fixture
from tests.operator.world import KEY, World

POLICY = (
    'deployments.apps "web" is forbidden: ValidatingAdmissionPolicy "no" with binding "no" denied request: no'
)
WEBHOOK = 'admission webhook "validate.kyverno.svc-fail" denied the request: no'
QUOTA = 'services "web" is forbidden: exceeded quota: few, requested: services=1, used: services=3, limited: services=3'
RBAC = (
    'deployments.apps "web" is forbidden: User "x" cannot patch resource "deployments" in API group "apps" in the'
    ' namespace "ns"'
)
ENDS = (
    'services "web" is forbidden: unable to create new content in namespace ns because it is being terminated'
)


@pytest.fixture
async def kube(url: str) -> AsyncIterator[Kube]:
    async with connected(url) as connection:
        yield Kube(connection, lambda: 10.0)


@pytest.mark.parametrize(
    ("status", "said", "error", "advice"),
    [
        *(
            (status, POLICY, Refused, "or the policy or quota that denies it")
            for status in (400, 401, 403, 413, 422)
        ),
        *(
            (status, WEBHOOK, Refused, "or the policy or quota that denies it")
            for status in (400, 403, 404, 409, 422, 429, 500)
        ),
        (403, QUOTA, Refused, "or the policy or quota that denies it"),
        (403, 'pods "web" is forbidden: violates PodSecurity "restricted:latest"', Refused, "retries"),
        (403, RBAC, Forbidden, "Check the operator's RBAC"),
        (403, 'forbidden: User "x" cannot get path "/x"', Forbidden, "Check the operator's RBAC"),
        (403, ENDS, Terminating, "terminated"),
        (422, 'Deployment.apps "web" is invalid', Refused, "Change the ShopService accordingly"),
        (500, "failed to create typed patch object (ns/web): .x: field not declared", Refused, "accordingly"),
        (
            500,
            "failed to convert new object: quantities must match the regular expression",
            Refused,
            "accordingly",
        ),
        (
            500,
            "unable to convert unstructured object: unable to parse quantity's suffix",
            Refused,
            "accordingly",
        ),
        (500, "etcdserver: leader changed", ApiUnavailable, "answered 500"),
        (500, 'failed calling webhook "x": connection refused', ApiUnavailable, "answered 500"),
    ],
)
async def test_given_a_refusal_then_the_error_names_its_cause_and_the_remedy(
    api: Scripted, kube: Kube, status: int, said: str, error: type[OperatorError], advice: str
) -> None:
    api.say(status, failure(status, said))

    with pytest.raises(OperatorError) as caught:
        await kube.apply(ACCOUNT, uid="u1")

    assert type(caught.value) is error
    assert said in caught.value.message
    assert advice in caught.value.message
    assert ("RBAC" in caught.value.message) == (error is Forbidden)


def test_given_repeated_refusals_then_the_waits_double_from_15_seconds_to_5_minutes() -> None:
    clock = Clock(0.0)
    refusals = Refusals(clock)
    waits = []
    for _ in range(7):
        waits.append(refusals.next(KEY, 1))
        clock.now += waits[-1]

    expected = [15, 30, 60, 120, 240, 300, 300]
    assert waits == pytest.approx(expected, rel=0.2)
    assert all(wait <= most for wait, most in zip(waits, expected, strict=True))


def test_given_a_refusal_when_an_event_causes_a_pass_then_the_wait_is_not_extended() -> None:
    clock = Clock(0.0)
    refusals = Refusals(clock)
    first = refusals.next(KEY, 1)
    clock.now += 5

    assert refusals.next(KEY, 1) == pytest.approx(first - 5)


@pytest.mark.parametrize("news", ["another generation", "nothing was refused"])
def test_given_a_long_wait_when_the_generation_changes_or_a_pass_succeeds_then_the_wait_starts_again(
    news: str,
) -> None:
    clock = Clock(0.0)
    refusals = Refusals(clock)
    for _ in range(5):
        clock.now += refusals.next(KEY, 1)
    if news == "nothing was refused":
        refusals.forget(KEY)

    assert refusals.next(KEY, 2 if news == "another generation" else 1) <= FIRST


async def test_given_a_refused_deployment_when_the_policy_is_removed_then_a_retry_applies_it_without_an_event(
    world: World,
) -> None:
    world.api.refusing["Deployment"] = Refused("a policy denies it")
    world.shop()
    look = await world.pass_()
    assert world.condition("Stalled")["status"] == "True"
    assert look is not None
    assert look <= LONGEST

    world.clock.now += look
    again = await world.pass_()
    assert again is not None
    assert look < again <= LONGEST
    assert "status ShopService web" not in world.writes, "a refusal that stays is no news"

    del world.api.refusing["Deployment"]
    world.clock.now += again
    await world.pass_()

    assert world.condition("Stalled")["status"] == "False"


async def test_given_an_unexpected_exception_in_a_pass_then_ready_reports_an_internal_error_and_it_is_retried(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.shop()
    await world.pass_()

    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("secret of the spec")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr("shop_operator.status.rollback.choice.prepare", broken)
        world.shop(replicas=3)
        with pytest.raises(InternalError):
            await world.pass_()

    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"], ready["observedGeneration"]) == ("False", "InternalError", 2)
    assert "TypeError" in ready["message"]
    assert "secret" not in ready["message"]
    assert any(record.exc_info for record in caplog.records)
    await world.pass_()
    assert world.condition("Ready")["reason"] != "InternalError"


def shop(name: str, version: int, ready: str) -> dict[str, Any]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


class NoPasses:
    async def reconcile(self, key: Key) -> float | None:
        raise AssertionError(key)


class Listed:
    """An engine that has made a pass over a ShopService that is ready and one that is not."""

    def __init__(self) -> None:
        self.clock = Clock()
        metrics = Metrics(lease="x")
        self.queue: WorkQueue[Key] = WorkQueue(metrics)
        self.engine = Engine(
            Store(),
            self.queue,
            NoPasses(),
            metrics,
            "ShopService",
            clock=self.clock,
        )

    def list(self) -> None:
        self.engine.begin_list()
        self.engine.merge([shop("well", 1, "True"), shop("ill", 2, "False")])
        self.engine.end_list("ShopService", None, frozenset({"well", "ill"}), 3)

    async def lead(self) -> None:
        self.engine.lead(leads=True)
        for _ in range(2):
            self.queue.done(await self.queue.get())


async def test_given_first_passes_when_a_list_follows_soon_then_no_second_pass_is_queued() -> None:
    listed = Listed()
    listed.list()
    listed.clock.now += 3600
    await listed.lead()

    listed.clock.now += 5
    listed.list()

    assert len(listed.queue) == 0


async def test_when_the_hourly_comparison_runs_then_only_shopservices_that_are_not_ready_are_queued() -> None:
    listed = Listed()
    listed.list()
    await listed.lead()
    queue = listed.queue

    listed.clock.now += 3600
    listed.list()

    assert len(queue) == 1
    assert await queue.get() == Key("ns", "ill")
