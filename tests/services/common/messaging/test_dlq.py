"""The dead-letter command shows dead letters, and loses none when it redrives them."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.aws import dynamo
from services.common.aws.sqs import SqsQueue
from services.common.messaging.consumer import Consumer, Handler
from services.common.messaging.dlq import __main__ as dlq
from services.common.messaging.dlq.sqs import DynamoDiscards, SqsPlace
from shopdev.processes.emulator import AwsServer
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server, serving
from tests.services.common.messaging.dead_letters import TASK, TRACE, MemoryPlace, letter, new_queues
from tests.waiting import wait_for

Plugin = Callable[..., list[str]]
ROOT = Path(__file__).resolve().parents[4]
COMMAND = "from shop_operator.cli.commands import main; main()"


def run(place: MemoryPlace, *arguments: str) -> list[str]:
    return list(dlq.run(arguments, place, place))


def test_given_a_dead_letter_when_it_is_listed_then_the_line_contains_its_order_trace_and_cause() -> None:
    (line,) = run(MemoryPlace([letter("m1", TASK)]), "list")

    found = json.loads(line)
    assert (found["id"], found["queue"], found["kind"]) == ("m1", "shop-payment-tasks", "ChargePayment")
    assert (found["order_id"], found["trace_id"], found["deliveries"]) == ("o1", TRACE, 5)
    assert "m1" in found["cause"]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("not json", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{}", "not a JSON object"),
        ({"a": 1}, "neither a task nor a type"),
        ({"cause": "KeyError: 'available'", "record": {}}, "KeyError"),
        ({"cause": ["?"]}, "neither a task nor a type"),
        ({"task": ["?"], "type": 5}, "neither a task nor a type"),
        ({"Records": [{"s3": {}}]}, "neither a task nor a type"),
        ({"Records": [{"s3": {"object": {"key": "spring+tea.csv"}}}]}, "the import of spring tea.csv failed"),
        ({"type": "shop.order.shipped.v1", "data": {"order_id": "o2"}}, "message_id m1"),
        ({"type": "shop.order.shipped.v1", "data": 5, "traceparent": 7}, "message_id m1"),
    ],
)
def test_given_a_dead_letter_with_any_body_when_it_is_shown_then_its_cause_is_decoded(
    body: Any, cause: str
) -> None:
    (text,) = run(MemoryPlace([letter("m1", body)]), "show")

    assert cause in json.loads(text)["cause"]


def test_given_a_dead_letter_with_tokens_when_it_is_shown_then_the_tokens_are_omitted() -> None:
    (text,) = run(MemoryPlace([letter("m1", {**TASK, "more": [{"token": "tok_secret"}]})]), "show", "m1")

    assert "tok_secret" not in text
    assert "a token of the workflow" not in text
    assert json.loads(text)["body"]["order_id"] == "o1"


SECRETS = '{"task":"ChargePayment","task_token":"AQCE+secret/==","payment":{"token":"AQCE+secret/=="}%s}'


@pytest.mark.parametrize(
    "body",
    [
        f"[{SECRETS % ''}]",
        SECRETS % ',"x":NaN',
        (SECRETS % "").replace(":", " :\n "),
        '{"task_token":"AQCE+secret/==',
        json.dumps({"Type": "Notification", "Message": SECRETS % ""}),
        json.dumps({"Type": "Notification", "Message": SECRETS % ',"x":NaN'}),
        json.dumps(json.dumps({"Message": SECRETS % ""})),
        json.dumps({"Message": SECRETS % ""})[:-1],
        json.dumps({"cause": f"KeyError({json.loads(SECRETS % '')})", "record": {}}),
        '{"a":' + "[" * 300 + SECRETS % "" + "]" * 300 + "}",
        '{"task":"ChargePayment","card":"tok_AQCE_secret"}',
        '{"task":"tok_AQCE_secret","order_id":"tok_AQCE_secret","tok_AQCE_secret":1}',
        "the payment with tok_AQCE_secret failed",
    ],
)
def test_given_a_dead_letter_of_any_form_with_tokens_when_it_is_shown_then_the_tokens_are_omitted(
    body: str,
) -> None:
    lines = [*run(MemoryPlace([letter("m1", body)]), "list"), *run(MemoryPlace([letter("m1", body)]), "show")]

    assert [line for line in lines if "secret" in line] == []
    assert "(left out)" in lines[1]


def test_given_a_dead_letter_with_nested_json_when_it_is_shown_then_only_secrets_are_omitted() -> None:
    said = {"Message": SECRETS % ',"n":12345678901234567890123', "Note": '{"n": 12345678901234567890123}'}
    (text,) = run(MemoryPlace([letter("m1", said)]), "show")

    body = json.loads(text)["body"]
    assert json.loads(body["Message"])["task"] == "ChargePayment"
    assert body["Note"] == said["Note"]


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


HOSTILE = {
    "order id too deep": f'{{"type":"shop.stock.reserved.v1","data":{{"order_id":{deep(300)}}}}}',
    "order id deeper": f'{{"order_id":{deep(1000)}}}',
    "kind deeper": f'{{"task":{deep(1000)}}}',
    "trace deeper": f'{{"task":"X","traceparent":{deep(1000)}}}',
    "cause deeper": f'{{"cause":{deep(1000)}}}',
    "another member too deep": f'{{"type":"x","a":{deep(300)}}}',
    "one level too deep with what is shown beside it": deep(254),
    "too deep in a text": json.dumps({"task": "X", "Message": f'{{"token":"a","a":{deep(300)}}}'}),
    "deeper than any parser": deep(100_000),
    "a fraction": '{"task":"X","order_id":1.5}',
    "a great number": '{"task":"X","order_id":12345678901234567890123}',
    "a map": '{"type":"x","data":{"order_id":{"a":0.1}}}',
    "a long order id": json.dumps({"task": "X" * 200_000, "order_id": "o" * 200_000}),
    "quotes": '"token' + "\\" * 200_000,
    "spaces": '"token"' + " " * 200_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_given_a_hostile_dead_letter_when_the_queue_is_read_then_it_hides_no_other_and_can_be_discarded(
    body: str, account: AwsServer, create_table: Callable[[], str]
) -> None:
    hostile, good = letter("m1", body), letter("m2", TASK)
    listed = [json.loads(line) for line in run(MemoryPlace([hostile, good]), "list")]
    shown = [json.loads(line) for line in run(MemoryPlace([hostile, good]), "show")]

    assert [each["id"] for each in listed] == [each["id"] for each in shown] == ["m1", "m2"]
    assert all(len(str(value)) <= 400 for each in listed for value in each.values())
    assert {type(each["order_id"]) for each in listed} <= {str, type(None)}

    place, discards = MemoryPlace([hostile]), DynamoDiscards(account.clients.dynamodb, create_table())
    assert list(dlq.run(["discard", "m1", "--reason", "poison"], place, discards)) == ["discarded: m1"]
    assert place.deleted == ["m1"]


def test_given_two_dead_letters_when_one_is_redriven_then_the_other_stays_visible() -> None:
    place = MemoryPlace([letter("m1", TASK), letter("m2", TASK)])

    assert run(place, "redrive", "--id", "m2") == ["redriven: m2"]
    assert (place.redriven, place.given_back) == (["m2"], ["m1"])


def test_given_dead_letters_when_redriving_all_fails_at_one_then_the_rest_stays_visible() -> None:
    place = MemoryPlace([letter("m1", TASK), letter("m2", "refused"), letter("m3", TASK)])

    with pytest.raises(ConnectionError):
        run(place, "redrive", "--all")

    assert (place.redriven, place.given_back) == (["m1"], ["m2", "m3"])


def test_given_a_dead_letter_when_it_is_discarded_then_the_reason_is_recorded_before_it_is_deleted() -> None:
    place = MemoryPlace([letter("m1", TASK)])

    assert run(place, "discard", "m1", "--reason", " a test order ") == ["discarded: m1"]
    assert place.notes == [("m1", "a test order")]
    assert (place.deleted, place.given_back) == (["m1"], [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["discard", "m1"],
        ["discard", "m1", "--reason", " "],
        ["discard", "m1", "--reason", "x" * 501],
        ["redrive"],
        ["redrive", "--all", "--id", "m1"],
        ["burn"],
    ],
)
def test_given_invalid_arguments_when_the_command_runs_then_no_dead_letter_changes(
    arguments: list[str],
) -> None:
    place = MemoryPlace([letter("m1", TASK)])

    with pytest.raises(SystemExit):
        run(place, *arguments)

    assert (place.redriven, place.deleted, place.notes) == ([], [], [])


def test_given_an_unknown_message_id_when_dead_letters_are_redriven_then_none_of_them_is() -> None:
    place = MemoryPlace([letter("m1", TASK)])

    with pytest.raises(dlq.NoSuchLetter, match="m2"):
        run(place, "redrive", "--id", "m1", "--id", "m2")

    assert (place.redriven, place.given_back) == ([], ["m1"])


@pytest.fixture
def queues(account: AwsServer) -> tuple[str, str]:
    """URLs of a queue and of its dead letters."""
    return new_queues(account.clients)


def test_given_dead_letters_in_sqs_when_they_are_redriven_then_the_queue_contains_each_with_its_attributes(
    account: AwsServer, queues: tuple[str, str]
) -> None:
    queue, dead = queues
    sqs = account.clients.sqs
    for number in range(25):
        sqs.send_message(
            QueueUrl=dead,
            MessageBody=json.dumps({"n": number}),
            MessageAttributes={"type": {"DataType": "String", "StringValue": "shop.order.shipped.v1"}},
        )
    place = SqsPlace(sqs, [queue])

    assert len(list(dlq.run(["list"], place, None))) == 25  # type: ignore[arg-type]  # nothing is discarded
    redriven = list(dlq.run(["redrive", "--all"], place, None))  # type: ignore[arg-type]  # as above

    assert len(redriven) == 25
    assert place.look() == []
    found: dict[int, Any] = {}

    def all_there() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for each in answer.get("Messages", []):
            found[json.loads(each["Body"])["n"]] = each["MessageAttributes"]["type"]["StringValue"]
        return len(found) == 25

    wait_for(all_there, 30)
    assert set(found.values()) == {"shop.order.shipped.v1"}


@contextmanager
def consuming(queue: SqsQueue, handle: Handler) -> Iterator[None]:
    """A consumer of the queue, as a service runs it."""
    stop = threading.Event()
    thread = threading.Thread(target=Consumer(queue, {"ChargePayment": handle}, wait=1).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


# What kubectl exec does: runs what follows `--` in the environment of the container.
KUBECTL = """#!{python}
import json, os, pathlib, sys
command = sys.argv[sys.argv.index("--") + 1:]
os.execvpe(command[0], command, json.loads(pathlib.Path({environment!r}).read_text()))
"""


@pytest.fixture
def plugin(
    account: AwsServer, queues: tuple[str, str], create_table: Callable[[], str], tmp_path: Path
) -> Plugin:
    """`kubectl shop dlq payment` with a cluster in which the worker's pod has the queue; answers what it prints."""
    container = {
        **account.env,
        "PATH": str(Path(sys.executable).parent),
        "PYTHONPATH": str(ROOT),
        "TABLE": create_table(),
        "TASKS_QUEUE_URL": queues[0],
    }
    (tmp_path / "environment.json").write_text(json.dumps(container))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL.format(python=sys.executable, environment=str(tmp_path / "environment.json")))
    kubectl.chmod(0o755)
    pod = owned("Pod", "payment-consumer-a", owner="uid-payment", of="payment")
    pod["metadata"]["labels"]["app.kubernetes.io/component"] = "worker-consumer"
    pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod["spec"] = {"containers": [{"name": "consumer"}]}
    cluster = Server([shopservice("payment", workers=[{"name": "consumer", "command": ["consumer"]}]), pod])

    def run(*arguments: str) -> list[str]:
        with serving(cluster, tmp_path / "kubeconfig"):
            done = subprocess.run(
                [sys.executable, "-c", COMMAND, "dlq", "payment", *arguments],
                env={
                    "PATH": str(tmp_path),
                    "PYTHONPATH": str(ROOT / "operator"),
                    "KUBECONFIG": str(tmp_path / "kubeconfig"),
                },
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


@pytest.mark.emulator
@pytest.mark.parametrize("account", ["emulator"], indirect=True)
def test_given_a_dead_task_when_its_handler_is_fixed_and_the_task_redriven_then_it_is_done_once(
    account: AwsServer, queues: tuple[str, str], plugin: Plugin
) -> None:
    url, dead = queues
    sqs = account.clients.sqs
    queue, done = SqsQueue(sqs, url), list[str]()

    def waiting() -> int:
        found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def fail(task: Mapping[str, Any]) -> None:
        raise KeyError(task["order_id"])

    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(TASK))
    with consuming(queue, fail):
        wait_for(lambda: waiting() == 1, 60)

    with consuming(queue, lambda task: done.append(task["order_id"])):
        (listed,) = plugin("list")
        letter = json.loads(listed)
        assert (letter["kind"], letter["order_id"]) == ("ChargePayment", "o1")
        assert done == []

        assert plugin("redrive", "--id", letter["id"]) == [f"redriven: {letter['id']}"]
        wait_for(lambda: done, 30)

    assert done == ["o1"]
    assert waiting() == 0
    assert queue.receive(10, 0) == []


def test_given_a_dead_letter_in_sqs_when_it_is_discarded_then_the_table_contains_the_reason_and_not_the_body(
    account: AwsServer, queues: tuple[str, str], create_table: Any
) -> None:
    queue, dead = queues
    account.clients.sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(TASK))
    place, table = SqsPlace(account.clients.sqs, [queue]), create_table()
    (found,) = place.look()
    place.give_back([found])

    list(
        dlq.run(
            ["discard", found.id, "--reason", "a test"],
            place,
            DynamoDiscards(account.clients.dynamodb, table),
        )
    )

    (item,) = account.clients.dynamodb.scan(TableName=table)["Items"]
    kept = dynamo.unpack(item)
    assert (kept["reason"], kept["id"], kept["kind"]) == ("a test", found.id, "ChargePayment")
    assert "tok_secret" not in orjson.dumps(kept).decode()
    assert place.look() == []
