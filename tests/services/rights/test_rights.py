"""The IAM policy of each service matches its calls: no permission is missing, and none is unused.

The emulator enforces IAM and records a trail of every call. The processes of each service have an access key with only the policy
of their service, as their role has on AWS. Orders then take every possible path.
"""

import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import OutboxRecord
from shopdev import identity
from shopdev.checkout import SERVICES
from shopdev.clients import Clients
from shopdev.cloudformation import stacks
from shopdev.customer import Customer, until, wish
from shopdev.processes.shop import Shop
from tests.shops import own_shop

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]

# Calls whose IAM action has another name: a transaction needs the right of each of its parts.
PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
# SendMessageBatch and so on are no actions: they need the right of the single call.
BATCHES = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
# The emulator asks for the right to the batch where AWS asks for that to the single call, which the policies have.
NAMED_OTHERWISE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": sorted(BATCHES), "Resource": "*"}],
}
# What the emulator's trail calls every request to SNS, whose protocol names the action in the body.
UNNAMED = "POST.sns"

# Function -> its role in the template.
FUNCTIONS = {
    "place-order": "PlaceOrderRole",
    "check-inventory": "CheckInventoryRole",
    "sales-summary": "SalesSummaryRole",
}
# What AWS Lambda does for a function, by the function's role: its log, its queue and its traces. The emulator needs no right to.
BY_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
# The emulator refuses every right that has a condition on Cloud Map's names, so that call cannot succeed there.
REFUSED_THERE = {"servicediscovery:DiscoverInstances"}

Rights = Mapping[str, set[str]]


def allow(shop: Shop, service: str) -> dict[str, str]:
    """A new access key with exactly the service's policy, as environment variables."""
    iam = shop.clients.iam
    user = f"{shop.prefix}-{service}"
    iam.create_user(UserName=user)
    iam.attach_user_policy(UserName=user, PolicyArn=shop.outputs[service]["AccessPolicyArn"])
    iam.put_user_policy(UserName=user, PolicyName="emulator", PolicyDocument=json.dumps(NAMED_OTHERWISE))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def every_way(customer: Customer) -> None:
    """Orders with every outcome, and every read request."""
    catalogue = sorted(customer.catalogue(), key=lambda product: int(product["available"]))
    skus: Sequence[str] = [product["sku"] for product in catalogue]
    ways = {
        "SHIPPED": customer.place(skus[6]),
        "REJECTED": customer.place(skus[1], token="tok_decline"),
        "CANCELLED": customer.place(skus[2], postal_code="00000"),
        "UNKNOWN": customer.place(skus[3], token="tok_charge_then_timeout"),
        "UNANSWERED": customer.place(skus[4], token="tok_timeout"),
        "THIRD_TRY": customer.place(skus[5], postal_code="99999"),
        "SOLD_OUT": customer.place(skus[0], quantity=99),
    }
    withdrawn = customer.place(skus[7])
    customer.post(f"/orders/{withdrawn['id']}/cancel")
    ends = {way: customer.follow(order, deadline=120)["state"] for way, order in ways.items()}
    assert {way: ends[way] for way in ("SHIPPED", "REJECTED", "CANCELLED", "SOLD_OUT")} == {
        "SHIPPED": "SHIPPED",
        "REJECTED": "REJECTED",
        "CANCELLED": "CANCELLED",
        "SOLD_OUT": "REJECTED",
    }
    customer.follow(withdrawn, deadline=120)
    shipped = ways["SHIPPED"]["id"]
    for path in ("/orders", "/products?q=tea", f"/products/{skus[0]}", f"/inventory/{skus[0]}"):
        customer.get(path)
    for path in (f"/orders/{shipped}/details", f"/payments/{shipped}", f"/shipments/{shipped}"):
        customer.get(path)


def every_question(customer: Customer) -> None:
    """All requests, through the API Gateway, whose routes all lead to functions."""
    sku = max(customer.catalogue(), key=lambda product: int(product["available"]))["sku"]
    order = customer.follow(customer.place(sku), deadline=120)
    customer.post(f"/orders/{order['id']}/cancel")
    for path in ("/orders", f"/products/{sku}", f"/inventory/{sku}", f"/orders/{order['id']}/details"):
        customer.get(path)
    until(partial(is_cancelled_in_time, customer, sku))
    refused = customer.post("/orders", {**wish("NONE")}, idempotency_key=str(uuid.uuid4()))
    assert refused.status_code == 422, "an order of nothing gives its key back"


def is_cancelled_in_time(customer: Customer, sku: str) -> bool:
    """Whether a new order could be cancelled."""
    order = customer.place(sku)
    return customer.post(f"/orders/{order['id']}/cancel").status_code == httpx.codes.ACCEPTED


def poison(shop: Shop) -> None:
    """An unknown message in each queue: it is made invisible and delivered again."""
    for service in SERVICES:
        queue = shop.outputs[service]["TasksQueueUrl"]
        shop.clients.sqs.send_message(QueueUrl=queue, MessageBody='{"task": "Unheard of"}')
        until(partial(calls, shop, shop.credentials[service]["AWS_ACCESS_KEY_ID"], "ChangeMessageVisibility"))


def crash(shop: Shop) -> None:
    """A record in each outbox, as a process that was killed leaves it: a relay finds and claims it."""
    dynamodb = shop.clients.dynamodb
    for service in SERVICES:
        DynamoOutbox(dynamodb, shop.outputs[service]["Table"]).transact([], OutboxRecord(()))
        until(partial(calls, shop, shop.credentials[service]["AWS_ACCESS_KEY_ID"], "UpdateItem"))


def redrive(shop: Shop) -> None:
    """A dead letter of each service is listed and redriven by staff, and another one as in a pod of the service."""
    staff = Customer(shop.url, shop.token("ops", identity.OPERATOR_SCOPES))
    for service in SERVICES:
        dead = f"{shop.outputs[service]['TasksQueueUrl']}-dlq"
        body = '{"task": "Unheard of"}'
        sent = [shop.clients.sqs.send_message(QueueUrl=dead, MessageBody=body)["MessageId"] for _ in range(2)]
        assert staff.get(f"/dead-letters/{service}")["total"] == len(sent)
        redriven = staff.post(f"/dead-letters/{service}/redrive", {"ids": sent[:1]}).json()
        assert redriven == {"redriven": sent[:1], "missing": []}
        subprocess.run(
            [sys.executable, "-m", "services.common.messaging.dlq", "redrive", "--all"],
            env=shop.env(service),
            check=True,
            timeout=120,
        )


def session_key(shop: Shop, function: str) -> str:
    """The access key id that the emulator gives a function, by its role."""
    name = f"{shop.prefix}-{function}"
    live = shop.clients.functions.get_function_configuration(FunctionName=name, Qualifier="live")
    arn, role = live["FunctionArn"], live["Role"]
    return f"ASIA{hashlib.sha256(f'{arn}:{role}'.encode()).hexdigest()[:16].upper()}"


def calls(shop: Shop, key_id: str, kind: str) -> list[Mapping[str, Any]]:
    """The latest calls of a kind with an access key. The trail of the emulator contains at most 50, and has no next page."""
    wanted = {"Username": key_id, "EventName": kind}
    attributes = [{"AttributeKey": name, "AttributeValue": value} for name, value in wanted.items()]
    events = shop.clients.cloudtrail.lookup_events(LookupAttributes=attributes)["Events"]  # type: ignore[arg-type]  # literals
    return [json.loads(event["CloudTrailEvent"]) for event in events]


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def shop(log: list[str]) -> Iterator[Shop]:
    """The shop on an emulator that enforces IAM, after orders of every kind."""

    def sink(name: str, line: str) -> None:
        log.append(f"{name}: {line}")

    settings = {"AUTH": "true", "CLOUDTRAIL_RECORDING": "1", "CLOUDTRAIL_MAX_EVENTS": "200000"}
    targets = {name: "function" for name in stacks.document("api")["Parameters"] if name.endswith("Target")}
    with own_shop(sink, parameters=targets, emulator=settings) as shop:
        shop.deploy()
        shop.credentials = {service: allow(shop, service) for service in SERVICES}
        shop.run()
        with Customer(shop.url, shop.token()) as customer:
            every_way(customer)
        with Customer(shop.api_url, shop.token("bob")) as customer:
            every_question(customer)
        poison(shop)
        crash(shop)
        redrive(shop)
        yield shop
    sys.stderr.write("\n".join(log[-200:]))


def used(shop: Shop, key_id: str) -> set[str]:
    """The IAM actions of the calls that were made with an access key.

    Asked for each kind of call that some policy grants: another was refused, and its process has said so.
    """
    everyone = [granted(service, "Access") for service in SERVICES]
    everyone += [granted("functions", role) for role in FUNCTIONS.values()]
    kinds = {action.partition(":")[2] for each in everyone for action in each}
    kinds |= {"TransactWriteItems", UNNAMED}
    return {action for kind in kinds for call in calls(shop, key_id, kind) for action in actions(call)}


def actions(event: Mapping[str, Any]) -> set[str]:
    """The IAM actions that a call needs."""
    name, parameters = event["eventName"], event["requestParameters"]
    if name == "TransactWriteItems":
        return {PARTS[kind] for part in parameters["TransactItems"] for kind in part}
    source = event["eventSource"].removesuffix(".amazonaws.com")
    action = f"{source}:{parameters['Action'] if name == UNNAMED else name}"
    return {BATCHES.get(action, action)}


def granted(stack: str, owner: str) -> set[str]:
    """Actions that a policy grants, or a role through its inline policies."""
    properties = stacks.document(stack)["Resources"][owner]["Properties"]
    # What comes under a condition is for the network, which the emulator's functions are not in.
    policies = [each for each in properties.get("Policies", [properties]) if "Fn::If" not in each]
    found: set[str] = set()
    for statement in (each for policy in policies for each in policy["PolicyDocument"]["Statement"]):
        action = statement["Action"]
        found |= {action} if isinstance(action, str) else set(action)
    return found


def test_given_enforced_iam_policies_when_a_call_lacks_a_permission_then_it_is_denied(shop: Shop) -> None:
    """Otherwise, the tests below would pass with an emulator that allows everything."""
    key = shop.credentials["shipping"]
    intruder = Clients(
        shop.emulator.endpoint, (key["AWS_ACCESS_KEY_ID"], key["AWS_SECRET_ACCESS_KEY"])
    ).dynamodb
    with pytest.raises(intruder.exceptions.ClientError) as refused:
        intruder.get_item(
            TableName=shop.outputs["payment"]["Table"], Key={"pk": {"S": str(uuid.uuid4())}, "sk": {"S": "x"}}
        )
    assert "AccessDenied" in refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("service", SERVICES)
def test_given_orders_of_every_kind_when_a_service_handles_them_then_its_policy_grants_exactly_what_it_uses(
    shop: Shop, service: str, log: list[str]
) -> None:
    refused = [line for line in log if line.startswith(service) and "AccessDenied" in line]
    assert not refused, "a right is missing"
    assert granted(service, "Access") == used(shop, shop.credentials[service]["AWS_ACCESS_KEY_ID"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_given_requests_of_every_kind_when_a_function_handles_them_then_its_role_grants_exactly_what_it_uses(
    shop: Shop, function: str
) -> None:
    expected = granted("functions", FUNCTIONS[function]) - BY_LAMBDA - REFUSED_THERE
    key = session_key(shop, function)
    until(lambda: used(shop, key) >= expected)  # the sales view counts a moment later
    assert used(shop, key) - REFUSED_THERE == expected
