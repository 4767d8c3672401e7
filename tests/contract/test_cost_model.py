"""docs/explanation/cost-model.md: the products and sums are right, and the quantities are those of the templates and the charts."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from services.common.aws.consumer_process import RECORDS_OF_OTHERS_DELAYED
from services.common.aws.outbox import PARTITIONS
from services.common.messaging import consumer, relay
from services.common.runtime.settings import ServiceSettings
from services.order.relay import LONGEST_PAUSE
from services.order.senders import READ_EVERY
from services.product.consumer import CHANGED_PRICES_DELAYED
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import ROOT, SERVICES
from shopdev.cloudformation import stacks

PAGE: Final = (ROOT / "docs/explanation/cost-model.md").read_text(encoding="utf-8")
ROW: Final = re.compile(
    r"^\| (?P<item>[^|*]+) \| (?P<quantity>[\d.]+) \| (?P<price>[\d.]+) \| (?P<cost>[\d.]+) \|", re.MULTILINE
)
HOURS: Final = 730
ORDERS: Final = 100_000
MILLION: Final = 1_000_000
QUANTITIES: Final = {row["item"]: float(row["quantity"]) for row in ROW.finditer(PAGE)}
VALUES: Final[dict[str, Any]] = yaml.safe_load((ROOT / "charts/shop/values.yaml").read_text(encoding="utf-8"))
SECONDS: Final = HOURS * 3600


def quantity(start: str) -> float:
    """The quantity of the row whose item begins with a text."""
    (found,) = (number for item, number in QUANTITIES.items() if item.startswith(start))
    return found


def cost(start: str) -> float:
    """The cost in the row whose item begins with a text."""
    (found,) = (float(row["cost"]) for row in ROW.finditer(PAGE) if row["item"].startswith(start))
    return found


def loops() -> int:
    """Loops that read a queue."""
    return sum(pods("consumer")[service] * number for service, number in queues().items())


def pods(worker: str | None = None) -> dict[str, int]:
    """Pods of each service that has such a worker, or of its API, at the lowest number."""
    found = {}
    for service in SERVICES:
        part: Mapping[str, Any] | None = VALUES[service]["workers"].get(worker) if worker else VALUES[service]
        if part is not None:
            found[service] = part.get("replicas") or part["autoscaling"]["minReplicas"]
    return found


def readiness_seconds() -> int:
    """Seconds between two readiness checks of a pod."""
    shop = ShopService.from_object(
        {"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": {"image": "d:1"}}
    )
    (deployment,) = (each for each in render(shop, live=None) if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return int(container["readinessProbe"]["periodSeconds"])


def queues() -> dict[str, int]:
    """Queues that the consumer of each service reads."""
    return {
        service: sum(
            each["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in each["Properties"]
            for each in stacks.document(service)["Resources"].values()
        )
        for service in SERVICES
    }


def test_given_the_tables_then_each_cost_is_a_product_and_each_sum_is_that_of_its_table() -> None:
    tables = [table for table in PAGE.split("\n\n") if ROW.search(table)]

    assert len(tables) == 2
    sums = []
    for table in tables:
        costs = [float(row["cost"]) for row in ROW.finditer(table)]
        assert len(costs) == len(re.findall(r"^\| (?!item|\*)", table, re.MULTILINE))
        for row in ROW.finditer(table):
            assert abs(float(row["quantity"]) * float(row["price"]) - float(row["cost"])) <= 0.0051, row[
                "item"
            ]
        (total,) = re.findall(r"\| \*\*sum\*\* \| \| \| \*\*([\d.]+)\*\* \|", table)
        assert float(total) == round(sum(costs), 2)
        sums.append(float(total))
    assert f"**Sum: {sum(sums):.2f} USD per month.** Of this, {sums[0]:.2f} USD do not depend" in PAGE
    assert f"about {sums[0] / 30:.0f} USD per day" in PAGE
    assert f"A thousand orders cost about {sums[1] * 1000 / ORDERS:.2f} USD." in PAGE


def test_given_the_templates_then_the_page_counts_their_gateways_alarms_secrets_and_nodes() -> None:
    resources = [each for stack in stacks.ON_AWS for each in stacks.document(stack)["Resources"].values()]
    counted = [each["Type"] for each in resources]
    metrics = [
        sum("MetricStat" in metric for metric in alarm["Properties"].get("Metrics", ())) or 1
        for alarm in resources
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
    ]
    cluster = stacks.document("eks")
    (volume,) = cluster["Resources"]["NodeTemplate"]["Properties"]["LaunchTemplateData"][
        "BlockDeviceMappings"
    ]
    nodes = stacks.declared("eks")["MinNodes"]["Default"]

    assert stacks.chosen_for("aws")["NatGateways"] == "per-zone"
    assert quantity("NAT gateways") == HOURS * counted.count("AWS::EC2::NatGateway")
    assert quantity("public IPv4") == HOURS * counted.count("AWS::EC2::EIP")
    assert quantity("metrics of CloudWatch alarms") == sum(metrics)
    assert quantity("secrets") == counted.count("AWS::SecretsManager::Secret")
    assert quantity("two nodes m7i.large") == HOURS * nodes
    assert quantity("volumes") == nodes * volume["Ebs"]["VolumeSize"]
    assert stacks.declared("eks")["NodeTypes"]["Default"].startswith("m7i.large")


def test_given_the_workflow_then_an_order_that_is_shipped_enters_as_many_states_as_the_page_says() -> None:
    text = (stacks.FOLDER / "order_saga.asl.json").read_text(encoding="utf-8")
    workflow = json.loads(re.sub(r"\$\{\w+Seconds\}", "300", text))
    name, entered = workflow["StartAt"], 0
    while name:
        state, entered = workflow["States"][name], entered + 1
        name = state.get("Default") or state.get("Next")

    assert quantity("state transitions") == entered * ORDERS / MILLION


def test_given_the_charts_then_the_page_counts_the_requests_of_an_idle_shop() -> None:
    consumers, relays = pods("consumer"), pods("relay")
    polls = 1 / ServiceSettings.model_fields["poll_seconds"].default
    sqs = loops() * (polls + 1 / consumer.MEASURED_EVERY + 1 / readiness_seconds())
    pauses = [LONGEST_PAUSE] * relays["order"]
    pauses += [CHANGED_PRICES_DELAYED] * consumers["product"]
    pauses += [RECORDS_OF_OTHERS_DELAYED] * (consumers["payment"] + consumers["shipping"])
    pauses += [READ_EVERY] * (consumers["order"] + pods()["order"])
    # A strongly consistent query of an empty partition is one unit, an eventually consistent read half a unit.
    outboxes = sum(PARTITIONS / pause + PARTITIONS / relay.MEASURED_EVERY / 2 for pause in pauses)
    everyone = sum(sum(each.values()) for each in (pods(), consumers, relays))

    assert quantity("SQS requests without a message") == round(sqs * SECONDS / MILLION, 2)
    units = outboxes + everyone / readiness_seconds() / 2
    assert quantity("DynamoDB read request units without") == round(units * SECONDS / MILLION, 2)


def test_given_the_decisions_then_their_effects_follow_from_the_prices() -> None:
    gateways = cost("NAT gateways") + cost("public IPv4")
    network = stacks.document("network")["Resources"].values()
    endpoints = [each for each in network if each["Properties"].get("VpcEndpointType") == "Interface"]
    objectives = [
        sum("MetricStat" in metric for metric in alarm["Properties"]["Metrics"])
        for alarm in stacks.document("slo")["Resources"].values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
    ]
    polls = loops() * (1 / ServiceSettings.model_fields["poll_seconds"].default - 1 / 20) * SECONDS / MILLION
    effects = {
        "`NatGateways=1`": -gateways * 2 / 3,
        "`NatGateways=0`": -gateways,
        "`MinNodes=3`": cost("two nodes") / 2 + cost("volumes") / 2,
        "without the stack `slo`": -sum(objectives) * 0.1,
        "`POLL_SECONDS=20`": -polls * 0.4,
    }

    for decision, effect in effects.items():
        (stated,) = re.findall(rf"^\| {re.escape(decision)}[^|]* \| ([-+][\d.]+) USD", PAGE, re.MULTILINE)
        assert abs(float(stated.replace("-", "-")) - effect) < 0.0051, decision
    assert (
        f"+{len(endpoints) * 3 * HOURS * 0.01:.2f} USD for {len(endpoints)} endpoints in three zones" in PAGE
    )
