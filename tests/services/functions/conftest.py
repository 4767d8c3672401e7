"""The deployed functions: built, uploaded, and run by the emulator from their zips."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest

from shopdev import identity
from shopdev.checkout import SERVICES
from shopdev.cloudformation import stacks
from shopdev.lambdas import build
from shopdev.processes.emulator import Emulator

ROOT = Path(__file__).resolve().parents[3]
NEEDED = (
    *("network", "events", "tokens", "identity", "discovery", "artifacts", *SERVICES),
    *("saga", "functions", "functions-catalogue", "functions-partners"),
)
STAGE = "v1"


@dataclass(frozen=True)
class Deployed:
    """Stacks with functions, and an HTTP API in front of two of them."""

    emulator: Emulator
    prefix: str
    outputs: stacks.Outputs
    http: httpx.Client

    def token(self, user: str) -> dict[str, str]:
        """The header that authenticates a caller."""
        found = identity.token(self.outputs["identity"], self.emulator.endpoint, user)
        return {"Authorization": f"Bearer {found}"}


@pytest.fixture(scope="session")
def deployed(emulator: Emulator) -> Iterator[Deployed]:
    build.build(lambda line: sys.stderr.write(f"{line}\n"))
    prefix = f"f{uuid.uuid4().hex[:8]}"
    values = stacks.chosen_for("local") | {"SalesBatchWindow": "0"}
    outputs = emulator.deploy(prefix, values, NEEDED)
    identity.seed(emulator.clients, outputs["identity"])
    fail_soon(emulator, outputs["functions"]["SalesQueueUrl"])
    environment = {"PATH": os.environ["PATH"], **emulator.env}
    for name, value in outputs["product"].items():
        environment[{"Table": "TABLE", "TasksQueueUrl": "TASKS_QUEUE_URL"}.get(name, name)] = value
    environment["AUTH"] = "off"  # the seed calls no service
    environment["EVENTS_TOPIC_ARN"] = stacks.topic("product", outputs)
    subprocess.run([sys.executable, "-m", "services.product.seed"], env=environment, cwd=ROOT, check=True)
    with httpx.Client(base_url=api(emulator, outputs["functions"]), timeout=30) as http:
        yield Deployed(emulator, prefix, outputs, http)


def fail_soon(emulator: Emulator, queue: str) -> None:
    """Makes a failing message a dead letter within seconds instead of two hours."""
    given = emulator.clients.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])
    redrive = json.loads(given["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": 5}
    emulator.clients.sqs.set_queue_attributes(
        QueueUrl=queue, Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)}
    )


def api(emulator: Emulator, functions: Mapping[str, str]) -> str:
    """The URL of an HTTP API with a route to each of the two functions."""
    gateway = boto3.client(
        "apigatewayv2",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    made = gateway.create_api(Name="functions", ProtocolType="HTTP")["ApiId"]
    for arn, routes in (
        (functions["PlaceOrderAliasArn"], ["ANY /orders", "ANY /orders/{proxy+}"]),
        (
            functions["CheckInventoryAliasArn"],
            ["GET /products", "GET /products/{sku}", "GET /inventory/{sku}"],
        ),
    ):
        integration = gateway.create_integration(
            ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        for route in routes:
            gateway.create_route(ApiId=made, RouteKey=route, Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=made, StageName=STAGE, AutoDeploy=True)
    return f"{emulator.endpoint}/_aws/execute-api/{made}/{STAGE}"
