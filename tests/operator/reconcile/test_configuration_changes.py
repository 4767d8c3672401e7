"""A change of configuration under running pods, pass by pass."""

from typing import Any

import pytest

from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.errors import (
    Forbidden,
)
from tests.operator.fake_api import FixedKey
from tests.operator.world import (
    KEY,
    World,
    config,
    template_of,
)

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
    world.config_digests.seen("MODIFIED", obj)
    return obj


def gone(world: World, version: int) -> None:
    obj = world.api.objects.pop(("ConfigMap", "ns", "settings"))
    obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}
    world.config_digests.seen("DELETED", obj)


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


async def test_given_a_changed_configmap_then_pods_are_replaced_and_given_an_unchanged_one_they_are_not(
    world: World,
) -> None:
    config(world, LEVEL="info")
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    before = template_of(world)
    assert before["metadata"]["annotations"].keys() == {"shopservice.dev/config-checksum"}
    assert world.api.reads == 1

    world.config_digests.seen("MODIFIED", config(world, LEVEL="info"))
    await world.pass_()
    assert (template_of(world), world.api.reads, world.woken) == (before, 2, [KEY])

    world.config_digests.seen("MODIFIED", config(world, LEVEL="debug"))
    await world.pass_()
    assert template_of(world) != before
    await world.pass_()
    assert (world.writes, world.api.reads) == (set(), 3)


async def test_given_pods_without_a_checksum_then_an_upgrade_does_not_replace_them(world: World) -> None:
    config(world, LEVEL="info")
    world.config_digests = ConfigDigests(world.api, FixedKey(), world.woken.extend, enabled=False)
    world.restart()
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    before = template_of(world)

    world.config_digests = ConfigDigests(world.api, FixedKey(), world.woken.extend)
    world.restart()
    await world.pass_()
    assert template_of(world) == before
    world.restart()
    await world.pass_()
    assert world.writes == set()

    world.config_digests.seen("MODIFIED", config(world, LEVEL="debug"))
    await world.pass_()
    changed = template_of(world)
    assert changed["metadata"]["annotations"].keys() == {"shopservice.dev/config-checksum"}
    await world.pass_()
    assert (world.writes, template_of(world)) == (set(), changed)


async def test_given_configuration_that_cannot_be_read_then_only_the_pods_stay_unchanged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}])
    await world.pass_()
    world.lose("Service")

    async def forbidden(*_: Any) -> None:
        raise Forbidden("no right to read ConfigMaps")

    world.config_digests = ConfigDigests(world.api, FixedKey(), world.woken.extend)
    monkeypatch.setattr(world.api, "get", forbidden)
    world.restart()
    world.shop(envFrom=[{"configMapRef": {"name": "settings"}}], args=["new"])
    with pytest.raises(Forbidden):
        await world.pass_()

    assert {"create Service web", "status ShopService web"} == world.writes
    assert world.condition("Reconciling")["reason"] == "Forbidden"
