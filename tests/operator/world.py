"""A cluster with the ShopService `web` in it, the operator over it, and what other clients and controllers do there."""

from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.store import Store
from shop_operator.names import Key
from shop_operator.objects.pod_security import Level
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.render import KINDS
from shop_operator.status.writer import StatusWriter
from tests.operator.clock import Clock
from tests.operator.fake_api import FakeApi, FixedKey

KEY = Key("ns", "web")


class World:
    """A cluster, a watch that shows every change at once, and the operator's reconciler."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.store = Store()
        self.wrote_children: list[str] = []
        self.repaired: list[str] = []
        self.rollbacks = 0
        self.terminals = 0
        self.states: dict[tuple[str, str], tuple[bool | None, str | None]] = {}
        self.woken: list[Key] = []
        self.clock = Clock()
        self.told: list[tuple[str, str, bool]] = []
        self.served = frozenset(kind.kind for kind in KINDS)
        self.config_digests = ConfigDigests(self.api, FixedKey(), self.woken.extend)
        self.diagnose_logs = True
        self.level: Level = "restricted"
        self.protected = frozenset({"kube-system"})
        self.restart()

    def restart(self) -> None:
        """A new process over the same cluster."""
        writer = StatusWriter(
            self.api, self.store, self, self, self.woken.extend, self.clock, logs=self.diagnose_logs
        )
        self.reconciler = Reconciler(
            self.api,
            self.store,
            writer,
            self,
            config_digests=self.config_digests,
            served=lambda: self.served,
            namespaces=Namespaces(self.level, self.protected, self.wake_namespace, lambda: None),
            now=self.clock.date,
            clock=self.clock,
        )

    def wake_namespace(self, name: str) -> None:
        self.woken.extend(self.store.in_namespace(name))

    def tell(self, _: ShopService, reason: str, note: str, *, warning: bool = False) -> None:
        self.told.append((reason, note, warning))

    def drifted(self, kind: str) -> None:
        self.repaired.append(kind)

    def rolled_back(self) -> None:
        self.rollbacks += 1

    def terminal(self) -> None:
        self.terminals += 1

    def status(self, namespace: str, name: str, *, ready: bool | None, stalled: str | None) -> None:
        self.states[namespace, name] = (ready, stalled)

    def gone(self, namespace: str, name: str) -> None:
        self.states.pop((namespace, name), None)

    def wrote(self, kind: str, operation: str) -> None:
        self.wrote_children.append(f"{operation} {kind}")

    def shop(self, **spec: Any) -> None:
        """Create or change the ShopService."""
        found = self.api.objects.get(("ShopService", *KEY), {})
        metadata = found.get(
            "metadata",
            {
                "namespace": "ns",
                "name": "web",
                "generation": 0,
                "creationTimestamp": self.clock.date().isoformat(),
            },
        )
        self.see(
            {
                "apiVersion": "shopservice.dev/v1alpha1",
                "kind": "ShopService",
                "metadata": {**metadata, "generation": metadata["generation"] + 1},
                "spec": {"image": "shop:1", **spec},
                "status": found.get("status", {}),
            }
        )

    def see(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Write an object as another client, and show it to the watch."""
        written = self.api.put(obj)
        self.store.put(written)
        return written

    def edit(self, kind: str, name: str = "web") -> dict[str, Any]:
        """Return a copy of an object, to be changed and passed to `see`."""
        found = self.api.objects["ShopService" if kind == "ShopService" else kind, "ns", name]
        return {**found, "metadata": dict(found["metadata"])}

    def lose(self, kind: str, name: str = "web") -> None:
        """Delete an object as another client, and show that to the watch."""
        self.store.remove(self.api.forget((kind, "ns", name)))

    def hide(self, kind: str, name: str) -> None:
        """Remove the operator's label from an object, so that its watch no longer shows it."""
        found = self.edit(kind, name)
        found["metadata"]["labels"] = {}
        self.store.remove(self.api.put(found))

    async def pass_(self) -> float | None:
        """Make one pass, 2 s after the previous one; `writes` has only the writes of this pass."""
        self.clock.now += 2
        self.api.writes.clear()
        self.wrote_children.clear()
        return await self.reconciler.reconcile(KEY)

    @property
    def writes(self) -> set[str]:
        return set(self.api.writes)

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.api.objects["ShopService", "ns", "web"]["status"]["conditions"]
        found: dict[str, Any] = next(c for c in conditions if c["type"] == kind)
        return found


POLICY: dict[str, Any] = {"networkPolicy": {"enabled": True}}


# The deletionTimestamp of pods that are being deleted; the clock of a World starts in 1970.
ENDS = "2026-01-01T00:00:00Z"


KEPT = "Kept for pods and clients of an earlier release: "


CAREFUL = {"rollout": {"autoRollback": True}}


def other(world: World, name: str, *, available: bool = False, **spec: Any) -> None:
    """Show another ShopService of the namespace, in the state in which its own pass leaves it."""
    conditions = [{"type": "Available", "status": str(available)}]
    metadata = {"namespace": "ns", "name": name, "generation": 1}
    found = world.api.objects.get(("ShopService", "ns", name))
    if found is not None:
        metadata = found["metadata"]
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": metadata,
            "spec": {"image": "shop:1", **spec},
            "status": {"conditions": conditions},
        }
    )


def neighbor(world: World, name: str, **spec: Any) -> Key:
    """Create or change another ShopService of the namespace; returns its key."""
    found = world.api.objects.get(("ShopService", "ns", name), {})
    metadata = {
        "namespace": "ns",
        "name": name,
        "generation": 0,
        "creationTimestamp": world.clock.date().isoformat(),
        **found.get("metadata", {}),
    }
    world.see(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {**metadata, "generation": metadata["generation"] + 1},
            "spec": {"image": "shop:1", **spec},
            "status": found.get("status", {}),
        }
    )
    world.clock.now += 200
    return Key("ns", name)


async def new_process(world: World) -> None:
    """Restart the operator, which lists the existing objects."""
    world.store = Store()
    for obj in world.api.objects.values():
        world.store.put(obj)
    world.restart()


def template_of(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.api.objects["Deployment", "ns", "web"]["spec"]["template"]
    return found


def config(world: World, kind: str = "ConfigMap", **data: str) -> dict[str, Any]:
    return world.api.put(
        {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "ns", "name": "settings"}, "data": data}
    )


def rolling(world: World, reason: str = "", available: int = 0, **more: Any) -> None:
    """Set the status of the Deployment as the Deployment controller would."""
    live = world.edit("Deployment")
    progressing = [{"type": "Progressing", "status": "False", "reason": reason}] if reason else []
    live["status"] = {
        "observedGeneration": live["metadata"].get("generation", 0),
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": progressing,
        **more,
    }
    world.see(live)


async def given_up(world: World, **state: Any) -> float | None:
    """Let the Deployment miss its deadline, long enough for the operator to confirm it."""
    rolling(world, "ProgressDeadlineExceeded", **state)
    await world.pass_()
    world.clock.now += 8
    return await world.pass_()


async def rolled_out(world: World, **spec: Any) -> None:
    """Apply a ShopService with automatic rollback, and make its pods available."""
    world.shop(**CAREFUL, **spec)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()


def settle(world: World, name: str = "web", *, old: int = 0) -> None:
    """Complete the rollout of a Deployment, except for this number of old pods."""
    found = world.edit("Deployment", name)
    wanted = found["spec"]["replicas"]
    world.see(
        found
        | {
            "status": {
                "observedGeneration": found["metadata"]["generation"],
                "replicas": wanted + old,
                "updatedReplicas": wanted,
                "availableReplicas": wanted,
                "readyReplicas": wanted,
            }
        }
    )


def accept(world: World, name: str) -> None:
    found = world.edit("HTTPRoute", name)
    said = [{"type": "Accepted", "status": "True", "observedGeneration": found["metadata"]["generation"]}]
    world.see(
        found | {"status": {"parents": [{"parentRef": found["spec"]["parentRefs"][0], "conditions": said}]}}
    )


def service_ports(world: World) -> dict[str, int]:
    return {p["name"]: p["port"] for p in world.api.objects["Service", "ns", "web"]["spec"]["ports"]}


def policy(world: World, direction: str, name: str = "web") -> str:
    return str(world.api.objects["NetworkPolicy", "ns", name]["spec"][direction])


def pod(world: World, name: str, component: str = "web", **metadata: Any) -> tuple[str, str, str]:
    labels = {"shopservice.dev/name": name, "app.kubernetes.io/component": component}
    world.see(
        {
            "kind": "Pod",
            "metadata": {"namespace": "ns", "name": f"{name}-pod", "labels": labels, **metadata},
            "spec": {},
        }
    )
    return ("Pod", "ns", f"{name}-pod")


def container(world: World, **state: Any) -> None:
    """Set the state of the container of the only pod."""
    labels = {"shopservice.dev/name": "web", "app.kubernetes.io/component": "web"}
    world.api.put(
        {
            "kind": "Pod",
            "metadata": {"namespace": "ns", "name": "web-1", "labels": labels},
            "status": {"containerStatuses": [{"name": "app", **state}]},
        }
    )


def crash(world: World) -> None:
    """Let the container exit repeatedly."""
    container(
        world,
        restartCount=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 1}},
    )
    world.api.logs["web-1", "app", True] = "starting\nno such table: orders\n\n"
