"""The comparison of these tests is itself tested: without an operator, it must report every edit that they make."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.cluster import Cluster
from tests.integration.faults.traffic import ACCOUNT, EDITS, EXTRA, UNLABEL, Traffic
from tests.integration.faults.truth import GRACE, Seen, differences, judged, settled
from tests.integration.operators import running
from tests.integration.shopservices import AUTOSCALING, WORKER, shopservice
from tests.waiting import wait_for

NAMESPACE: Final = "judged"
EVERYTHING: Final[Mapping[str, Any]] = {
    "autoscaling": AUTOSCALING,
    "networkPolicy": {},
    "serviceAccount": ACCOUNT,
    "workers": [WORKER],
}


@pytest.fixture(scope="module")
def left_alone(
    own_cluster: Cluster, own_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traffic]:
    """A namespace with a ShopService as rendered, and no operator any more."""
    own_cluster.namespace(NAMESPACE)
    own_cluster.create(shopservice(NAMESPACE, **EVERYTHING))
    log = tmp_path_factory.mktemp("judged") / "operator.log"
    with running(own_kubeconfig, log, "--no-leader-elect") as operator:
        settled(own_cluster, NAMESPACE, operator)
    yield Traffic(own_cluster, NAMESPACE, seed=0)
    own_cluster.http.delete(own_cluster.path("ShopService", NAMESPACE)).raise_for_status()


@pytest.fixture
def undone(own_cluster: Cluster, left_alone: Traffic) -> Iterator[None]:
    """Every child is given back the content that it had before the test."""
    kinds = sorted(EDITS)
    before = {kind: own_cluster.get(kind, NAMESPACE, "web") for kind in kinds}
    assert differences(own_cluster, NAMESPACE) == []
    yield
    for kind in kinds:
        wait_for(lambda obj=before[kind]: put_back(own_cluster, obj))  # type: ignore[misc]  # bound per round


def put_back(cluster: Cluster, before: Mapping[str, Any]) -> bool:
    """Replace an object by its earlier self; not if its controller has written a status at the same moment."""
    path = cluster.path(before["kind"], NAMESPACE, "web")
    version = cluster.get(before["kind"], NAMESPACE, "web")["metadata"]["resourceVersion"]
    obj = {**before, "metadata": {**before["metadata"], "resourceVersion": version}}
    answer = cluster.http.put(path, json=obj)
    return answer.status_code != HTTPStatus.CONFLICT and bool(answer.raise_for_status())


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        pytest.param(kind, patch, id=f"{kind}-{json.dumps(patch)}")
        for kind, patches in EDITS.items()
        for patch in (*patches, UNLABEL)
    ],
)
def test_given_an_edit_that_is_not_reverted_then_the_comparison_reports_it(
    own_cluster: Cluster, left_alone: Traffic, undone: None, kind: str, patch: Mapping[str, Any]
) -> None:
    assert left_alone.edit(kind, "web", patch)

    found = differences(own_cluster, NAMESPACE)
    assert found
    assert all(each.startswith(f"{kind}/web ") for each in found), found


@pytest.mark.parametrize("kind", sorted(EDITS))
def test_given_an_additional_field_of_another_manager_then_the_comparison_reports_nothing(
    own_cluster: Cluster, left_alone: Traffic, undone: None, kind: str
) -> None:
    assert left_alone.edit(kind, "web", EXTRA)

    assert differences(own_cluster, NAMESPACE) == []


def test_given_an_additional_field_of_the_operator_then_the_comparison_reports_it(
    own_cluster: Cluster, left_alone: Traffic, undone: None
) -> None:
    metadata = own_cluster.get("ServiceAccount", NAMESPACE, "web")["metadata"]
    applied = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "automountServiceAccountToken": False,
        "metadata": {
            **{key: metadata[key] for key in ("name", "namespace", "annotations", "ownerReferences")},
            "labels": metadata["labels"] | {"left": "behind"},
        },
    }
    own_cluster.http.patch(
        own_cluster.path("ServiceAccount", NAMESPACE, "web"),
        params={"fieldManager": "shop-operator"},
        content=json.dumps(applied),
        headers={"Content-Type": "application/apply-patch+yaml"},
    ).raise_for_status()

    assert differences(own_cluster, NAMESPACE) == [
        "ServiceAccount/web .metadata.labels.left is owned and not wanted"
    ]


def test_given_a_missing_or_surplus_child_then_the_comparison_reports_it(
    own_cluster: Cluster, left_alone: Traffic
) -> None:
    seen = Seen.of(own_cluster, NAMESPACE)
    service = seen.live["Service", "web"]
    elsewhere = {key: obj for key, obj in seen.live.items() if key != ("Service", "web")}
    again = service["metadata"] | {"name": "other"}

    assert list(judged(replace(seen, live=elsewhere))) == ["Service/web is missing"]
    more = {**seen.live, ("Service", "other"): {**service, "metadata": again}}
    assert list(judged(replace(seen, live=more))) == ["Service/other is left over by us"]
    orphaned = list(judged(replace(seen, shops={})))
    assert len(orphaned) == len(seen.live) - 1, "all but the namespace's own ServiceAccount"
    assert all(each.endswith("is left over by the garbage collector") for each in orphaned)


def shop(name: str, *depends: str, age: timedelta = timedelta(), **status: Any) -> dict[str, Any]:
    """A ShopService of that age."""
    created = (datetime.now(UTC) - age).isoformat()
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": created},
        "spec": {"dependsOn": list(depends)},
        "status": status,
    }


def deployment(name: str, available: str = "False") -> dict[str, Any]:
    """The Deployment of the ShopService of that name."""
    return {
        "metadata": {"name": name, "ownerReferences": [{"kind": "ShopService", "uid": f"uid-of-{name}"}]},
        "status": {"conditions": [{"type": "Available", "status": available}]},
    }


def waits(shops: list[dict[str, Any]], deployments: list[dict[str, Any]]) -> bool:
    """Whether the first of these may do without Deployments."""
    seen = Seen(
        shops={each["metadata"]["name"]: each for each in shops},
        live={("Deployment", each["metadata"]["name"]): each for each in deployments},
        served=frozenset(),
        at=datetime.now(UTC),
    )
    return seen.held(shops[0]["metadata"]["name"]) is not None


def test_given_an_unavailable_dependency_then_a_new_shopservice_may_lack_its_deployments() -> None:
    assert waits([shop("one", "two")], [])
    assert waits([shop("one", "two"), shop("two")], [deployment("two")])


@pytest.mark.parametrize(
    ("shops", "deployments"),
    [
        pytest.param([shop("one")], [], id="without-dependencies"),
        pytest.param([shop("one", "two"), shop("two")], [deployment("two", "True")], id="available"),
        pytest.param([shop("one", "two", age=GRACE)], [], id="for-too-long"),
        pytest.param([shop("one", "two")], [deployment("one")], id="after-its-first-deployment"),
        pytest.param([shop("one", "two", image="ready-once")], [], id="after-it-was-ready"),
        pytest.param([shop("one", "two"), shop("two", "three"), shop("three", "one")], [], id="in-a-cycle"),
        pytest.param([shop("one", "one")], [], id="for-itself"),
    ],
)
def test_given_no_reason_to_wait_for_dependencies_then_a_shopservice_must_have_its_deployments(
    shops: list[dict[str, Any]], deployments: list[dict[str, Any]]
) -> None:
    assert not waits(shops, deployments)
