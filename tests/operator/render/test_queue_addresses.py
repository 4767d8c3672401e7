"""KEDA sends requests to AWS, and to other addresses only if the administrator of the operator allows them."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.render import Surroundings, render
from shop_operator.render.queue_addresses import permitted
from shop_operator.settings import BadSetting, RunSettings, parse
from tests.operator.world import World

AWS = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
EMULATOR = "http://aws.emulator.svc:4566"


def rendered(
    queue: dict[str, Any],
    allowed: tuple[str, ...] | None = (),
    own: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> list[dict[str, Any]]:
    """The children of a ShopService whose worker scales by a queue."""
    worker = {
        "name": "relay",
        "command": ["relay"],
        "env": own,
        "autoscaling": {"minReplicas": 0, "maxReplicas": 3, "queue": {"region": "eu-west-1", **queue}},
    }
    shop = ShopService.from_object(
        {
            "metadata": {"namespace": "ns", "name": "web", "uid": "u"},
            "spec": {"image": "shop:1", "workers": [worker], **spec},
        }
    )
    return render(shop, live=None, around=Surroundings(queue_endpoints=allowed))


@pytest.mark.parametrize(
    "address",
    [
        AWS,
        "https://sqs.eu-west-1.amazonaws.com",
        "https://sqs.eu-west-1.amazonaws.com/",
        "https://sqs.eu-west-1.amazonaws.com:443/1/orders.fifo",
        "https://sqs-fips.us-east-1.amazonaws.com",
        "https://sqs.cn-north-1.amazonaws.com.cn/1/orders",
        "https://sqs.eu-west-1.api.aws",
        "https://vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com",
        "https://eu-west-1.queue.amazonaws.com/1/orders",
        "https://queue.amazonaws.com/1/orders",
    ],
)
def test_given_an_address_of_sqs_then_it_needs_no_permission(address: str) -> None:
    assert permitted(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        EMULATOR,
        "http://sqs.eu-west-1.amazonaws.com/1/orders",
        "https://sqs.eu-west-1.amazonaws.com.evil.example/1/orders",
        "https://sqs.eu-west-1.amazonaws.com:8443/1/orders",
        "https://sqs.eu-west-1.amazonaws.com@evil.example/1/orders",
        "https://sqs.eu-west-1.amazonaws.com\\@evil.example/",
        "https://evil.example/#.sqs.eu-west-1.amazonaws.com",
        "https://evil.example/?sqs.eu-west-1.amazonaws.com",
        "https://evil.example/sqs.eu-west-1.amazonaws.com/",
        "https://evil-sqs.eu-west-1.amazonaws.com",
        "https://ec2-203-0-113-7.eu-west-1.compute.amazonaws.com",
        "https://mine-123.eu-west-1.elb.amazonaws.com",
        "https://abc.execute-api.eu-west-1.amazonaws.com/prod",
        "https://sqs.mine.s3.amazonaws.com/x",
        "https://sqs.s3.amazonaws.com.x/",
        "https://SQS.eu-west-1.amazonaws.com/1/orders\n",
    ],
)
def test_given_any_other_address_then_it_is_not_permitted_as_one_of_sqs(address: str) -> None:
    assert not permitted(address, ())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (EMULATOR, True),
        (f"{EMULATOR}/", True),
        (f"{EMULATOR}/000000000000/orders", True),
        (f"{EMULATOR}1/000000000000/orders", False),
        (f"{EMULATOR}.evil.example/", False),
        (f"{EMULATOR}@evil.example/", False),
        (f"{EMULATOR}/../latest", False),
        (f"{EMULATOR}/%2e%2e/latest", False),
        (f"{EMULATOR}/?x", False),
        ("https://aws.emulator.svc:4566/", False),
        ("http://aws.emulator.svc/", False),
    ],
)
@pytest.mark.parametrize("allowed", [EMULATOR, f"{EMULATOR}/"])
def test_given_an_allowed_address_then_it_permits_only_addresses_below_its_whole_segments(
    allowed: str, address: str, expected: bool
) -> None:
    assert permitted(address, (allowed,)) is expected


@pytest.mark.parametrize(
    ("queue", "field"),
    [
        (
            {"url": AWS, "endpoint": "http://169.254.169.254/latest"},
            "endpoint: http://169.254.169.254/latest",
        ),
        ({"urlFrom": "Q", "endpoint": EMULATOR}, f"endpoint: {EMULATOR}"),
        ({"url": f"{EMULATOR}/1/orders"}, f"url: {EMULATOR}/1/orders"),
        ({"url": f"{EMULATOR}/1/o", "endpoint": EMULATOR, "authentication": "mine"}, f"endpoint: {EMULATOR}"),
    ],
)
def test_given_an_address_outside_sqs_then_it_is_refused_with_the_setting_that_allows_it(
    queue: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        rendered(queue)

    message = str(refused.value)
    assert message.startswith("spec.workers[relay].autoscaling.queue.")
    assert field in message
    assert "allowedQueueEndpoints" in message
    # It is rendered if the operator allows it, and by `kubectl shop render`, which does not know the operator.
    for allowed in ((EMULATOR, "http://169.254.169.254/latest"), None):
        assert any(each["kind"] == "ScaledObject" for each in rendered(queue, allowed))


@pytest.mark.parametrize("owner", ["the ShopService", "the worker"])
def test_given_a_queue_url_in_a_variable_when_its_value_is_in_the_spec_then_it_is_checked(owner: str) -> None:
    bad, good = ([{"name": "Q", "value": value}] for value in (f"{EMULATOR}/1/orders", AWS))
    own, everyone = (bad, good) if owner == "the worker" else (None, bad)
    with pytest.raises(InvalidSpec, match=r"queue\.urlFrom \(Q\): http://aws\.emulator"):
        rendered({"urlFrom": "Q"}, own=own, env=everyone)


@pytest.mark.parametrize(
    "env",
    [
        [{"name": "Q", "valueFrom": {"configMapKeyRef": {"name": "queues", "key": "orders"}}}],
        [{"name": "Q", "value": "$(URL)"}],
        [{"name": "Q", "value": AWS}],
        [],
    ],
)
def test_given_a_queue_url_that_is_not_in_the_spec_then_the_scaledobject_is_rendered_unchecked(
    env: list[dict[str, Any]],
) -> None:
    assert any(each["kind"] == "ScaledObject" for each in rendered({"urlFrom": "Q"}, env=env))


def test_given_a_queue_endpoint_of_the_web_deployment_then_it_is_checked_too() -> None:
    queue = {"url": AWS, "endpoint": EMULATOR}
    with pytest.raises(InvalidSpec, match=r"^spec\.autoscaling\.queue\.endpoint: "):
        rendered({"url": AWS}, autoscaling={"maxReplicas": 3, "queue": queue})


async def test_given_a_forbidden_queue_endpoint_when_a_pass_runs_then_it_is_refused_and_no_child_is_written() -> (
    None
):
    # Given an operator that allows only addresses of AWS.
    world = World()
    world.reconciler = Reconciler(
        world.api,
        world.store,
        world.reconciler._writer,
        world,
        config_digests=world.config_digests,
        served=lambda: world.served,
        namespaces=world.reconciler._namespaces,
        queue_endpoints=(),
    )
    world.shop(autoscaling={"maxReplicas": 3, "queue": {"url": AWS, "endpoint": EMULATOR}})

    # When the ShopService is reconciled.
    await world.pass_()

    # Then the status reports it, and no child is created.
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "allowedQueueEndpoints" in world.condition("Ready")["message"]
    assert world.wrote_children == []


def settings(*flags: str, **env: str) -> RunSettings:
    found = parse(["run", *flags], env)
    assert isinstance(found, RunSettings)
    return found


def test_given_allowed_queue_endpoints_by_flag_or_variable_then_they_are_a_list_of_addresses() -> None:
    assert settings().allowed_queue_endpoints == ()
    assert settings("--allowed-queue-endpoint", EMULATOR).allowed_queue_endpoints == (EMULATOR,)
    by_variable = settings(SHOP_OPERATOR_ALLOWED_QUEUE_ENDPOINTS=f"{EMULATOR}, https://sqs.example:1/x/")
    assert by_variable.allowed_queue_endpoints == (EMULATOR, "https://sqs.example:1/x/")


@pytest.mark.parametrize(
    "value",
    [
        "aws:4566",
        "http://",
        "ftp://aws",
        "http://AWS",
        "http://a@b",
        "http://a/../b",
        "http://a/?b",
        "*",
        "http://*",
    ],
)
def test_given_an_allowed_queue_endpoint_that_is_no_address_then_it_is_refused(value: str) -> None:
    with pytest.raises(BadSetting, match=r"allowed-queue-endpoint has"):
        settings("--allowed-queue-endpoint", value)
