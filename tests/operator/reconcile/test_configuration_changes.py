"""A change of configuration under running pods, pass by pass."""

from typing import Any

import pytest

from tests.operator.reconcile.test_reconciler import World, template_of

MOUNTED = {
    "spec": {
        "containers": [
            {
                "name": "app",
                "volumeMounts": [{"name": "v", "mountPath": "/etc/app.conf", "subPath": "app.conf"}],
            }
        ],
        "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
    }
}


@pytest.fixture
def world() -> World:
    return World()


def settings(world: World, version: int, **data: str) -> dict[str, Any]:
    obj = {
        "kind": "ConfigMap",
        "metadata": {
            "namespace": "ns",
            "name": "settings",
            "uid": f"uid-settings-{version}",
            "resourceVersion": str(version),
        },
        "data": data,
    }
    world.api.objects["ConfigMap", "ns", "settings"] = obj
    world.configs.seen("MODIFIED", obj)
    return obj


def gone(world: World, version: int) -> None:
    obj = world.api.objects.pop(("ConfigMap", "ns", "settings"))
    obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}
    world.configs.seen("DELETED", obj)


async def test_given_an_object_that_is_deleted_and_made_again_then_no_pods_are_replaced(world: World) -> None:
    settings(world, 101, LEVEL="info")
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    before = template_of(world)

    gone(world, 102)
    await world.pass_()
    assert template_of(world) == before
    world.restart()
    await world.pass_()
    assert template_of(world) == before

    settings(world, 103, LEVEL="info")
    await world.pass_()
    assert template_of(world) == before

    gone(world, 104)
    await world.pass_()
    settings(world, 105, LEVEL="debug")
    await world.pass_()
    assert template_of(world) != before


async def test_given_another_key_of_a_shared_object_then_no_pods_are_replaced(world: World) -> None:
    settings(world, 101, animal="cat", unrelated="one")
    source = {"configMapKeyRef": {"name": "settings", "key": "animal"}}
    world.shop(env=[{"name": "ANIMAL", "valueFrom": source}])
    await world.pass_()
    before = template_of(world)

    settings(world, 102, animal="cat", unrelated="two")
    await world.pass_()
    assert template_of(world) == before

    settings(world, 103, animal="dog", unrelated="two")
    await world.pass_()
    assert template_of(world) != before


async def test_given_a_mounted_file_that_changes_then_pods_are_replaced(world: World) -> None:
    settings(world, 101, **{"app.conf": "mode=one", "other.conf": "1"})
    world.shop(podTemplate=MOUNTED)
    await world.pass_()
    before = template_of(world)

    settings(world, 102, **{"app.conf": "mode=one", "other.conf": "2"})
    await world.pass_()
    assert template_of(world) == before

    settings(world, 103, **{"app.conf": "mode=two", "other.conf": "2"})
    await world.pass_()
    assert template_of(world) != before


async def test_given_configuration_of_a_worker_then_the_web_pods_stay(world: World) -> None:
    settings(world, 101, LEVEL="info")
    source = {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}
    worker = {"name": "relay", "command": ["relay"], "env": [{"name": "LEVEL", "valueFrom": source}]}
    world.shop(workers=[worker])
    await world.pass_()
    web, relay = (world.api.objects["Deployment", "ns", name] for name in ("web", "web-relay"))

    settings(world, 102, LEVEL="debug")
    await world.pass_()

    assert world.api.objects["Deployment", "ns", "web"] == web
    assert world.api.objects["Deployment", "ns", "web-relay"]["spec"] != relay["spec"]


OPTIONAL: dict[str, Any] = {
    "env": [
        {
            "name": "LEVEL",
            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL", "optional": True}},
        }
    ]
}


@pytest.mark.parametrize("spec", [OPTIONAL, {"envFrom": [{"configMapRef": {"name": "settings"}}]}])
async def test_given_an_object_that_is_emptied_and_filled_again_then_only_another_content_replaces_pods(
    world: World, spec: dict[str, Any]
) -> None:
    settings(world, 101, LEVEL="info")
    world.shop(**spec)
    await world.pass_()
    before = template_of(world)

    settings(world, 102)
    await world.pass_()
    assert template_of(world) == before
    settings(world, 103, LEVEL="info")
    await world.pass_()
    assert template_of(world) == before

    settings(world, 104)
    await world.pass_()
    settings(world, 105, LEVEL="debug")
    await world.pass_()
    assert template_of(world) != before


async def test_given_an_optional_key_that_goes_from_an_object_that_keeps_others_then_pods_are_replaced(
    world: World,
) -> None:
    settings(world, 101, LEVEL="info", other="1")
    world.shop(**OPTIONAL)
    await world.pass_()
    before = template_of(world)

    settings(world, 102, other="1")
    await world.pass_()

    assert template_of(world) != before
