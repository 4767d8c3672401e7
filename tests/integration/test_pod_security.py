"""The operator's own pod-security check agrees with the API server's admission, and follows a namespace's label."""

import uuid
from collections.abc import Iterator

import pytest

from shop_operator.objects.pod_security import LABEL, Level, violations
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.operator.pod_templates import CASES, Case
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def labelled(cluster: Cluster) -> dict[Level, str]:
    """A namespace that enforces each level, by level."""
    levels: tuple[Level, ...] = ("baseline", "restricted")
    names = {level: cluster.namespace(f"t-{level}-{uuid.uuid4().hex[:6]}") for level in levels}
    for level, name in names.items():
        answer = cluster.http.patch(
            f"/api/v1/namespaces/{name}",
            json={"metadata": {"labels": {LABEL: level}}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        answer.raise_for_status()
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        }
        cluster.post(account)
    return names


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_given_a_pod_template_when_its_security_is_checked_then_the_verdict_equals_that_of_the_api_server(
    case: Case, cluster: Cluster, labelled: dict[Level, str]
) -> None:
    for level, enforcing in labelled.items():
        # Given a pod template, and a namespace that enforces the level.
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", **case.template["metadata"]},
            "spec": case.template["spec"],
        }
        # When the API server is asked whether it would take such a pod.
        answer = cluster.http.post(f"/api/v1/namespaces/{enforcing}/pods", params={"dryRun": "All"}, json=pod)
        refused = "violates PodSecurity" in answer.text
        assert answer.is_success or refused, answer.text
        # Then the operator's own check says the same.
        assert bool(violations(case.template, level)) == refused, answer.text


@pytest.fixture
def unlabelled(cluster: Cluster) -> Iterator[str]:
    """A namespace that has never had a label: the operator follows a change of it a moment later, as the API server does."""
    name = cluster.namespace(f"t-{uuid.uuid4().hex[:10]}")
    yield name
    cluster.http.delete(cluster.path("ShopService", name)).raise_for_status()


def test_given_a_privileged_pod_template_then_it_is_refused_until_the_namespace_allows_privileged_pods(
    cluster: Cluster, operator: Operator, unlabelled: str
) -> None:
    namespace = unlabelled
    # Given a namespace without a label, and a ShopService that asks for the node.
    spec = {
        "image": "registry.test/web:1",
        "podTemplate": {
            "spec": {
                "hostPID": True,
                "containers": [{"name": "app", "securityContext": {"runAsUser": 0}}],
                "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
            }
        },
    }
    cluster.create(shopservice(namespace, "rooted", **spec))

    # When the operator has seen it, then it is refused by name of each field, and nothing is applied.
    def stalled() -> str:
        found = condition(cluster.get("ShopService", namespace, "rooted"), "Ready")
        assert found["reason"] == "InvalidSpec", found
        return str(found["message"])

    message = wait_for(stalled)
    for field in (
        "spec.hostPID",
        "spec.volumes[host].hostPath",
        "spec.containers[app].securityContext.runAsUser",
    ):
        assert field in message
    assert cluster.children(namespace) == set()

    # When an administrator labels the namespace, then the pods are made.
    _label(cluster, namespace, "privileged")
    wait_for(lambda: cluster.find("Deployment", namespace, "rooted"))

    # When the label is gone again, then the next change is refused again.
    _label(cluster, namespace, None)
    wait_for(stalled)


def test_given_a_shopservice_in_a_protected_namespace_then_it_is_refused_and_no_child_is_created(
    cluster: Cluster, operator: Operator
) -> None:
    for protected in ("kube-system", "shop-operator"):
        # Given a ShopService in a namespace of the cluster, or of the operator itself.
        cluster.create(shopservice(protected, "intruder", image="registry.test/web:1"))

        # When the operator has seen it.
        def stalled(where: str = protected) -> str:
            found = condition(cluster.get("ShopService", where, "intruder"), "Ready")
            assert found["reason"] == "InvalidSpec", found
            return str(found["message"])

        message = wait_for(stalled)
        # Then it says that the namespace is reserved, and nothing is applied.
        assert message.startswith(f"Namespace {protected} is reserved")
        assert cluster.children(protected) == set()
        cluster.delete("ShopService", protected, "intruder")


def _label(cluster: Cluster, namespace: str, level: str | None) -> None:
    answer = cluster.http.patch(
        f"/api/v1/namespaces/{namespace}",
        json={"metadata": {"labels": {LABEL: level}}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    answer.raise_for_status()
