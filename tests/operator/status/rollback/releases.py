"""Releases of a ShopService with automatic rollback, for tests."""

from typing import Any

from tests.operator.world import World, given_up, rolling

CAREFUL: dict[str, Any] = {"rollout": {"autoRollback": True}}


PROBE: dict[str, Any] = {"readiness": {"httpGet": {"path": "/only-in-version-two"}}}


async def release(world: World, **spec: Any) -> None:
    world.shop(**CAREFUL, **spec)
    await world.pass_()


async def fail(world: World) -> None:
    await given_up(world)
    await world.pass_()


def pod(world: World) -> str:
    return str(world.api.objects["Deployment", "ns", "web"]["spec"]["template"])


def rollout(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["ShopService", "ns", "web"]["status"]["rollout"]
    return found


def seen(world: World, name: str, *, available: int) -> None:
    """Set the status of a Deployment that has as many pods as wanted, as its controller would."""
    live = world.edit("Deployment", name)
    there = live["spec"].get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas"), there)
    counts |= dict.fromkeys(("readyReplicas", "availableReplicas"), available)
    live["status"] = {"observedGeneration": live["metadata"]["generation"], "conditions": [], **counts}
    world.see(live)


def new_pod(world: World, **status: Any) -> None:
    """Create the one new pod, with that status."""
    labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "web"}
    metadata = {"namespace": "ns", "name": "web-2", "labels": labels}
    world.api.put({"kind": "Pod", "metadata": metadata, "status": status})


def waiting(world: World, message: str) -> None:
    """Create the one new pod, which waits for its image."""
    state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    new_pod(world, containerStatuses=[{"name": "app", "state": state}])


SECRET: dict[str, Any] = {"envFrom": [{"secretRef": {"name": "db"}}]}


def secret(world: World, version: int, **data: str) -> None:
    obj = {
        "kind": "Secret",
        "metadata": {
            "namespace": "ns",
            "name": "db",
            "uid": f"uid-db-{version}",
            "resourceVersion": str(version),
        },
        "data": data,
    }
    world.api.objects["Secret", "ns", "db"] = obj
    world.config_digests.seen("MODIFIED", obj)


def away(world: World, version: int) -> None:
    obj = world.api.objects.pop(("Secret", "ns", "db"))
    world.config_digests.seen(
        "DELETED", {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}
    )


async def rejected(world: World) -> str:
    """Let a release that uses a Secret fail; returns the pods of the last good one."""
    secret(world, 101, password="one")
    await release(world, image="shop:1", **SECRET)
    rolling(world, available=1)
    await world.pass_()
    good = pod(world)
    await release(world, image="shop:2", **SECRET)
    await fail(world)
    assert pod(world) == good
    return good
