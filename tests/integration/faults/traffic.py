"""Seeded random changes by users and other controllers to ShopServices and their children."""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import httpx

from tests.integration.cluster import Cluster
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice

NAMES: Final = ("alpha", "beta", "gamma", "delta")
# Accepted errors: another client deleted or changed the object first.
_MISSED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
_PAUSE_SECONDS: Final = 0.05

# Of fields that the operator owns: other values, more entries, fewer.
EDITS: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "Deployment": (
        {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}},
        {"spec": {"template": {"spec": {"securityContext": None}}}},
        {"spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/part-of": "another"}}}}},
        {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}},
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "another"}}},
    ),
    "Service": (
        {"spec": {"selector": {"app": "other"}}},
        {"spec": {"selector": {"shopservice.dev/name": "other"}}},
        {"spec": {"selector": None}},
        {"spec": {"ports": [{"port": 81, "name": "http"}]}},
    ),
    "ServiceAccount": (
        {"automountServiceAccountToken": True},
        {"automountServiceAccountToken": None},
        {"metadata": {"annotations": {"team.example/role": "other"}}},
    ),
    "HorizontalPodAutoscaler": (
        {"spec": {"maxReplicas": 50}},
        {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "other"}}},
    ),
    "PodDisruptionBudget": (
        {"spec": {"maxUnavailable": "90%"}},
        {"spec": {"selector": {"matchLabels": {"app": "other"}}}},
        {"spec": {"unhealthyPodEvictionPolicy": None}},
    ),
    "NetworkPolicy": (
        {"spec": {"podSelector": {"matchLabels": {"app": "other"}}}},
        {"spec": {"podSelector": {"matchLabels": {"shopservice.dev/name": "other"}}}},
        {"spec": {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}},
        {"spec": {"ingress": [{}]}},
        {"spec": {"policyTypes": ["Egress"]}},
    ),
}
ACCOUNT: Final = {"annotations": {"team.example/role": "shop"}}
UNLABEL: Final = {"metadata": {"labels": {"shopservice.dev/name": None}}}
EXTRA: Final = {"metadata": {"labels": {"team.example/extra": "1"}}}


def spec(name: str, chance: random.Random) -> dict[str, Any]:
    """A ShopService's spec. A dependency that never becomes ready (no pod runs here) delays it by at most two minutes."""
    chosen: dict[str, Any] = {
        "image": f"registry.test/shop:{chance.randrange(3)}",
        "env": [{"name": f"V{i}", "value": str(chance.randrange(3))} for i in range(chance.randrange(3))],
    }
    count = chance.choice(("none", "replicas", "autoscaling"))
    if count == "replicas":
        chosen["replicas"] = chance.randrange(4)
    elif count == "autoscaling":
        chosen["autoscaling"] = AUTOSCALING
    if chance.random() < 0.4:
        chosen["workers"] = [WORKER]
    if chance.random() < 0.4:
        chosen["networkPolicy"] = {}
    if chance.random() < 0.3:
        chosen["dependsOn"] = [chance.choice([each for each in NAMES if each != name])]
    account = chance.random()
    if account < 0.2:
        chosen["serviceAccount"] = {"name": "default"}
    elif account < 0.6:
        chosen["serviceAccount"] = ACCOUNT
    return chosen


class Traffic:
    """Changes in one namespace.

    Args:
        cluster: where.
        namespace: the namespace.
        seed: of every choice.
    """

    def __init__(self, cluster: Cluster, namespace: str, seed: int) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._chance = random.Random(seed)  # noqa: S311  repeatable, not secret
        self.changes = 0
        """How many have been made."""

    def populate(self) -> None:
        """Every ShopService is there."""
        for name in NAMES:
            self.declare(name, spec(name, self._chance))

    def step(self) -> None:
        """One change of anything."""
        name = self._chance.choice(NAMES)
        action = self._chance.choices(
            (self._declare, self._delete, self._edit, self._delete_child), weights=(5, 1, 3, 2)
        )[0]
        action(name)
        self.changes += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Change after change by another thread, some twenty in a second."""
        ended = threading.Event()
        failed: list[BaseException] = []

        def flow() -> None:
            try:
                while not ended.wait(_PAUSE_SECONDS):
                    self.step()
            except BaseException as error:  # noqa: BLE001  raised again in the starting thread
                failed.append(error)

        thread = threading.Thread(target=flow, name="traffic")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if failed:
            raise failed[0]

    def declare(self, name: str, wanted: Mapping[str, Any]) -> bool:
        """Create a ShopService, or give it another spec; whether that was done."""
        obj = shopservice(self._namespace, name) | {"spec": dict(wanted)}
        path = self._cluster.path("ShopService", self._namespace, name)
        live = self._cluster.http.get(path)
        if live.status_code == HTTPStatus.NOT_FOUND:
            return self._sent(self._cluster.post(obj))
        version = live.raise_for_status().json()["metadata"]["resourceVersion"]
        obj["metadata"] = obj["metadata"] | {"resourceVersion": version}
        return self._sent(self._cluster.http.put(path, json=obj))

    def delete(self, name: str) -> bool:
        """Delete a ShopService, if it is there; whether it was."""
        return self._sent(self._cluster.http.delete(self._cluster.path("ShopService", self._namespace, name)))

    def edit(self, kind: str, name: str, patch: Mapping[str, Any]) -> bool:
        """Merge-patch a child, if it is there; whether it was."""
        return self._sent(
            self._cluster.http.patch(
                self._cluster.path(kind, self._namespace, name),
                json=patch,
                headers={"Content-Type": "application/merge-patch+json"},
                params={"fieldManager": "other-manager"},
            )
        )

    def delete_child(self, kind: str, name: str) -> bool:
        """Delete a child, if it is there; whether it was."""
        return self._sent(self._cluster.http.delete(self._cluster.path(kind, self._namespace, name)))

    def _declare(self, name: str) -> None:
        self.declare(name, spec(name, self._chance))

    def _delete(self, name: str) -> None:
        self.delete(name)

    def _edit(self, name: str) -> None:
        kind = self._chance.choice(sorted(EDITS))
        patch = self._chance.choice((*EDITS[kind], UNLABEL, EXTRA))
        self.edit(kind, self._child(kind, name), patch)

    def _delete_child(self, name: str) -> None:
        kind = self._chance.choice(sorted(EDITS))
        self.delete_child(kind, self._child(kind, name))

    def _child(self, kind: str, name: str) -> str:
        """A child of a ShopService, or of its worker, where that may have one of the kind."""
        names = (name, f"{name}-{WORKER['name']}") if kind == "Deployment" else (name,)
        return self._chance.choice(names)

    def _sent(self, answer: httpx.Response) -> bool:
        if answer.status_code in _MISSED:
            return False
        assert answer.is_success, answer.text
        return True
