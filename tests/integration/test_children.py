"""The children of a ShopService are created, repaired, pruned, and deleted with it."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.waiting import wait_for

EVERYTHING = {
    "Deployment/web",
    "Deployment/web-relay",
    "Service/web",
    "ServiceAccount/web",
    "HorizontalPodAutoscaler/web",
    "PodDisruptionBudget/web",
    "HTTPRoute/web",
}


def create_everything(cluster: Cluster, namespace: str) -> dict[str, Any]:
    created = cluster.create(shopservice(namespace, autoscaling=AUTOSCALING, workers=[WORKER], **ROUTE))
    wait_for(lambda: cluster.children(namespace) == EVERYTHING)
    return created


def test_given_a_shopservice_then_its_children_exist_with_labels_and_an_owner(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    created = create_everything(cluster, namespace)

    for child in EVERYTHING:
        kind, _, name = child.partition("/")
        metadata = cluster.get(kind, namespace, name)["metadata"]
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "shop-operator"
        assert metadata["labels"]["app.kubernetes.io/name"] == "web"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "web"
        assert metadata["labels"]["app.kubernetes.io/part-of"] == namespace
        assert metadata["labels"]["shopservice.dev/name"] == "web"
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == (
            "ShopService",
            "web",
            created["metadata"]["uid"],
        )
        assert owner["controller"] is True
        assert owner["blockOwnerDeletion"] is True


def test_given_children_when_each_is_deleted_then_the_operator_recreates_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)

    for child in sorted(EVERYTHING):
        kind, _, name = child.partition("/")
        before = cluster.get(kind, namespace, name)["metadata"]["uid"]
        cluster.delete(kind, namespace, name)
        wait_for(lambda k=kind, n=name, u=before: cluster.get(k, namespace, n)["metadata"]["uid"] != u)  # type: ignore[misc]  # bound per round


def value(obj: dict[str, Any], path: str) -> Any:
    """The field at a dotted path, None when it is not there."""
    found: Any = obj
    for step in path.split("/"):
        found = found.get(step) if isinstance(found, dict) else found[int(step)]
    return found


@pytest.mark.parametrize(
    ("kind", "patch", "path"),
    [
        ("Service", {"spec": {"selector": {"app": "other"}}}, "spec/selector"),
        ("Service", {"spec": {"ports": [{"port": 81, "name": "http"}]}}, "spec/ports/0/port"),
        ("Deployment", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}},
         "spec/template/spec/terminationGracePeriodSeconds"),
        ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 50}}, "spec/maxReplicas"),
        ("HTTPRoute", {"spec": {"rules": [{"matches": []}]}}, "spec/rules"),
        ("ServiceAccount", {"automountServiceAccountToken": True}, "automountServiceAccountToken"),
        ("Deployment", {"metadata": {"labels": {"shopservice.dev/name": None}}}, "metadata/labels"),
        ("Deployment", {"metadata": {"labels": {"shopservice.dev/name": "stolen"}}}, "metadata/labels"),
        ("Service", {"metadata": {"ownerReferences": None}}, "metadata/ownerReferences"),
        ("Service", {"metadata": {"annotations": None}}, "metadata/annotations"),
    ],
)  # fmt: skip
def test_given_children_when_an_owned_field_is_edited_then_the_operator_reverts_the_edit(
    cluster: Cluster, operator: Operator, namespace: str, kind: str, patch: dict[str, Any], path: str
) -> None:
    create_everything(cluster, namespace)
    before = value(cluster.get(kind, namespace, "web"), path)

    edited = value(cluster.patch(kind, namespace, "web", patch), path)

    assert edited != before
    wait_for(lambda: value(cluster.get(kind, namespace, "web"), path) == before)


def test_given_a_container_when_its_port_is_edited_then_the_operator_reverts_the_edit(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)

    def pod() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("Deployment", namespace, "web")["spec"]["template"]["spec"]
        return found

    before = pod()["containers"]
    edited = [
        before[0] | {"ports": [{"containerPort": 9999, "name": "http"}]},
        {"name": "proxy", "image": "p:1"},
    ]
    cluster.patch("Deployment", namespace, "web", {"spec": {"template": {"spec": {"containers": edited}}}})

    def repaired() -> bool:
        containers = {c["name"]: c for c in pod()["containers"]}
        # A container that another manager added stays.
        return containers["app"] == before[0] and "proxy" in containers

    wait_for(repaired)


def test_given_fields_of_other_managers_then_the_operator_keeps_them_and_writes_nothing(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)
    cluster.patch(
        "Deployment", namespace, "web", {"metadata": {"labels": {"team": "blue"}, "annotations": {"a": "b"}}}
    )
    cluster.patch("Service", namespace, "web", {"spec": {"sessionAffinity": "ClientIP"}})

    # A later change of our own shows that the edits above were seen and judged.
    cluster.patch("ShopService", namespace, "web", {"spec": {"image": "registry.test/shop-product:2"}})
    wait_for(lambda: "product:2" in str(cluster.get("Deployment", namespace, "web")["spec"]))

    assert cluster.get("Deployment", namespace, "web")["metadata"]["labels"]["team"] == "blue"
    assert cluster.get("Service", namespace, "web")["spec"]["sessionAffinity"] == "ClientIP"


def test_given_a_worker_and_a_route_when_they_leave_the_spec_then_their_objects_are_deleted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)

    cluster.patch(
        "ShopService", namespace, "web", {"spec": {"workers": None, "routes": None, "gateway": None}}
    )

    wait_for(lambda: cluster.children(namespace) == EVERYTHING - {"Deployment/web-relay", "HTTPRoute/web"})


def test_given_an_env_entry_when_it_leaves_the_spec_then_it_leaves_the_pod_template(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]))

    def env() -> set[str]:
        (app,) = cluster.get("Deployment", namespace, "web")["spec"]["template"]["spec"]["containers"]
        return {e["name"] for e in app.get("env", [])}

    wait_for(lambda: {"A", "B"} <= env())
    cluster.patch("ShopService", namespace, "web", {"spec": {"env": [{"name": "A", "value": "1"}]}})

    wait_for(lambda: "A" in env() and "B" not in env())


def test_given_a_shopservice_when_it_is_deleted_then_all_its_children_are_deleted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)

    cluster.delete("ShopService", namespace, "web")

    wait_for(lambda: cluster.children(namespace) == set(), deadline=30)
    assert cluster.find("ShopService", namespace, "web") is None


def test_given_a_deleted_shopservice_when_it_is_recreated_at_once_then_it_gets_new_children(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    create_everything(cluster, namespace)
    cluster.delete("ShopService", namespace, "web")

    second = cluster.create(shopservice(namespace))

    def owned() -> bool:
        owners = {
            cluster.get(kind, namespace, "web")["metadata"]["ownerReferences"][0]["uid"]
            for kind in ("Deployment", "Service", "ServiceAccount")
        }
        return owners == {second["metadata"]["uid"]}

    wait_for(owned, deadline=60)
