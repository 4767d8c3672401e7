"""The status is correct on a real API server, with the operator's own permissions and the controllers' own messages."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.integration.test_status import start_pods
from tests.waiting import wait_for


def because(cluster: Cluster, namespace: str, name: str = "web") -> tuple[str, str]:
    """Status and reason of Ready."""
    found = condition(cluster.get("ShopService", namespace, name), "Ready")
    return found["status"], found["reason"]


def warned(cluster: Cluster, namespace: str, reason: str) -> Callable[[], bool]:
    def found() -> bool:
        answer = cluster.http.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events").json()
        return any((each["reason"], each["type"]) == (reason, "Warning") for each in answer["items"])

    return found


def running(cluster: Cluster, namespace: str, name: str = "web") -> Callable[[], bool]:
    def ready() -> bool:
        start_pods(cluster, namespace)
        assert because(cluster, namespace, name) == ("True", "Ready")
        return True

    return ready


def test_given_a_new_shopservice_then_ready_is_unknown_until_the_operator_observes_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    created = cluster.http.post(
        cluster.path("ShopService", namespace), params={"dryRun": "All"}, json=shopservice(namespace)
    ).json()

    ready = condition(created, "Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "NotObserved")


def test_given_a_shopservice_created_as_suspended_then_it_is_ready_and_has_no_children(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, suspend=True))

    wait_for(lambda: because(cluster, namespace) == ("True", "Suspended"))
    found = cluster.get("ShopService", namespace, "web")
    assert condition(found, "Reconciling")["status"] == "False"
    assert condition(found, "Available")["status"] == "False"
    assert not cluster.children(namespace)


def test_given_an_autoscaler_without_a_cpu_request_then_ready_says_which_field_to_set(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, autoscaling={"maxReplicas": 5}))

    wait_for(lambda: because(cluster, namespace) == ("False", "AutoscalerNotWorking"))
    message = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
    assert "set resources.requests.cpu" in message
    wait_for(warned(cluster, namespace, "AutoscalerNotWorking"))


def test_given_a_running_shopservice_when_its_dependency_is_deleted_then_it_is_available_but_not_ready(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, "database"))
    wait_for(running(cluster, namespace, "database"), deadline=30)
    cluster.create(shopservice(namespace, dependsOn=["database"]))
    wait_for(running(cluster, namespace), deadline=30)
    cluster.create(shopservice(namespace, "databases", suspend=True))

    cluster.delete("ShopService", namespace, "database")

    wait_for(lambda: because(cluster, namespace) == ("False", "DependencyMissing"))
    found = cluster.get("ShopService", namespace, "web")
    assert "did you mean databases?" in condition(found, "Ready")["message"]
    assert condition(found, "Available")["status"] == "True"
    wait_for(warned(cluster, namespace, "DependencyMissing"))


def test_given_a_paused_rollout_then_ready_names_the_command_that_resumes_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(running(cluster, namespace), deadline=30)

    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": True}})
    cluster.patch("ShopService", namespace, "web", {"spec": {"args": ["x"]}})

    wait_for(lambda: because(cluster, namespace) == ("False", "RolloutPaused"))
    message = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
    assert "kubectl rollout resume deployment/web" in message
    cluster.patch("Deployment", namespace, "web", {"spec": {"paused": False}})
    wait_for(running(cluster, namespace), deadline=30)


def test_given_a_running_shopservice_when_it_is_scaled_then_ready_never_reports_a_rollout(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=1))
    wait_for(running(cluster, namespace), deadline=30)
    since = cluster.get("ShopService", namespace, "web")["metadata"]["resourceVersion"]

    cluster.patch("ShopService", namespace, "web", {"spec": {"replicas": 3}})
    wait_for(lambda: because(cluster, namespace) == ("False", "Scaling"))
    wait_for(running(cluster, namespace), deadline=30)

    told = {
        condition(each, "Ready")["reason"] for each in cluster.history("ShopService", namespace, "web", since)
    }
    assert told <= {"Ready", "Scaling"}


def crash(cluster: Cluster, namespace: str, pod: dict[str, Any], reason: str) -> None:
    """Play the kubelet: the container waits for that reason."""
    waiting = {
        "name": "app",
        "image": "x",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": "said by the test"}},
    }
    answer = cluster.http.patch(
        f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status",
        json={"status": {"containerStatuses": [waiting]}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.status_code == httpx.codes.OK, answer.text


def test_given_a_failing_old_and_a_failing_new_pod_then_ready_reports_only_the_new_one(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(running(cluster, namespace), deadline=30)

    def pods() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = cluster.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
        return items

    (old,) = pods()
    cluster.patch("ShopService", namespace, "web", {"spec": {"args": ["x"]}})
    new = wait_for(lambda: [each for each in pods() if each["metadata"]["uid"] != old["metadata"]["uid"]])[0]
    crash(cluster, namespace, old, "InvalidImageName")
    crash(cluster, namespace, new, "CreateContainerConfigError")

    wait_for(lambda: because(cluster, namespace) == ("False", "CreateContainerConfigError"), deadline=40)
    found = cluster.get("ShopService", namespace, "web")
    message = condition(found, "Ready")["message"]
    assert "said by the test" in message
    for kind in ("Progressing", "Reconciling"):
        assert condition(found, kind)["message"] == "See the Ready condition."


def test_given_a_quota_of_no_replicasets_then_the_shopservice_stalls_until_the_quota_is_deleted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"count/replicasets.apps": "0"}},
    }
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    cluster.http.post(path, json=quota).raise_for_status()
    wait_for(lambda: cluster.http.get(f"{path}/none").json()["status"].get("hard"))
    cluster.create(shopservice(namespace, rollout={"progressDeadlineSeconds": 10}))

    wait_for(lambda: because(cluster, namespace) == ("False", "ReplicaSetCreateError"))
    message = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
    assert message.startswith("Deployment web: ReplicaSets are forbidden: exceeded quota: none")
    wait_for(warned(cluster, namespace, "ReplicaSetCreateError"))
    wait_for(
        lambda: condition(cluster.get("ShopService", namespace, "web"), "Stalled")["status"] == "True", 30
    )

    cluster.http.delete(f"{path}/none").raise_for_status()
    # The controller tries again at increasing intervals, or when the Deployment changes.
    cluster.patch("ShopService", namespace, "web", {"spec": {"args": ["x"]}})
    wait_for(running(cluster, namespace), deadline=30)
