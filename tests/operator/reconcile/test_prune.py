"""Pruning: a child that is no longer desired is deleted if the ShopService controls it."""

import pytest

from shop_operator.errors import (
    Throttled,
)
from tests.operator.world import (
    World,
)


async def test_given_a_child_removed_from_the_spec_then_it_is_deleted_and_a_foreign_object_is_kept(
    world: World,
) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    theirs = world.edit("Deployment", "web-relay")
    theirs["metadata"] |= {"name": "theirs", "uid": "t1", "ownerReferences": []}
    world.see(theirs)

    world.shop()
    await world.pass_()

    assert "delete Deployment web-relay" in world.writes
    assert ("Deployment", "ns", "theirs") in world.api.objects


async def test_given_a_child_without_its_label_when_it_is_removed_from_the_spec_then_it_is_deleted(
    world: World,
) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    # Its watch shows this as a deletion.
    world.hide("Deployment", "web-relay")
    world.restart()

    world.shop()
    await world.pass_()
    assert "delete Deployment web-relay" in world.writes

    reads = world.api.reads
    world.shop(env=[{"name": "A", "value": "1"}])
    await world.pass_()
    assert world.api.reads == reads


async def test_given_a_child_in_neither_status_nor_watch_when_it_is_removed_from_the_spec_then_it_is_deleted(
    world: World,
) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    world.api.refusing["ShopService"] = Throttled("busy")
    with pytest.raises(Throttled):
        await world.pass_()
    world.hide("Deployment", "web-relay")

    world.shop()
    del world.api.refusing["ShopService"]
    await world.pass_()

    assert "delete Deployment web-relay" in world.writes


async def test_given_a_pruned_child_when_the_spec_changes_again_then_it_is_not_read(world: World) -> None:
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    await world.pass_()
    world.shop()
    await world.pass_()
    world.shop(env=[{"name": "A", "value": "1"}])
    await world.pass_()

    assert world.api.reads == 0


async def test_given_a_service_account_of_the_operator_when_the_spec_names_it_then_it_is_kept(
    world: World,
) -> None:
    world.shop()
    await world.pass_()

    world.shop(serviceAccount={"name": "web"})
    await world.pass_()
    await world.pass_()

    assert ("ServiceAccount", "ns", "web") in world.api.objects


async def given_a_worker_that_only_its_owner_reference_shows(world: World) -> None:
    """A process created the worker's Deployment and was killed before its status write; then the label was removed."""
    world.shop()
    await world.pass_()
    world.shop(workers=[{"name": "relay", "command": ["x"]}])
    world.api.refusing["ShopService"] = Throttled("busy")
    with pytest.raises(Throttled):
        await world.pass_()
    del world.api.refusing["ShopService"]
    world.hide("Deployment", "web-relay")
    world.restart()
    world.shop()


async def test_given_a_child_that_only_its_owner_reference_shows_when_a_new_process_starts_then_it_is_deleted(
    world: World,
) -> None:
    await given_a_worker_that_only_its_owner_reference_shows(world)
    await world.pass_()
    assert "delete Deployment web-relay" in world.writes

    reads = world.api.reads
    world.shop(env=[{"name": "A", "value": "1"}])
    await world.pass_()
    assert world.api.reads == reads


async def test_given_a_list_of_unlabeled_objects_that_fails_then_the_next_pass_repeats_it(
    world: World,
) -> None:
    await given_a_worker_that_only_its_owner_reference_shows(world)
    world.api.refusing["unlabeled Deployment"] = Throttled("busy")
    with pytest.raises(Throttled):
        await world.pass_()
    assert "delete Deployment web-relay" not in world.writes

    del world.api.refusing["unlabeled Deployment"]
    await world.pass_()
    assert "delete Deployment web-relay" in world.writes


async def test_given_an_unchanged_shopservice_when_a_new_process_starts_then_nothing_is_read(
    world: World,
) -> None:
    world.shop()
    await world.pass_()
    world.shop(replicas=2)
    await world.pass_()
    world.restart()

    reads = world.api.reads
    await world.pass_()
    assert world.api.reads == reads
