"""Events and tasks: the sender and the receiver of a message agree on its schema.

The contracts folder of a service contains a JSON Schema for each event that it publishes (`shop.payment.charged.v1.json`), for
each task that it handles (`ChargePayment.json`), and for the result of the task (`ChargePayment.result.json`).
"""

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from services.common.values.errors import TaskFailed
from services.order import consumer
from services.order.domain import Product
from services.order.ports import Products
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks

ROOT = Path(__file__).resolve().parents[2]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
CLOUD_EVENT = {"specversion", "id", "type", "source", "subject", "time", "data", "traceparent"}
FACTS = {
    "product": {
        "shop.product.upserted.v1",
        "shop.stock.reserved.v1",
        "shop.stock.released.v1",
        "shop.stock.committed.v1",
        "shop.stock.low.v1",
    },
    "order": {
        "shop.order.accepted.v1",
        "shop.order.shipped.v1",
        "shop.order.rejected.v1",
        "shop.order.cancelled.v1",
    },
    "payment": {"shop.payment.charged.v1", "shop.payment.declined.v1", "shop.payment.refunded.v1"},
    "shipping": {"shop.shipment.booked.v1", "shop.shipment.refused.v1", "shop.shipment.cancelled.v1"},
}


def contracts(service: str) -> dict[str, dict[str, Any]]:
    """Name -> schema."""
    folder = ROOT / "services" / service / "contracts"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


ALL = {(service, name): schema for service in SERVICES for name, schema in contracts(service).items()}


def workflow() -> dict[str, Any]:
    """The definition as it is deployed, with the queues' names for their URLs."""
    text = (stacks.FOLDER / "order_saga.asl.json").read_text(encoding="utf-8")
    definition: dict[str, Any] = json.loads(re.sub(r"\$\{\w+Seconds\}", "300", text))
    return definition


def tasks() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Service, name of the task, and its state in the workflow; `Again` in a state's name is for a resumed order."""
    for name, state in workflow()["States"].items():
        if state["Type"] == "Task":
            queue = re.fullmatch(r"\$\{(\w+)TasksQueueUrl\}", state["Parameters"]["QueueUrl"])
            assert queue, f"{name} goes to no service's queue"
            yield queue[1].lower(), name.removesuffix("Again"), state


TASKS = list(tasks())


def resolve(schema: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The part of a schema that describes the member at `path`, which must be required all the way."""
    here: Mapping[str, Any] = schema
    for name in path:
        here = _dereferenced(schema, here)
        assert name in here.get("required", []), f"{name} of {'.'.join(path)} is not always there"
        here = here["properties"][name]
    return _dereferenced(schema, here)


def _dereferenced(root: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part:
        target: Any = root
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part


@pytest.mark.parametrize(("service", "name"), ALL)
def test_given_a_contract_then_it_is_json_schema_2020_12_and_has_a_title(service: str, name: str) -> None:
    schema = ALL[service, name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema.get("title")


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_then_its_contracts_are_those_of_its_facts_and_its_tasks(
    service: str,
) -> None:
    accepted = {name for owner, name, _ in TASKS if owner == service}
    assert set(contracts(service)) == FACTS[service] | accepted | {f"{name}.result" for name in accepted}


@pytest.mark.parametrize(
    ("service", "fact"), [(service, fact) for service, facts in FACTS.items() for fact in sorted(facts)]
)
def test_given_the_contract_of_a_fact_then_it_describes_a_cloudevent_of_that_type(
    service: str, fact: str
) -> None:
    schema = ALL[service, fact]
    assert set(schema["required"]) >= CLOUD_EVENT
    assert resolve(schema, "type")["const"] == fact
    assert resolve(schema, "specversion")["const"] == "1.0"
    about = "sku" if fact in {"shop.product.upserted.v1", "shop.stock.low.v1"} else "order_id"
    assert about in resolve(schema, "data")["required"]


@pytest.mark.parametrize(("service", "name", "state"), TASKS, ids=[name for _, name, _ in TASKS])
def test_given_a_task_when_the_workflow_sends_it_then_it_matches_the_contract_of_the_service(
    service: str, name: str, state: Mapping[str, Any]
) -> None:
    schema = ALL[service, name]
    body = state["Parameters"]["MessageBody"]
    sent = {key.removesuffix(".$") for key in body}
    assert body["task"] == name
    assert resolve(schema, "task")["const"] == name
    assert set(schema["required"]) <= sent
    assert sent <= set(schema["properties"])


@pytest.mark.parametrize(("service", "name", "state"), TASKS, ids=[name for _, name, _ in TASKS])
def test_given_the_result_of_a_task_then_the_fields_that_the_workflow_uses_are_required(
    service: str, name: str, state: Mapping[str, Any]
) -> None:
    schema = ALL[service, f"{name}.result"]
    used = set(re.findall(r"\$\.([\w.]+)", json.dumps(state.get("ResultSelector", {}))))
    if state["ResultPath"] and not used:
        kept = re.escape(state["ResultPath"])
        used = set(re.findall(kept + r"\.([\w.]+)", json.dumps(workflow())))
    for path in used:
        resolve(schema, *path.split("."))


def test_given_the_result_paths_of_the_workflow_then_none_overwrites_an_input_or_another_result() -> None:
    given = {"order_id", "customer_id", "items", "total", "payment", "shipping_address", "traceparent"}
    kept = {(name, state["ResultPath"].removeprefix("$.")) for _, name, state in TASKS if state["ResultPath"]}
    paths = [path for _, path in kept]
    assert not given & set(paths)
    assert len([path for path in paths if path != "outcome"]) == len(set(paths) - {"outcome"})


@pytest.mark.parametrize(("service", "name", "state"), TASKS, ids=[name for _, name, _ in TASKS])
def test_given_a_refusal_in_the_workflow_then_the_service_raises_it_and_the_workflow_does_not_retry(
    service: str, name: str, state: Mapping[str, Any]
) -> None:
    """And the workflow does not ask again for what has been refused: its first retrier has no attempts."""
    retry = state["Retry"][0]
    if retry["ErrorEquals"] == ["States.ALL"]:
        return  # an undo, or a step after the point of no return, which cannot be refused
    assert retry["MaxAttempts"] == 0, name
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / service).glob("*.py"))
    for error in retry["ErrorEquals"]:
        assert f'"{error}"' in sources


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_refusal_of_a_service_then_the_workflow_names_it_and_does_not_send_the_task_again(
    service: str,
) -> None:
    """Else it would send the task again for hours."""
    domain = vars(importlib.import_module(f"services.{service}.domain"))
    refusals = {
        name for name, each in domain.items() if isinstance(each, type) and issubclass(each, TaskFailed)
    }
    named = {
        error for owner, _, state in TASKS if owner == service for error in state["Retry"][0]["ErrorEquals"]
    }

    assert refusals - {"TaskFailed"} <= named


class Seen:
    """Records the order service's handling of facts, in place of its table."""

    def __init__(self) -> None:
        self.products: list[Product] = []

    def put(self, product: Product) -> bool:
        self.products.append(product)
        return True


FOLLOWED: Mapping[str, Mapping[str, Any]] = {
    "shop.product.upserted.v1": {
        "sku": "MUG-1",
        "version": 1,
        "name": "Mug",
        "category": "kitchen",
        "price": {"amount": 1299, "currency": "EUR"},
    },
}
SUBSCRIBED_BEFORE = {"shop.stock.reserved.v1", "shop.payment.charged.v1"}
"""The queue may contain facts to which an earlier version of the order service subscribed."""


def fact(service: str, kind: str) -> dict[str, Any]:
    """The barest event that the publisher's contract allows: only what is required."""
    event = {
        "specversion": "1.0",
        "id": "id-1",
        "type": kind,
        "source": f"/{service}",
        "subject": "subject",
        "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": dict(FOLLOWED[kind]),
    }
    schema = ALL[service, kind]
    required = resolve(schema, "data")["required"]
    assert set(required) <= set(FOLLOWED[kind]), f"{kind} promises more than this test knows of"
    bare = {name: event[name] for name in schema["required"]}
    bare["data"] = {name: FOLLOWED[kind][name] for name in required}
    Draft202012Validator(schema).validate(bare)
    return bare


@pytest.mark.parametrize("kind", FOLLOWED)
def test_given_a_fact_with_only_required_fields_when_the_order_service_receives_it_then_it_is_processed(
    kind: str,
) -> None:
    (service,) = [service for service, facts in FACTS.items() if kind in facts]
    seen = Seen()
    consumer.facts(cast("Products", seen))[kind](fact(service, kind))
    assert [(each.sku, each.name, each.price.to_dict()) for each in seen.products] == [
        ("MUG-1", "Mug", {"amount": 1299, "currency": "EUR"})
    ]


def subscriptions(stack: str) -> list[Mapping[str, Any]]:
    found = stacks.document(stack)["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == "AWS::SNS::Subscription"]


def test_given_the_facts_that_the_order_service_processes_then_its_filters_admit_exactly_these() -> None:
    handled = set(consumer.facts(cast("Products", Seen())))
    let_in = [kind for each in subscriptions("order") for kind in each["FilterPolicy"]["type"]]
    assert sorted(let_in) == sorted(handled - SUBSCRIBED_BEFORE) == sorted(FOLLOWED)


@pytest.mark.parametrize("stack", [stack for stack in stacks.STACKS if subscriptions(stack)])
def test_given_a_subscription_to_a_topic_then_its_filter_admits_only_facts_of_the_owner_of_the_topic(
    stack: str,
) -> None:
    """By what a fact says, since its attributes are whatever the publisher has set."""
    for properties in subscriptions(stack):
        exported = properties["TopicArn"]["Fn::ImportValue"]["Fn::Sub"]
        owner = exported.removeprefix("${Prefix}-events-").removesuffix("TopicArn").lower()
        policy = properties["FilterPolicy"]
        assert policy["source"] == [f"/{owner}"]
        assert set(policy["type"]) <= FACTS[owner]
        assert properties["FilterPolicyScope"] == "MessageBody"
        assert properties["RawMessageDelivery"] is True
