"""A cluster in memory for the reconciler: server-side apply as far as a pass can tell.

It passes the same contract tests (api_contract.py) as kube.Kube does on a real API server.
"""

import itertools
from collections.abc import AsyncGenerator, Iterator, Mapping
from copy import deepcopy
from typing import Any

from shop_operator.errors import Exists, OperatorError, Stale
from shop_operator.kubernetes.client import LIST_PAGE

Name = tuple[str, str, str]

# mapType atomic.
_REPLACED = frozenset({"selector"})


class FixedKey:
    """A key of configuration digests that needs no Secret."""

    def __init__(self, key: bytes = b"a key") -> None:
        self.key = key

    async def get(self) -> bytes:
        return self.key


class FakeApi:
    """Objects by (kind, namespace, name); records every write.

    Attributes:
        writes: what was written, in order, as `create Service web`.
        reads: how often something was read.
        logs: by pod and container, and whether of the run before.
        refusing: errors to raise for writes of a kind, and for a list of pods.
    """

    def __init__(self) -> None:
        self.objects: dict[Name, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.reads = 0
        self.logs: dict[tuple[str, str, bool], str] = {}
        self.refusing: dict[str, OperatorError] = {}
        self._applied: dict[tuple[Name, str], dict[str, Any]] = {}
        self._numbers = itertools.count(2)

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        return self._apply(configuration, uid, version, "shop-operator")

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        metadata = configuration["metadata"]
        live = self.objects.get((configuration["kind"], metadata["namespace"], metadata["name"]))
        if live is not None and configuration["spec"] != {k: live["spec"][k] for k in configuration["spec"]}:
            raise Stale("a field has another value")
        return self._apply(configuration, uid, None, "shop-operator-handover")

    def _apply(
        self, configuration: Mapping[str, Any], uid: str | None, version: int | None, manager: str
    ) -> dict[str, Any]:
        metadata = configuration["metadata"]
        name = (configuration["kind"], metadata["namespace"], metadata["name"])
        self._refuse(name[0])
        live = self.objects.get(name)
        if uid is None and live is not None:
            raise Exists(f"{name} exists")
        if uid is not None and (live is None or live["metadata"]["uid"] != uid):
            raise Stale(f"{name} is another one")
        if version is not None and live is not None and live["metadata"]["resourceVersion"] != str(version):
            raise Stale(f"{name} has moved")
        fresh = live is None
        born: dict[str, Any] = {"metadata": {"uid": f"uid-{next(self._numbers)}"}}
        merged = deepcopy(live) if live is not None else born
        kept = deepcopy(dict(configuration))
        if "replicas" in kept.get("spec", {}):
            self._disown_replicas(name, kept["spec"]["replicas"])
        for (known, other), applied in self._applied.items():
            if known == name and other != manager:
                _merge(kept, applied)
        _drop(merged, self._applied.get((name, manager), {}), kept)
        _merge(merged, configuration)
        self._applied[name, manager] = deepcopy(dict(configuration))
        merged["metadata"]["managedFields"] = self._managed(name)
        return self._store(name, merged, "create" if fresh else "apply")

    async def rewrite(
        self, kind: str, namespace: str, name: str, *, version: int, parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._refuse(kind)
        live = deepcopy(self.objects.get((kind, namespace, name)))
        if live is None or live["metadata"]["resourceVersion"] != str(version):
            raise Stale(f"{name} has moved")
        for path, value in parts.items():
            *above, last = path.split("/")[1:]
            place = live
            for step in above:
                place = place[step]
            place[last] = deepcopy(value)
        return self._store((kind, namespace, name), live, "rewrite")

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads += 1
        return deepcopy(self.objects.get((kind, namespace, name)))

    async def pods(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        self._refuse("Pod")
        self.reads += 1
        for each in self._selected("Pod", namespace, selector):
            yield each

    async def first_pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        self._refuse("Pod")
        self.reads += 1
        return list(itertools.islice(self._selected("Pod", namespace, selector), LIST_PAGE))

    async def replicasets(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        self.reads += 1
        for each in self._selected("ReplicaSet", namespace, selector):
            yield each

    async def unlabeled(self, kind: str, namespace: str) -> AsyncGenerator[dict[str, Any]]:
        self._refuse(f"unlabeled {kind}")
        self.reads += 1
        for name in sorted(self.objects):
            metadata = self.objects[name]["metadata"]
            if name[:2] == (kind, namespace) and "shopservice.dev/name" not in metadata.get("labels", {}):
                yield {"metadata": deepcopy(metadata)}

    def _selected(self, kind: str, namespace: str, selector: str) -> Iterator[dict[str, Any]]:
        """By name, as the API server lists them."""
        wanted = [each.partition("=") for each in selector.split(",")]
        for name in sorted(self.objects):
            labels = self.objects[name]["metadata"].get("labels", {})
            # Without a value, the label has to be there.
            chosen = all(
                key in labels and (not equal or labels[key] == value) for key, equal, value in wanted
            )
            if name[:2] == (kind, namespace) and chosen:
                yield deepcopy(self.objects[name])

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        assert namespace
        self.reads += 1
        return self.logs.get((pod, container, previous), "")

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        self._refuse(kind)
        found = self.objects.get((kind, namespace, name))
        if found is not None and found["metadata"]["uid"] == uid:
            self.writes.append(f"delete {kind} {name}")
            self.forget((kind, namespace, name))

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._refuse("ShopService")
        key = ("ShopService", namespace, name)
        live = deepcopy(self.objects[key])
        if live["metadata"]["resourceVersion"] != str(version):
            raise Stale("it has moved")
        status = merge_patched(live.get("status", {}), patch)
        if status == live.get("status", {}):
            # What changes nothing is not written.
            return live
        return self._store(key, live | {"status": status}, "status")

    def put(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """A write of another client; not recorded."""
        name = (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
        copied = deepcopy(dict(obj))
        copied["metadata"].setdefault("uid", f"uid-{next(self._numbers)}")
        for entry in copied["metadata"].get("managedFields", ()):
            if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {}):
                self._own_replicas(name, entry["manager"], copied["spec"]["replicas"])
        written = self._store(name, copied, "put")
        self.writes.pop()
        return written

    def _own_replicas(self, name: Name, manager: str, count: int) -> None:
        """A manager that sets a different count owns it alone."""
        self._disown_replicas(name, count)
        self._applied.setdefault((name, manager), {"spec": {}})["spec"]["replicas"] = count

    def _disown_replicas(self, name: Name, count: int) -> None:
        """Managers that have set a different count do not own it any more."""
        for (known, _), configuration in self._applied.items():
            if known == name and configuration.get("spec", {}).get("replicas", count) != count:
                del configuration["spec"]["replicas"]

    def forget(self, name: Name) -> dict[str, Any]:
        """Remove an object; returns its last state, with the version of the deletion."""
        for known in [k for k in self._applied if k[0] == name]:
            del self._applied[known]
        gone = self.objects.pop(name)
        gone["metadata"]["resourceVersion"] = str(next(self._numbers))
        return gone

    def _refuse(self, kind: str) -> None:
        if kind in self.refusing:
            raise self.refusing[kind]

    def _store(self, name: Name, obj: dict[str, Any], verb: str) -> dict[str, Any]:
        before = self.objects.get(name, {})
        if name[0] in {"Deployment", "HTTPRoute"}:
            changed = before.get("spec") != obj.get("spec")
            obj["metadata"]["generation"] = before.get("metadata", {}).get("generation", 0) + changed
        obj["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.objects[name] = obj
        self.writes.append(f"{verb} {name[0]} {name[2]}")
        return deepcopy(obj)

    def _managed(self, name: Name) -> list[dict[str, Any]]:
        """The managers that have applied it, and the owners of spec.replicas, ports and rules: the parts of managedFields that the operator reads."""
        return [
            {"manager": manager, "operation": "Apply", "fieldsV1": _fields(configuration.get("spec", {}))}
            for (known, manager), configuration in self._applied.items()
            if known == name
        ]


def _fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    owned: dict[str, Any] = {"f:replicas": {}} if "replicas" in spec else {}
    if "ports" in spec:
        owned["f:ports"] = {f'k:{{"port":{each["port"]},"protocol":"TCP"}}': {} for each in spec["ports"]}
    owned |= {f"f:{each}": {} for each in ("ingress", "egress") if each in spec}
    return {"f:spec": owned} if owned else {}


def _merge(live: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Maps are merged unless they are atomic, everything else is replaced."""
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(live.get(key), dict) and key not in _REPLACED:
            _merge(live[key], value)
        else:
            live[key] = deepcopy(value)


def _drop(live: dict[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Fields that the manager applied before and applies no longer go."""
    for key, value in before.items():
        if key not in now:
            live.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(now[key], Mapping) and isinstance(live.get(key), dict):
            _drop(live[key], value, now[key])


def merge_patched(target: Any, patch: Any) -> Any:
    """RFC 7396, and as the API server's library does it: maps in lists lose their nulls too."""
    if isinstance(patch, list):
        return [merge_patched(None, each) for each in patch]
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patched(merged.get(key), value)
    return merged
