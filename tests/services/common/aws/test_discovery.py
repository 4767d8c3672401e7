"""A service is found at its current address, even if the address changes at run time."""

import uuid
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.common.aws.discovery import KEPT_SECONDS, REFUSED_SECONDS, CloudMap, NoInstance, resolver
from services.common.runtime.settings import ServiceSettings
from shopdev.processes.emulator import Emulator
from tests.waiting import wait_for


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class FakeCloudMap:
    """Returns `addresses`, or fails while they are None."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: tuple[str, ...] | None = addresses
        self.requests: list[dict[str, Any]] = []

    def discover_instances(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.addresses is None:
            raise EndpointConnectionError(endpoint_url="https://data-servicediscovery")
        return {
            "Instances": [
                {"Attributes": {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": "9000"}}
                for address in self.addresses
            ]
        }


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cloud_map(fake: FakeCloudMap, clock: Clock, port: int | None = 8080) -> CloudMap:
    client: Any = fake
    return CloudMap(client, "payment", "shop.internal", port, clock)


def settings(endpoint: str | None = None) -> ServiceSettings:
    return ServiceSettings(
        table="none",
        tasks_queue_url="none",
        events_topic_arn="none",
        aws_region="us-east-1",
        aws_endpoint_url=endpoint,
    )


@pytest.mark.parametrize("url", ["http://payment", "https://payment.example.org:8443"])
def test_given_an_http_url_when_it_is_resolved_then_the_url_is_returned(url: str) -> None:
    assert resolver(f"{url}/", settings())() == url


@pytest.mark.parametrize(
    "url", ["payment", "cloudmap://payment", "cloudmap://:8080", "ftp://payment.shop", ""]
)
def test_given_an_unsupported_url_when_it_is_resolved_then_the_error_names_the_supported_form(
    url: str,
) -> None:
    with pytest.raises(ValueError, match="cloudmap://SERVICE"):
        resolver(url, settings())


def test_given_two_instances_when_a_service_is_resolved_repeatedly_then_they_alternate_after_one_request(
    clock: Clock,
) -> None:
    fake = FakeCloudMap("10.0.0.1", "10.0.0.2")
    payment = cloud_map(fake, clock)

    assert sorted(payment() for _ in range(4)) == ["http://10.0.0.1:8080"] * 2 + ["http://10.0.0.2:8080"] * 2
    (request,) = fake.requests
    assert request["ServiceName"] == "payment"
    assert request["NamespaceName"] == "shop.internal"
    assert request["HealthStatus"] == "HEALTHY"


def test_given_no_port_in_the_url_when_the_service_is_resolved_then_the_port_of_the_instance_applies(
    clock: Clock,
) -> None:
    assert cloud_map(FakeCloudMap("10.0.0.1"), clock, port=None)() == "http://10.0.0.1:9000"


def test_given_a_changed_address_when_the_cached_one_expires_then_the_new_address_is_returned(
    clock: Clock,
) -> None:
    fake = FakeCloudMap("10.0.0.1")
    payment = cloud_map(fake, clock)
    payment()
    fake.addresses = ("10.0.0.2",)

    assert payment() == "http://10.0.0.1:8080"
    clock.seconds += KEPT_SECONDS
    assert payment() == "http://10.0.0.2:8080"


def test_given_a_cached_address_when_cloud_map_is_unavailable_then_it_is_kept_and_requests_are_limited(
    clock: Clock,
) -> None:
    fake = FakeCloudMap("10.0.0.1")
    payment = cloud_map(fake, clock)
    payment()
    fake.addresses = None
    clock.seconds += KEPT_SECONDS

    assert [payment() for _ in range(3)] == ["http://10.0.0.1:8080"] * 3
    assert len(fake.requests) == 2


@pytest.mark.parametrize("addresses", [(), None])
def test_given_no_known_address_when_the_service_is_resolved_then_the_error_names_the_service(
    clock: Clock, addresses: tuple[str, ...] | None
) -> None:
    fake = FakeCloudMap()
    fake.addresses = addresses

    with pytest.raises(NoInstance, match=r"payment\.shop\.internal"):
        cloud_map(fake, clock)()


def test_given_an_address_that_refused_a_connection_when_a_service_is_resolved_then_it_is_skipped_for_a_while(
    clock: Clock,
) -> None:
    payment = cloud_map(FakeCloudMap("10.0.0.1", "10.0.0.2"), clock)
    payment.refused("http://10.0.0.1:8080")

    assert {payment() for _ in range(4)} == {"http://10.0.0.2:8080"}
    clock.seconds += REFUSED_SECONDS
    assert {payment() for _ in range(4)} == {"http://10.0.0.1:8080", "http://10.0.0.2:8080"}


def test_given_the_only_address_refused_a_connection_when_a_service_is_resolved_then_cloud_map_is_queried(
    clock: Clock,
) -> None:
    fake = FakeCloudMap("10.0.0.1")
    payment = cloud_map(fake, clock)
    payment.refused(payment())
    assert payment() == "http://10.0.0.1:8080"
    payment.refused("http://10.0.0.1:8080")
    fake.addresses = ("10.0.0.2",)

    assert payment() == "http://10.0.0.2:8080"


@pytest.fixture
def namespace(emulator: Emulator) -> tuple[str, str]:
    """Id and name of a private DNS namespace."""
    client = emulator.clients.servicediscovery
    name = f"n{uuid.uuid4().hex[:8]}.internal"
    client.create_private_dns_namespace(Name=name, Vpc="vpc-1")
    found = wait_for(
        lambda: [each for each in client.list_namespaces()["Namespaces"] if each["Name"] == name]
    )
    return found[0]["Id"], name


@pytest.mark.emulator
def test_given_a_registered_service_when_its_address_changes_then_the_new_one_is_used_without_a_restart(
    emulator: Emulator, namespace: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    namespace_id, name = namespace
    client = emulator.clients.servicediscovery
    service = client.create_service(
        Name="payment",
        NamespaceId=namespace_id,
        DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 10}], "RoutingPolicy": "MULTIVALUE"},
    )["Service"]["Id"]
    client.register_instance(ServiceId=service, InstanceId="a", Attributes={"AWS_INSTANCE_IPV4": "10.0.0.1"})
    payment = resolver(f"cloudmap://payment.{name}:8080", settings(emulator.endpoint))
    before = wait_for(payment)

    client.deregister_instance(ServiceId=service, InstanceId="a")
    client.register_instance(ServiceId=service, InstanceId="b", Attributes={"AWS_INSTANCE_IPV4": "10.0.0.2"})

    assert before == "http://10.0.0.1:8080"
    wait_for(lambda: payment() == "http://10.0.0.2:8080", 3 * KEPT_SECONDS)
