"""Objects that running pods or their clients still need stay until their successors exist, on a real API server.

The tests write the status of the kubelet and of the Gateway controller, which do not run here.
"""

from typing import Any

from tests.integration.cluster import Cluster, condition
from tests.integration.kubelet import roll_out
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.integration.test_discovery import bind, pods
from tests.waiting import wait_for


def write_status(cluster: Cluster, kind: str, namespace: str, name: str, status: dict[str, Any]) -> None:
    cluster.http.patch(
        cluster.path(kind, namespace, name) + "/status",
        json={"status": status},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()


def accept(cluster: Cluster, namespace: str, name: str) -> None:
    """Every Gateway of an HTTPRoute has accepted this version of it."""
    live = cluster.get("HTTPRoute", namespace, name)
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "observedGeneration": live["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    parents = [
        {"parentRef": each, "controllerName": "test.dev/gateway", "conditions": [condition]}
        for each in live["spec"]["parentRefs"]
    ]
    write_status(cluster, "HTTPRoute", namespace, name, {"parents": parents})


def template(cluster: Cluster, namespace: str, name: str = "web") -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("Deployment", namespace, name)["spec"]["template"]["spec"]
    return found


def service_ports(cluster: Cluster, namespace: str) -> dict[str, int]:
    ports = cluster.get("Service", namespace, "web")["spec"]["ports"]
    assert {each["targetPort"] for each in ports} == {"http"}
    return {each["name"]: each["port"] for each in ports}


def looked(cluster: Cluster, namespace: str, name: str = "web") -> bool:
    """The status is about the newest spec."""
    live = cluster.get("ShopService", namespace, name)
    return bool(live["status"]["observedGeneration"] == live["metadata"]["generation"])


def ready(cluster: Cluster, namespace: str, name: str) -> bool:
    return bool(condition(cluster.get("ShopService", namespace, name), "Ready")["status"] == "True")


def test_given_another_serviceaccount_when_old_pods_remain_then_their_serviceaccount_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, replicas=2))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")

    cluster.patch("ShopService", namespace, "web", {"spec": {"serviceAccount": {"name": "mine"}}})
    wait_for(lambda: template(cluster, namespace)["serviceAccountName"] == "mine")
    wait_for(lambda: looked(cluster, namespace))
    assert cluster.find("ServiceAccount", namespace, "web")

    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "mine", "namespace": namespace},
        }
    )
    cluster.patch("ShopService", namespace, "web", {"spec": {"env": [{"name": "A", "value": "1"}]}})
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["status"]["updatedReplicas"] == 1)
    assert cluster.find("ServiceAccount", namespace, "web")

    roll_out(cluster, namespace, "web")
    wait_for(lambda: cluster.find("ServiceAccount", namespace, "web") is None)


def test_given_another_port_when_pods_of_a_dependent_use_the_old_one_then_the_service_has_both(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    # Only the first pods wait for dependencies.
    cluster.create(shopservice(namespace, "client"))
    wait_for(lambda: cluster.get("Deployment", namespace, "client"))
    cluster.patch("ShopService", namespace, "client", {"spec": {"dependsOn": ["web"]}})
    wait_for(lambda: ".svc:8080" in str(template(cluster, namespace, "client")))
    roll_out(cluster, namespace, "client")

    cluster.patch("ShopService", namespace, "web", {"spec": {"port": 9090}})
    wait_for(lambda: service_ports(cluster, namespace) == {"http": 9090, "http-8080": 8080})
    wait_for(lambda: "port 8080 of Service web" in told(cluster, namespace))
    cluster.delete("Service", namespace, "web")
    wait_for(lambda: service_ports(cluster, namespace) == {"http": 9090, "http-8080": 8080})
    wait_for(lambda: ".svc:9090" in str(template(cluster, namespace, "client")))
    wait_for(lambda: "9090" in str(template(cluster, namespace)))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: cluster.get("ShopService", namespace, "web")["status"]["ready"] == "1/1")
    assert service_ports(cluster, namespace) == {"http": 9090, "http-8080": 8080}

    roll_out(cluster, namespace, "client")
    wait_for(lambda: service_ports(cluster, namespace) == {"http": 9090})


def test_given_another_port_when_a_dependent_drops_the_dependency_then_its_old_pods_keep_the_old_port(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    for name in ("client", "web"):
        cluster.create(shopservice(namespace, name))
        wait_for(lambda each=name: cluster.get("Deployment", namespace, each))  # type: ignore[misc]  # bound per round
        roll_out(cluster, namespace, name)
    # Only the first pods wait for dependencies.
    cluster.patch("ShopService", namespace, "client", {"spec": {"dependsOn": ["web"]}})
    wait_for(lambda: ".svc:8080" in str(template(cluster, namespace, "client")))
    roll_out(cluster, namespace, "client")

    cluster.patch("ShopService", namespace, "client", {"spec": {"dependsOn": None}})
    cluster.patch("ShopService", namespace, "web", {"spec": {"port": 9090}})
    wait_for(lambda: ".svc" not in str(template(cluster, namespace, "client")))
    wait_for(lambda: "9090" in str(template(cluster, namespace)))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: ready(cluster, namespace, "web"))
    # A further pass, with the proof that it was made: the roll-out is over as far as the operator knows.
    cluster.patch("ShopService", namespace, "web", {"spec": {"disruption": {"maxUnavailable": 1}}})
    wait_for(lambda: looked(cluster, namespace))
    assert service_ports(cluster, namespace) == {"http": 9090, "http-8080": 8080}
    assert "port 8080 of Service web" in told(cluster, namespace)

    roll_out(cluster, namespace, "client")
    cluster.patch("ShopService", namespace, "web", {"spec": {"disruption": None}})
    wait_for(lambda: service_ports(cluster, namespace) == {"http": 9090}, 45)


def test_given_another_port_and_serviceaccount_when_an_old_pod_is_terminating_then_it_keeps_both(
    cluster: Cluster, operator: Operator, namespace: str, node: str
) -> None:
    # A pod on a node has its grace period, at the end of which only a kubelet would end it.
    cluster.create(shopservice(namespace, "client", terminationGracePeriodSeconds=600))
    cluster.create(shopservice(namespace))
    for name in ("client", "web"):
        wait_for(lambda each=name: cluster.get("Deployment", namespace, each))  # type: ignore[misc]  # bound per round
        roll_out(cluster, namespace, name)
    # Only the first pods wait for dependencies.
    cluster.patch("ShopService", namespace, "client", {"spec": {"dependsOn": ["web"]}})
    wait_for(lambda: ".svc:8080" in str(template(cluster, namespace, "client")))
    roll_out(cluster, namespace, "client")
    (old,) = (each for each in pods(cluster, namespace) if each["spec"]["serviceAccountName"] == "client")
    bind(cluster, old, node)

    account = {"kind": "ServiceAccount", "metadata": {"name": "mine", "namespace": namespace}}
    cluster.create({"apiVersion": "v1", **account})
    cluster.patch("ShopService", namespace, "client", {"spec": {"serviceAccount": {"name": "mine"}}})
    cluster.patch("ShopService", namespace, "web", {"spec": {"port": 9090}})
    wait_for(lambda: ".svc:9090" in str(template(cluster, namespace, "client")))
    wait_for(lambda: template(cluster, namespace, "client")["serviceAccountName"] == "mine")
    wait_for(lambda: "9090" in str(template(cluster, namespace)))
    for name in ("web", "client"):
        roll_out(cluster, namespace, name)
    path = f"/api/v1/namespaces/{namespace}/pods/{old['metadata']['name']}"
    assert "deletionTimestamp" in cluster.http.get(path).raise_for_status().json()["metadata"]
    for name in ("web", "client"):
        wait_for(lambda each=name: ready(cluster, namespace, each))  # type: ignore[misc]  # bound per round
    # A further pass over each, with the proof that it was made: the roll-outs are over as far as the operator knows.
    for name in ("web", "client"):
        cluster.patch("ShopService", namespace, name, {"spec": {"disruption": {"maxUnavailable": 1}}})
        wait_for(lambda each=name: looked(cluster, namespace, each))  # type: ignore[misc]  # bound per round

    assert service_ports(cluster, namespace) == {"http": 9090, "http-8080": 8080}
    assert cluster.find("ServiceAccount", namespace, "client")
    assert "port 8080 of Service web" in told(cluster, namespace)
    assert "ServiceAccount client" in told(cluster, namespace, "client")

    cluster.http.delete(path, params={"gracePeriodSeconds": "0"}).raise_for_status()
    wait_for(lambda: service_ports(cluster, namespace) == {"http": 9090}, 30)
    wait_for(lambda: cluster.find("ServiceAccount", namespace, "client") is None, 30)


def test_given_a_dependency_when_it_is_recreated_then_its_dependents_are_not_rolled_out(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, port=9090))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    cluster.create(shopservice(namespace, "client", dependsOn=["web"]))
    wait_for(lambda: ".svc:9090" in str(template(cluster, namespace, "client")))
    roll_out(cluster, namespace, "client")
    generation = cluster.get("Deployment", namespace, "client")["metadata"]["generation"]

    def dependencies() -> str:
        reason: str = condition(cluster.get("ShopService", namespace, "client"), "DependenciesReady")[
            "reason"
        ]
        return reason

    cluster.delete("ShopService", namespace, "web")
    wait_for(lambda: dependencies() == "Missing")
    cluster.create(shopservice(namespace, port=9090))
    wait_for(lambda: dependencies() != "Missing")
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: dependencies() == "Available")

    assert cluster.get("Deployment", namespace, "client")["metadata"]["generation"] == generation


def test_given_another_gateway_when_it_has_not_accepted_the_route_then_the_old_parent_stays(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, gateway={"name": "one"}, routes=[{"path": "/"}]))
    wait_for(lambda: cluster.get("HTTPRoute", namespace, "web"))
    accept(cluster, namespace, "web")

    def gateways() -> list[str]:
        refs = cluster.get("HTTPRoute", namespace, "web")["spec"]["parentRefs"]
        return [each["name"] for each in refs]

    cluster.patch("ShopService", namespace, "web", {"spec": {"gateway": {"name": "two"}}})
    wait_for(lambda: gateways() == ["two", "one"])
    accept(cluster, namespace, "web")
    wait_for(lambda: gateways() == ["two"])


def test_given_fewer_routes_when_the_remaining_one_is_not_accepted_then_all_httproutes_stay(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    two = [{"path": "/a", "hostnames": ["a.example"]}, {"path": "/b", "hostnames": ["b.example"]}]
    cluster.create(shopservice(namespace, gateway={"name": "shop"}, routes=two))
    wait_for(lambda: len(cluster.names("HTTPRoute", namespace)) == 2)
    before = cluster.names("HTTPRoute", namespace)
    for name in before:
        accept(cluster, namespace, name)
    (kept,) = (name for name in before if "a.example" in str(cluster.get("HTTPRoute", namespace, name)))

    one = [{"path": "/a", "hostnames": ["a.example"]}, {"path": "/b", "hostnames": ["a.example"]}]
    cluster.patch("ShopService", namespace, "web", {"spec": {"routes": one}})
    wait_for(lambda: len(cluster.get("HTTPRoute", namespace, kept)["spec"]["rules"]) == 2)
    wait_for(lambda: looked(cluster, namespace))
    assert cluster.names("HTTPRoute", namespace) == before

    accept(cluster, namespace, kept)
    wait_for(lambda: cluster.names("HTTPRoute", namespace) == {kept})


def told(cluster: Cluster, namespace: str, name: str = "web") -> str:
    """The message of Ready."""
    message: str = condition(cluster.get("ShopService", namespace, name), "Ready")["message"]
    return message


def connections(cluster: Cluster, namespace: str, direction: str, name: str = "web") -> str:
    return str(cluster.get("NetworkPolicy", namespace, name)["spec"].get(direction))


def test_given_a_dependency_that_leaves_the_spec_when_old_pods_run_then_both_policies_admit_them(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    policy: dict[str, Any] = {"networkPolicy": {"enabled": True}}
    cluster.create(shopservice(namespace, "db", **policy))
    cluster.create(shopservice(namespace, dependsOn=["db"], **policy))
    wait_for(lambda: cluster.get("Deployment", namespace, "db"))
    roll_out(cluster, namespace, "db")
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: "'web'" in connections(cluster, namespace, "ingress", "db"))

    cluster.patch("ShopService", namespace, "web", {"spec": {"dependsOn": None}})
    wait_for(lambda: "DB_URL" not in str(template(cluster, namespace)))
    wait_for(lambda: looked(cluster, namespace))
    # A further pass over each, with the proof that it was made.
    for name in ("web", "db"):
        cluster.patch("ShopService", namespace, name, {"spec": {"disruption": {"maxUnavailable": 1}}})
        wait_for(lambda each=name: looked(cluster, namespace, each))  # type: ignore[misc]  # bound per round
    assert "'db'" in connections(cluster, namespace, "egress")
    assert "'web'" in connections(cluster, namespace, "ingress", "db")
    # The rollout does not continue on its own here.
    for name in ("web", "db"):
        wait_for(lambda each=name: f"earlier rules of NetworkPolicy {each}" in told(cluster, namespace, each))  # type: ignore[misc]  # bound per round

    # What another client deletes meanwhile returns as it was.
    for name in ("web", "db"):
        old = cluster.get("NetworkPolicy", namespace, name)["metadata"]["uid"]
        cluster.delete("NetworkPolicy", namespace, name)
        wait_for(lambda each=name, uid=old: uid not in str(cluster.get("NetworkPolicy", namespace, each)))  # type: ignore[misc]  # bound per round
    assert "'db'" in connections(cluster, namespace, "egress")
    assert "'web'" in connections(cluster, namespace, "ingress", "db")

    roll_out(cluster, namespace, "web")
    wait_for(lambda: "'db'" not in connections(cluster, namespace, "egress"), 30)
    wait_for(lambda: "'web'" not in connections(cluster, namespace, "ingress", "db"), 30)


def test_given_policies_enabled_as_a_dependency_leaves_the_spec_when_old_pods_run_then_both_admit_them(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, "db", port=5432))
    cluster.create(shopservice(namespace))
    for name in ("db", "web"):
        wait_for(lambda each=name: cluster.get("Deployment", namespace, each))  # type: ignore[misc]  # bound per round
        roll_out(cluster, namespace, name)
    # Only the first pods wait for dependencies.
    cluster.patch("ShopService", namespace, "web", {"spec": {"dependsOn": ["db"]}})
    wait_for(lambda: "DB_URL" in str(template(cluster, namespace)))
    roll_out(cluster, namespace, "web")

    policy: dict[str, Any] = {"networkPolicy": {"enabled": True}}
    cluster.patch("ShopService", namespace, "web", {"spec": {"dependsOn": None, **policy}})
    cluster.patch("ShopService", namespace, "db", {"spec": policy})
    wait_for(lambda: "DB_URL" not in str(template(cluster, namespace)))
    wait_for(lambda: "'db'" in connections(cluster, namespace, "egress"))
    wait_for(lambda: "'web'" in connections(cluster, namespace, "ingress", "db"))
    for name in ("web", "db"):
        wait_for(lambda each=name: f"earlier rules of NetworkPolicy {each}" in told(cluster, namespace, each))  # type: ignore[misc]  # bound per round

    roll_out(cluster, namespace, "web")
    wait_for(lambda: "'db'" not in connections(cluster, namespace, "egress"), 30)
    wait_for(lambda: "'web'" not in connections(cluster, namespace, "ingress", "db"), 30)
    wait_for(lambda: "earlier rules" not in told(cluster, namespace))


def test_given_policy_rules_when_the_spec_drops_them_without_a_rollout_then_they_are_removed_at_once(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    rules = {"egress": [{"ports": [{"port": 443}]}, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}
    cluster.create(shopservice(namespace, networkPolicy=rules))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")

    cluster.patch("ShopService", namespace, "web", {"spec": {"networkPolicy": {"egress": None}}})
    wait_for(lambda: "443" not in connections(cluster, namespace, "egress"))
    assert "10.0.0.0" not in connections(cluster, namespace, "egress")

    cluster.patch("ShopService", namespace, "web", {"spec": {"args": ["--other"]}})
    wait_for(lambda: template(cluster, namespace)["containers"][0].get("args") == ["--other"])
    hole = {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}
    cluster.patch("NetworkPolicy", namespace, "web", hole)
    wait_for(lambda: "10.0.0.0" not in connections(cluster, namespace, "ingress"))


def test_given_another_gateway_and_proxy_namespace_then_both_are_admitted_until_the_route_is_accepted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    def gateway(name: str) -> dict[str, Any]:
        return {"gateway": {"name": name}, "networkPolicy": {"gatewayNamespaces": [f"proxies-{name}"]}}

    cluster.create(shopservice(namespace, routes=[{"path": "/"}], **gateway("one")))
    wait_for(lambda: cluster.get("Deployment", namespace, "web"))
    roll_out(cluster, namespace, "web")
    wait_for(lambda: cluster.get("HTTPRoute", namespace, "web"))
    accept(cluster, namespace, "web")

    cluster.patch("ShopService", namespace, "web", {"spec": gateway("two")})
    wait_for(lambda: "proxies-two" in connections(cluster, namespace, "ingress"))
    wait_for(lambda: looked(cluster, namespace))
    assert "proxies-one" in connections(cluster, namespace, "ingress")

    accept(cluster, namespace, "web")
    wait_for(lambda: "proxies-one" not in connections(cluster, namespace, "ingress"))
    assert "proxies-two" in connections(cluster, namespace, "ingress")
