"""The three processes of the order service as in a pod: they start without AWS, work with it, and shut down gracefully."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import orjson
import pytest

from services.common.messaging.events import Event
from services.common.values import ids
from shopdev.ports import free_port
from shopdev.processes.emulator import AwsServer
from shopdev.processes.process import Process
from tests.services.order.test_ports import MACHINE
from tests.services.order.world import wish

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COMMANDS = {
    "api": [
        "gunicorn",
        "--config",
        "python:services.common.http.gunicorn",
        "services.order.app:create_app()",
    ],
    "consumer": ["services.order.consumer"],
    "relay": ["services.order.relay"],
}
TEA = {"sku": "TEA", "name": "Earl Grey", "category": "tea", "price": {"amount": 1299, "currency": "EUR"}}
NOWHERE = "http://127.0.0.1:1"
Start = Callable[[str, Mapping[str, str]], httpx.Client]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process. Returns a client of its port once it is alive."""
    running: list[tuple[Process, httpx.Client]] = []

    def start(name: str, env: Mapping[str, str]) -> httpx.Client:
        port = free_port()
        own = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "LISTEN_HOST": "127.0.0.1",
            "POLL_SECONDS": "1",
            "AUTH": "off",
        }
        command = [sys.executable, "-m", *COMMANDS[name]]
        process = Process(name, command, {**own, **env}, print, ROOT)
        process.start()
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        running.append((process, client))
        process.wait_until(lambda: answers(client), 60)
        return client

    yield start
    for process, client in running:
        client.close()
        process.stop(grace=30)
        assert process.returncode == 0


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def environment(endpoint: str = NOWHERE, **known: str) -> dict[str, str]:
    return {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TABLE": "none",
        "TOKENS_TABLE": "none",
        "TASKS_QUEUE_URL": f"{endpoint}/000000000000/none",
        "EVENTS_QUEUE_URL": f"{endpoint}/000000000000/none",
        "EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:none",
        "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:none",
        **known,
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_given_no_aws_when_a_process_starts_then_it_is_alive_but_not_ready_and_shuts_down_gracefully(
    start: Start, name: str
) -> None:
    client = start(name, environment())

    assert client.get("/readyz").status_code == 503


def test_given_the_three_processes_when_an_order_is_placed_then_its_workflow_starts_and_events_update_it(
    start: Start,
    account: AwsServer,
    create_table: Callable[[], str],
    create_queue: Callable[[], str],
    create_topic: Callable[[], str],
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    clients, events = account.clients, create_queue()
    machine = clients.stepfunctions.create_state_machine(
        name=f"machine-{ids.uuid7()}", definition=MACHINE, roleArn="arn:aws:iam::000000000000:role/any"
    )["stateMachineArn"]
    env = environment(
        account.endpoint,
        TABLE=create_table(),
        TOKENS_TABLE=create_table(),
        TASKS_QUEUE_URL=create_queue(),
        EVENTS_QUEUE_URL=events,
        EVENTS_TOPIC_ARN=create_topic(),
        STATE_MACHINE_ARN=machine,
    )
    api, consumer, relay = (start(name, env) for name in COMMANDS)
    assert [client.get("/readyz").status_code for client in (api, consumer, relay)] == [200, 200, 200]

    def send(kind: str, data: Mapping[str, object]) -> None:
        event = Event(type=kind, source="/product", subject="it", data=data)
        clients.sqs.send_message(QueueUrl=events, MessageBody=orjson.dumps(event.to_dict()).decode())

    def started() -> list[str]:
        found = clients.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
        return [execution["name"] for execution in found]

    def place() -> httpx.Response:
        return api.post("/orders", json=wish(), headers={"Idempotency-Key": "key-1"})

    send("shop.product.upserted.v1", TEA)
    eventually(lambda: place().status_code == 202)
    order_id = place().json()["id"]
    eventually(lambda: started() == [order_id])
    check = {
        "task": "CheckOrder",
        "order_id": order_id,
        "task_token": "gone",
        "reserved_at": "2026-01-31T12:00:00Z",
    }
    clients.sqs.send_message(QueueUrl=env["TASKS_QUEUE_URL"], MessageBody=orjson.dumps(check).decode())
    eventually(lambda: api.get(f"/orders/{order_id}").json()["state"] == "RESERVED")
