"""The identity of a release: objects that are missing for a moment do not change it."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.errors import Forbidden
from shop_operator.names import PART_OF_LABEL
from shop_operator.render import render
from shop_operator.render.configuration import Configuration
from shop_operator.render.surroundings import Surroundings
from shop_operator.status.rollback import release as release_of
from tests.operator.fake_api import FixedKey
from tests.operator.status.rollback.releases import (
    SECRET,
    away,
    fail,
    pod,
    rejected,
    release,
    rollout,
    secret,
    seen,
)
from tests.operator.world import World, rolling


def test_given_pods_with_a_part_of_label_when_the_application_changes_then_the_release_stays_the_same() -> (
    None
):
    def identity(value: str, part_of: dict[str, str]) -> str:
        labels = {PART_OF_LABEL: value}
        shop = ShopService("web", "ns", "u", 1, labels, {"image": "shop:1"})
        desired = render(shop, live=None)
        return release_of(shop, desired, Configuration(), Surroundings(), frozenset(), part_of).identity

    live = {"web": "shop"}
    assert identity("checkout", live) == identity("shop", live) == identity("shop", {})
    assert identity("checkout", {}) != identity("shop", {})


async def test_given_a_rejected_release_when_its_secret_is_deleted_and_restored_then_it_stays_rejected(
    world: World,
) -> None:
    good = await rejected(world)

    away(world, 102)
    await world.pass_()
    assert pod(world) == good
    world.restart()
    await world.pass_()
    assert pod(world) == good
    secret(world, 103, password="one")
    await world.pass_()

    assert pod(world) == good
    assert rollout(world)["rejectedImage"] == "shop:2"
    assert world.rollbacks == 1


async def test_given_a_release_rejected_without_its_secret_when_the_same_secret_returns_then_it_stays_rejected(
    world: World,
) -> None:
    secret(world, 101, password="one")
    await release(world, image="shop:2", **SECRET)
    away(world, 102)
    await fail(world)
    assert "shop:1" in pod(world)

    secret(world, 103, password="one")
    await world.pass_()
    assert "shop:1" in pod(world)

    secret(world, 104, password="two")
    await world.pass_()
    assert "shop:2" in pod(world)


async def test_given_a_rejected_release_when_its_secret_is_emptied_and_restored_then_it_stays_rejected(
    world: World,
) -> None:
    good = await rejected(world)

    secret(world, 102)
    await world.pass_()
    secret(world, 103, password="one")
    await world.pass_()

    assert pod(world) == good
    assert world.rollbacks == 1


async def test_given_a_rejected_release_when_its_secret_returns_with_other_content_then_it_is_tried_again(
    world: World,
) -> None:
    await rejected(world)

    away(world, 102)
    await world.pass_()
    secret(world, 103, password="two")
    await world.pass_()

    assert "shop:2" in pod(world)


async def test_given_a_release_that_failed_without_its_secret_when_the_secret_is_created_then_it_is_tried_again(
    world: World,
) -> None:
    await release(world, image="shop:2", **SECRET)
    await fail(world)
    assert "shop:1" in pod(world)

    secret(world, 101, password="one")
    await world.pass_()

    assert "shop:2" in pod(world)


async def test_given_a_rejected_release_when_the_digest_key_changes_then_it_stays_rejected(
    world: World,
) -> None:
    good = await rejected(world)

    world.config_digests = ConfigDigests(world.api, FixedKey(b"another key"), world.woken.extend)
    world.restart()
    await world.pass_()
    assert pod(world) == good
    assert world.rollbacks == 1

    # From here on the content counts as before.
    size = len(rollout(world)["rejectedRelease"])
    await world.pass_()
    assert len(rollout(world)["rejectedRelease"]) == size
    secret(world, 103, password="two")
    await world.pass_()
    assert "shop:2" in pod(world)


@pytest.mark.parametrize("good", ["one", "http://db.ns.svc:9999"])
async def test_given_a_rejected_release_when_its_dependency_is_deleted_and_restored_then_it_stays_rejected(
    world: World, good: str
) -> None:
    await release(world, image="shop:1", env=[{"name": "VERSION", "value": good}])
    rolling(world, available=1)
    await world.pass_()

    def database(port: int) -> None:
        metadata = {"namespace": "ns", "name": "db", "generation": 1}
        spec = {"image": "db:1", "port": port}
        world.see(
            {
                "apiVersion": "shopservice.dev/v1alpha1",
                "kind": "ShopService",
                "metadata": metadata,
                "spec": spec,
            }
        )

    database(5432)
    await release(world, image="shop:2", dependsOn=["db"])
    assert "http://db.ns.svc:5432" in pod(world)
    await fail(world)
    assert "shop:1" in pod(world)

    world.lose("ShopService", "db")
    await world.pass_()
    assert "shop:1" in pod(world)
    database(5432)
    await world.pass_()
    assert "shop:1" in pod(world)

    database(5433)
    await world.pass_()
    assert "shop:2" in pod(world)


async def test_given_a_rejected_release_when_its_secret_cannot_be_read_for_a_moment_then_it_stays_rejected(
    world: World,
) -> None:
    worker = {"name": "relay", "command": ["relay"]}
    secret(world, 101, password="one")
    await release(world, image="shop:1", workers=[worker], **SECRET)
    seen(world, "web", available=1)
    seen(world, "web-relay", available=1)
    await world.pass_()
    good = pod(world)
    bad: dict[str, Any] = {**SECRET, "env": [{"name": "VERSION", "value": "two"}]}
    await release(world, image="shop:1", **bad)
    await fail(world)
    assert pod(world) == good
    told = rollout(world)

    world.restart()
    world.reconciler._observation._config_digests = Unreadable()  # type: ignore[assignment]
    with pytest.raises(Forbidden):
        await world.pass_()
    assert ("Deployment", "ns", "web-relay") in world.api.objects
    assert world.condition("Ready")["reason"] == "RolledBack"
    assert rollout(world) == told
    world.restart()
    await world.pass_()

    assert pod(world) == good
    assert world.rollbacks == 1


class Unreadable:
    """Configuration whose Secrets the operator must not read."""

    async def digests(self, *_: object) -> None:
        raise Forbidden("secrets is forbidden")
