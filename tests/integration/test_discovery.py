"""A ShopService is found from outside the cluster: the real operator, the real ExternalDNS, Cloud Map of the emulator.

The tests act as the scheduler and the kubelet: they bind pods and set their addresses. All other parts are real:
kube-controller-manager creates the pods and their EndpointSlices.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from shopdev.aws_environment import client_environment
from shopdev.cloudformation import stacks
from shopdev.cluster import tools
from shopdev.cluster.daemon import Daemon
from shopdev.processes.emulator import Emulator
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

# Less than ExternalDNS's interval of one minute: changes visible by then were triggered by events.
SOON = 45.0
OLD, NEW = "external-dns.alpha.kubernetes.io/hostname", "external-dns.kubernetes.io/hostname"


class CloudMap:
    """Cloud Map as seen from outside the cluster."""

    def __init__(self, emulator: Emulator, discovery: Mapping[str, str]) -> None:
        self.client = emulator.clients.servicediscovery
        self.namespace = discovery["NamespaceName"]
        self.namespace_id = discovery["NamespaceId"]

    def addresses(self, service: str) -> set[str]:
        """The addresses of a service, none when it is not known."""
        try:
            found = self.client.discover_instances(NamespaceName=self.namespace, ServiceName=service)
        except self.client.exceptions.ServiceNotFound:
            return set()
        return {each["Attributes"]["AWS_INSTANCE_IPV4"] for each in found["Instances"]}

    def services(self) -> set[str]:
        """The names that are registered."""
        return {each["Name"] for each in self.client.list_services()["Services"]}

    def register(self, service: str, address: str) -> None:
        """Register a service of one's own."""
        made = self.client.create_service(Name=service, NamespaceId=self.namespace_id)["Service"]
        self.client.register_instance(
            ServiceId=made["Id"], InstanceId="one", Attributes={"AWS_INSTANCE_IPV4": address}
        )


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator with one Cloud Map namespace: it lists the services of all, whichever is asked for."""
    started = Emulator(lambda name, line: sys.stderr.write(f"{name}: {line}\n"), wait_scale=1.0)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def cloud_map(emulator: Emulator) -> CloudMap:
    """The namespace from the templates that make it on AWS too."""
    outputs = emulator.deploy("shop", stacks.chosen_for("local"), ("network", "discovery"))
    return CloudMap(emulator, outputs["discovery"])


@pytest.fixture(scope="module")
def external_dns(
    cluster: Cluster, emulator: Emulator, cloud_map: CloudMap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """ExternalDNS as docs/how-to/find-services-from-outside.md installs it.

    Its SDK asks for addresses at `data-` and the endpoint's host, a name that only a cluster with charts/local-aws knows.
    Here the emulator is its HTTP proxy: a client leaves names to its proxy, the emulator ignores them, and neither root nor
    an entry in the machine's /etc/hosts is needed.
    """
    process = Daemon(tmp_path_factory.mktemp("external-dns"), "external-dns")
    process.start(
        [
            str(tools.ensure("external-dns") / "external-dns"),
            *(f"--kubeconfig={cluster.kubeconfig}", "--source=service", "--provider=aws-sd"),
            *(
                "--aws-zone-type=private",
                f"--domain-filter={cloud_map.namespace}",
                "--aws-sd-service-cleanup",
            ),
            *("--policy=sync", "--registry=aws-sd", "--txt-owner-id=shop"),
            "--aws-sd-create-tag=app=shop",
            *("--events", "--listen-endpoint-events", "--min-event-sync-interval=1s"),
            "--metrics-address=127.0.0.1:0",
        ],
        client_environment("http://local-aws.test") | {"HTTP_PROXY": emulator.endpoint},
    )
    yield
    process.stop()
    sys.stderr.write(process.log.read_text()[-10000:])


def pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def bind(cluster: Cluster, pod: Mapping[str, Any], node: str) -> None:
    """Play the scheduler."""
    metadata = pod["metadata"]
    cluster.http.post(
        f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding",
        json={"metadata": {"name": metadata["name"]}, "target": {"kind": "Node", "name": node}},
    ).raise_for_status()


def run(cluster: Cluster, pod: Mapping[str, Any], address: str, *, ready: bool = True) -> None:
    """Play the kubelet: the pod runs under an address, and is ready or not yet."""
    state = "True" if ready else "False"
    conditions = [{"type": kind, "status": state} for kind in ("Ready", "ContainersReady")]
    addresses = {"podIP": address, "podIPs": [{"ip": address}]}
    metadata = pod["metadata"]
    cluster.http.patch(
        f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status",
        json={"status": {"phase": "Running", "conditions": conditions, **addresses}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()


def discovered(namespace: str, cloud_map: CloudMap, name: str, **spec: Any) -> dict[str, Any]:
    return shopservice(namespace, name, discovery={"hostname": f"{name}.{cloud_map.namespace}"}, **spec)


def bound(cluster: Cluster, namespace: str, node: str, count: int) -> list[dict[str, Any]]:
    """That many pods, on a node."""

    def there() -> list[dict[str, Any]]:
        found = pods(cluster, namespace)
        assert len(found) == count
        return found

    found = wait_for(there)
    for pod in found:
        if "nodeName" not in pod["spec"]:
            bind(cluster, pod, node)
    return found


def test_given_a_hostname_when_pods_become_ready_then_exactly_their_addresses_are_registered(
    cluster: Cluster, operator: Operator, namespace: str, node: str, cloud_map: CloudMap, external_dns: None
) -> None:
    cluster.create(discovered(namespace, cloud_map, "payment", replicas=3))
    first, second, third = bound(cluster, namespace, node, 3)

    run(cluster, first, "10.1.0.1")
    run(cluster, second, "10.1.0.2")
    run(cluster, third, "10.1.0.3", ready=False)
    wait_for(lambda: cloud_map.addresses("payment") == {"10.1.0.1", "10.1.0.2"}, deadline=SOON)

    run(cluster, first, "10.1.0.1", ready=False)
    run(cluster, third, "10.1.0.3")
    wait_for(lambda: cloud_map.addresses("payment") == {"10.1.0.2", "10.1.0.3"}, deadline=SOON)


def test_given_a_registered_service_when_a_pod_is_replaced_then_the_new_address_replaces_the_old_one(
    cluster: Cluster, operator: Operator, namespace: str, node: str, cloud_map: CloudMap, external_dns: None
) -> None:
    cluster.create(discovered(namespace, cloud_map, "order", replicas=1))
    (before,) = bound(cluster, namespace, node, 1)
    run(cluster, before, "10.2.0.1")
    wait_for(lambda: cloud_map.addresses("order") == {"10.2.0.1"}, deadline=SOON)

    path = f"/api/v1/namespaces/{namespace}/pods/{before['metadata']['name']}"
    cluster.http.delete(path, params={"gracePeriodSeconds": "0"}).raise_for_status()
    (after,) = bound(cluster, namespace, node, 1)
    run(cluster, after, "10.2.0.2")

    wait_for(lambda: cloud_map.addresses("order") == {"10.2.0.2"}, deadline=SOON)


def test_given_registered_services_when_one_drops_discovery_then_its_name_is_removed_and_the_others_stay(
    cluster: Cluster, operator: Operator, namespace: str, node: str, cloud_map: CloudMap, external_dns: None
) -> None:
    cloud_map.register("other-service", "10.9.9.9")
    for name in ("product", "shipping"):
        cluster.create(discovered(namespace, cloud_map, name))
    for pod in bound(cluster, namespace, node, 2):
        run(cluster, pod, "10.3.0.1" if pod["metadata"]["name"].startswith("product") else "10.3.0.2")
    wait_for(lambda: cloud_map.addresses("product") == {"10.3.0.1"}, deadline=SOON)
    wait_for(lambda: cloud_map.addresses("shipping") == {"10.3.0.2"}, deadline=SOON)

    cluster.patch("ShopService", namespace, "product", {"spec": {"discovery": None}})

    wait_for(lambda: cloud_map.addresses("product") == set(), deadline=SOON)
    assert cloud_map.addresses("shipping") == {"10.3.0.2"}
    assert cloud_map.addresses("other-service") == {"10.9.9.9"}

    cluster.patch("ShopService", namespace, "shipping", {"spec": {"discovery": None}})

    # A service that was left empty goes with the pass after.
    wait_for(lambda: "product" not in cloud_map.services(), deadline=SOON)
    wait_for(lambda: cloud_map.addresses("shipping") == set(), deadline=SOON)
    assert cloud_map.addresses("other-service") == {"10.9.9.9"}


def test_given_a_hostname_then_only_the_headless_service_carries_both_annotations(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, discovery={"hostname": "web.shop.internal"}))

    headless = wait_for(lambda: cluster.get("Service", namespace, "web-discovery"))
    main = cluster.get("Service", namespace, "web")

    annotations = headless["metadata"]["annotations"]
    assert annotations[OLD] == annotations[NEW] == "web.shop.internal"
    assert headless["spec"]["clusterIP"] == "None"
    assert main["spec"]["clusterIP"] != "None"
    assert not {OLD, NEW} & main["metadata"]["annotations"].keys()
    assert headless["spec"]["selector"] == main["spec"]["selector"]

    def told() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("ShopService", namespace, "web")["status"]
        assert {("Service", "web"), ("Service", "web-discovery")} <= {
            (each["kind"], each["name"]) for each in found["children"]
        }
        return found

    assert wait_for(told)["url"] == f"http://web.{namespace}.svc:8080"


def test_given_a_headless_service_when_annotations_are_edited_then_only_those_of_the_operator_are_reverted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, discovery={"hostname": "web.shop.internal"}))
    wait_for(lambda: cluster.get("Service", namespace, "web-discovery"))
    theirs = "external-dns.alpha.kubernetes.io/ttl"

    cluster.patch(
        "Service", namespace, "web-discovery", {"metadata": {"annotations": {theirs: "5", OLD: "x.other"}}}
    )

    def annotations() -> dict[str, str]:
        found: dict[str, str] = cluster.get("Service", namespace, "web-discovery")["metadata"]["annotations"]
        return found

    wait_for(lambda: annotations()[OLD] == "web.shop.internal")
    cluster.patch(
        "ShopService", namespace, "web", {"spec": {"discovery": {"hostname": "shop.example.internal"}}}
    )
    wait_for(lambda: annotations()[OLD] == annotations()[NEW] == "shop.example.internal")
    assert annotations()[theirs] == "5"


def test_given_a_headless_service_when_discovery_leaves_the_spec_then_only_that_service_is_deleted(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, discovery={"hostname": "web.shop.internal"}))
    wait_for(lambda: cluster.get("Service", namespace, "web-discovery"))
    main = cluster.get("Service", namespace, "web")["metadata"]["uid"]

    cluster.patch("ShopService", namespace, "web", {"spec": {"discovery": None}})

    wait_for(lambda: cluster.find("Service", namespace, "web-discovery") is None)
    assert cluster.get("Service", namespace, "web")["metadata"]["uid"] == main


def test_given_a_foreign_service_with_the_name_of_the_headless_one_then_it_stays_and_a_condition_names_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web-discovery", "namespace": namespace},
        "spec": {"ports": [{"port": 1}]},
    }
    before = cluster.create(theirs)

    cluster.create(shopservice(namespace, discovery={"hostname": "web.shop.internal"}))

    def told() -> bool:
        found = cluster.get("ShopService", namespace, "web")
        ready = condition(found, "Ready")
        return (
            condition(found, "Stalled")["status"] == "True"
            and "Service web-discovery already exists" in ready["message"]
        )

    wait_for(told)
    assert cluster.get("Service", namespace, "web-discovery") == before
    # The others of the same kind are made all the same.
    assert cluster.get("Service", namespace, "web")["spec"]["clusterIP"] != "None"


def test_given_a_hostname_of_one_label_then_it_is_refused_with_a_valid_example(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    answer = cluster.post(shopservice(namespace, discovery={"hostname": "payment"}))

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "a lowercase DNS name of at least two labels, such as payment.shop.internal" in answer.text
