"""Every field's empty form, and every example, with every client: the stored object has the meaning of the manifest.

The fields come from the CRD's schema, their values from the examples and the golden cases, so a new field is tried as soon as
a golden case has it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.render import render
from shopdev.cluster import tools
from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, run
from tests.operator.specs import SPEC_SCHEMA
from tests.waiting import wait_for

FILES: Final = [
    *sorted((ROOT / "manifests/examples").glob("*.yaml")),
    *sorted((ROOT / "tests/operator/golden").glob("*/in.yaml")),
]
_HEADERS: Final = [{"name": "A", "value": "b"}]
_PROBES: Final = (
    {"httpGet": {"httpHeaders": _HEADERS, "port": 1}},
    {"exec": {"command": ["true"]}},
    {"tcpSocket": {"port": 1}},
    {"grpc": {"port": 1}},
)
_HOOKS: Final = (
    {"httpGet": {"httpHeaders": _HEADERS, "port": 1}},
    {"exec": {"command": ["true"]}},
    {"sleep": {"seconds": 1}},
)
_SOURCES: Final = (
    {"configMapKeyRef": {"name": "a", "key": "b"}},
    {"secretKeyRef": {"name": "a", "key": "b"}},
    {"fieldRef": {"fieldPath": "metadata.name"}},
    {"resourceFieldRef": {"resource": "limits.cpu"}},
)
_SELECTOR: Final = {
    "matchLabels": {"a": "b"},
    "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
}
_PEER: Final = {"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR}
_SCALING: Final = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1}]}
_METRICS: Final = [
    {"type": "External", "name": "a", "selector": {"a": "b"}, "value": "1"},
    {
        "type": "Object",
        "name": "b",
        "object": {"apiVersion": "v1", "kind": "Service", "name": "a"},
        "value": "1",
    },
]
_QUEUE: Final = {
    "url": "https://sqs.eu-central-1.amazonaws.com/123456789012/a",
    "messagesPerReplica": 1,
    "fallback": {"replicas": 1, "failures": 1},
}
_AVAILABILITY: Final = {"errorValues": ["5xx"], "selector": [{"label": "a", "values": ["b"]}]}
_OF_EACH: Final[tuple[dict[str, Any], ...]] = (
    *({"probes": {name: probe}} for name in ("liveness", "readiness", "startup") for probe in _PROBES),
    *({"lifecycle": {name: hook}} for name in ("preStop", "postStart") for hook in _HOOKS),
    *({"env": [{"name": "A", "valueFrom": source}]} for source in _SOURCES),
    {"autoscaling": {"maxReplicas": 2, "behavior": {"scaleUp": _SCALING, "scaleDown": _SCALING}}},
    {"autoscaling": {"maxReplicas": 2, "metrics": _METRICS}},
    {"autoscaling": {"maxReplicas": 2, "queue": _QUEUE}},
    {"args": ["a"]},
    {"podTemplate": {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}},
)
# What no example and no golden case has; the web part and a worker have these fields alike.
FURTHER: Final[tuple[dict[str, Any], ...]] = (
    *_OF_EACH,
    *(
        {"workers": [{"name": "a", "command": ["a"], **each}]}
        for each in _OF_EACH
        if "podTemplate" not in each
    ),
    {
        "monitoring": {
            "enabled": True,
            "slos": [{"name": "a", "objective": "99", "indicator": {"availability": _AVAILABILITY}}],
        }
    },
    {"networkPolicy": {"ingress": [{"from": [_PEER]}], "egress": [{"to": [_PEER]}]}},
    *(
        {
            "gateway": {"name": "a"},
            "routes": [{"path": "/", "filters": [{"type": kind, kind[0].lower() + kind[1:]: each}]}],
        }
        for kind in ("RequestHeaderModifier", "ResponseHeaderModifier")
        for each in ({"add": _HEADERS, "set": [{"name": "B", "value": "b"}], "remove": ["c"]},)
    ),
)
Case = tuple[dict[str, Any], dict[str, Any]]
"""A spec, and the same with one of its fields empty."""


def compound(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every field of the schema that can be empty: objects and lists."""
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        if field.get("type") in {"object", "array"} and here != ".podTemplate.spec":
            yield here
            yield from compound(field.get("items", field), here)


def emptied(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The path of every non-empty object and list in a spec, and the spec with that one empty."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            here = f"{path}.{key}"
            if isinstance(each, (Mapping, list)) and each:
                yield here, {**value, key: type(each)()}
            for below, changed in emptied(each, here):
                yield below, {**value, key: changed}
    elif isinstance(value, list):
        for index, each in enumerate(value):
            for below, changed in emptied(each, path):
                yield below, [*value[:index], changed, *value[index + 1 :]]


def samples() -> Iterator[dict[str, Any]]:
    """Specs, except those with a null in the podTemplate, which kubectl apply takes out."""
    for path in FILES:
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] == "ShopService" and "null" not in json.dumps(
                each["spec"].get("podTemplate", {})
            ):
                yield each["spec"]
    yield from ({"image": "web:1", **each} for each in FURTHER)


def cases() -> dict[str, Case]:
    """Of each field of the schema one spec, and the same with that field empty."""
    fields = set(compound(SPEC_SCHEMA))
    found: dict[str, Case] = {}
    for spec in samples():
        for path, empty in emptied(spec):
            if path in fields:
                found.setdefault(path, (spec, empty))
    return found


CASES: Final = cases()


def understood(spec: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The children that the operator makes of a spec, None when it refuses it."""
    try:
        return render(ShopService("web", "shop", "uid", 1, document=spec), live=None)
    except InvalidSpec:
        return None


ACCEPTED: Final = [path for path, (_, empty) in CASES.items() if understood(empty) is not None]
REFUSED: Final = [path for path in CASES if path not in ACCEPTED]


def objects(namespace: str, specs: Sequence[Mapping[str, Any]]) -> str:
    """One file with a ShopService for each spec, called s0, s1 and so on."""
    return yaml.safe_dump_all(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {"name": f"s{number}", "namespace": namespace},
            "spec": spec,
        }
        for number, spec in enumerate(specs)
    )


class Clients:
    """The clients that users apply with, as commands against the tests' API server."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._kubectl = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        self._kubeconfig = str(kubeconfig)

    def kubectl(self, *arguments: str, given: str) -> str:
        return run([*self._kubectl, *arguments, "-f", "-"], given)

    def refused(self, *arguments: str, given: str) -> str:
        """The words of a command that must fail."""
        done = subprocess.run(
            [*self._kubectl, *arguments, "-f", "-"], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode
        return done.stderr

    def helm(self, version: str, chart: Path, namespace: str) -> None:
        run(
            [
                *(tools.ensure(version) / "helm", "upgrade", "--install", "release", chart),
                *("--kubeconfig", self._kubeconfig, "--namespace", namespace),
            ]
        )


@pytest.fixture(scope="module")
def clients(cluster: Cluster, kubectl: Path) -> Clients:
    printed = run([sys.executable, "-m", "shop_operator.main", "crd"])
    run([kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "--server-side", "-f", "-"], printed)
    wait_for(lambda: cluster.http.get("/apis/shopservice.dev/v1alpha1").is_success)
    return Clients(kubectl, cluster.kubeconfig)


def stored(cluster: Cluster, namespace: str, count: int) -> list[dict[str, Any]]:
    return [cluster.get("ShopService", namespace, f"s{number}")["spec"] for number in range(count)]


def misunderstood(cluster: Cluster, namespace: str, specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of ACCEPTED, the fields whose specs are stored as something else than they mean."""
    found = stored(cluster, namespace, len(specs))
    return [
        path
        for path, there, wanted in zip(ACCEPTED, found, specs, strict=True)
        if understood(there) != understood(wanted)
    ]


def chart_of(folder: Path, text: str) -> Path:
    """A chart that is these objects."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: every\nversion: 1.0.0\n")
    (folder / "templates/all.yaml").write_text(text)
    return folder


FULL: Final = [CASES[path][0] for path in ACCEPTED]
EMPTY: Final = [CASES[path][1] for path in ACCEPTED]
SERVER_SIDE: Final = ("apply", "--server-side")
ARGO: Final = (*SERVER_SIDE, "--field-manager=argocd-controller", "--force-conflicts")


def test_given_every_field_that_can_be_empty_then_the_cases_cover_it() -> None:
    assert set(compound(SPEC_SCHEMA)) - CASES.keys() == set()
    assert [path for path, (full, _) in CASES.items() if understood(full) is None] == []


@pytest.mark.parametrize(
    "steps",
    [
        [("create", EMPTY)],
        [("apply", EMPTY)],
        [(SERVER_SIDE, EMPTY), (SERVER_SIDE, EMPTY)],
        [(SERVER_SIDE, FULL), (SERVER_SIDE, EMPTY), (SERVER_SIDE, EMPTY), (SERVER_SIDE, FULL)],
        [("apply", FULL), ("apply", EMPTY), ("apply", FULL)],
        [("apply", EMPTY), (SERVER_SIDE, EMPTY), (SERVER_SIDE, EMPTY)],
        [("apply", FULL), (SERVER_SIDE, FULL), (SERVER_SIDE, EMPTY)],
        [("apply", FULL), (SERVER_SIDE, EMPTY)],
        [("create", FULL), ("replace", EMPTY), ("replace", FULL)],
        [("apply", FULL), (ARGO, EMPTY), (ARGO, FULL), (ARGO, EMPTY)],
        [("apply", EMPTY), (ARGO, EMPTY), ("apply", EMPTY)],
        [(SERVER_SIDE, EMPTY), ("apply", EMPTY)],
    ],
    ids=lambda steps: ", ".join(
        f"{' '.join(command[:2]) if isinstance(command, tuple) else command} {'full' if specs is FULL else 'empty'}"
        for command, specs in steps
    ),
)
def test_given_an_empty_field_when_kubectl_writes_it_in_any_way_then_it_is_stored_as_written(
    cluster: Cluster, clients: Clients, namespace: str, steps: list[tuple[str | tuple[str, ...], list[Any]]]
) -> None:
    for command, specs in steps:
        arguments = (command,) if isinstance(command, str) else command
        clients.kubectl(*arguments, given=objects(namespace, specs))

        assert misunderstood(cluster, namespace, specs) == []


@pytest.mark.parametrize(
    "steps",
    [
        [("helm3", FULL), ("helm3", EMPTY), ("helm4", EMPTY), ("helm4", FULL)],
        [("helm3", FULL), ("helm4", EMPTY)],
        [("helm4", FULL), ("helm4", EMPTY), ("helm4", FULL)],
        [("helm3", EMPTY), ("helm4", FULL), ("helm3", EMPTY)],
    ],
    ids=lambda steps: ", ".join(
        f"{version} {'full' if specs is FULL else 'empty'}" for version, specs in steps
    ),
)
def test_given_an_empty_field_when_helm_3_or_helm_4_writes_it_then_it_is_stored_as_written(
    cluster: Cluster, clients: Clients, namespace: str, tmp_path: Path, steps: list[tuple[str, list[Any]]]
) -> None:
    for version, specs in steps:
        clients.helm(version, chart_of(tmp_path / "chart", objects(namespace, specs)), namespace)

        assert misunderstood(cluster, namespace, specs) == []


@pytest.mark.parametrize(
    "command", [("apply",), SERVER_SIDE, ARGO, ("replace",)], ids=lambda command: " ".join(command[:2])
)
def test_given_a_field_that_must_not_be_empty_when_kubectl_writes_it_then_the_error_names_the_missing_field(
    clients: Clients, namespace: str, command: tuple[str, ...]
) -> None:
    clients.kubectl("apply", given=objects(namespace, [CASES[path][0] for path in REFUSED]))

    words = clients.refused(*command, given=objects(namespace, [CASES[path][1] for path in REFUSED]))

    assert all(f'"s{number}"' in words for number in range(len(REFUSED))), words
    assert '"null"' not in words


def test_given_every_example_when_clients_write_it_one_after_another_then_each_write_succeeds(
    cluster: Cluster, clients: Clients, namespace: str, tmp_path: Path
) -> None:
    examples = [
        each["spec"]
        for path in FILES
        if path.parent.name == "examples"
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == "ShopService"
    ]
    text = objects(namespace, examples)

    for command in [("apply",), SERVER_SIDE, ARGO, ("replace",), SERVER_SIDE, ("apply",)]:
        clients.kubectl(*command, given=text)
        assert [understood(each) for each in stored(cluster, namespace, len(examples))] == [
            understood(each) for each in examples
        ]


def test_given_an_explicit_null_when_kubectl_applies_it_then_the_field_is_stored_as_unset(
    cluster: Cluster, clients: Clients, namespace: str
) -> None:
    spec = {"image": "web:1", "rollout": None, "env": None, "replicas": None, "monitoring": {"path": None}}

    clients.kubectl("apply", given=objects(namespace, [spec]))

    assert stored(cluster, namespace, 1) == [{"image": "web:1", "port": 8080, "monitoring": {}}]


def test_given_a_block_of_another_manager_when_it_is_applied_then_the_conflict_names_the_block(
    clients: Clients, namespace: str
) -> None:
    clients.kubectl(*ARGO, given=objects(namespace, [{"image": "web:1", "rollout": {"maxSurge": 1}}]))

    words = clients.refused(
        *SERVER_SIDE, given=objects(namespace, [{"image": "web:1", "rollout": {"maxSurge": 2}}])
    )

    assert ".spec.rollout" in words
    assert "argocd-controller" in words
