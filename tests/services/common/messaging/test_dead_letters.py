"""Staff lists dead letters without secrets, and redrives them without losing one."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from services.common.messaging.dlq import staff
from services.common.messaging.dlq.letter import LONGEST_EXCERPT, Place
from services.common.messaging.dlq.sqs import SqsPlace
from shopdev.clients import Clients
from shopdev.processes.emulator import AwsServer
from tests.services.accounts import EITHER
from tests.services.common.messaging.dead_letters import TASK, MemoryPlace, letter, new_queues
from tests.waiting import wait_for

Connect = Callable[[], Place]


@pytest.fixture(params=["memory", *EITHER])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Connects to three dead letters of one queue, and none of another."""
    bodies = [json.dumps({**TASK, "order_id": f"o{number}"}) for number in range(3)]
    if request.param == "memory":
        place = MemoryPlace([letter(f"m{number}", body) for number, body in enumerate(bodies)])
        return lambda: place
    clients: Clients = request.getfixturevalue(request.param).clients
    (queue, dead), (empty, _) = new_queues(clients), new_queues(clients)
    for body in bodies:
        clients.sqs.send_message(QueueUrl=dead, MessageBody=body)
    return lambda: SqsPlace(clients.sqs, [empty, queue])


def orders(found: staff.Listed) -> set[Any]:
    return {each["order_id"] for each in found.letters}


def test_given_dead_letters_when_staff_lists_them_twice_then_each_list_contains_all_and_their_number(
    connect: Connect,
) -> None:
    for _ in range(2):
        found = staff.listed(connect(), 20)

        assert orders(found) == {"o0", "o1", "o2"}
        assert found.total == 3
        assert "tok_secret" not in orjson.dumps(found.letters).decode()
        assert "a token of the workflow" not in orjson.dumps(found.letters).decode()


def test_given_more_dead_letters_than_the_limit_when_they_are_listed_then_the_list_is_shorter_than_the_total(
    connect: Connect,
) -> None:
    found = staff.listed(connect(), 2)

    assert (len(found.letters), found.total) == (2, 3)


def test_given_dead_letters_when_one_is_redriven_twice_then_it_is_missing_the_second_time_and_the_others_stay(
    connect: Connect,
) -> None:
    chosen = staff.listed(connect(), 20).letters[0]

    first = staff.redrive(connect(), [chosen["id"]], "olga")
    again = staff.redrive(connect(), [chosen["id"]], "olga")

    assert (first.ids, first.missing) == ([chosen["id"]], [])
    assert (again.ids, again.missing) == ([], [chosen["id"]])
    assert orders(staff.listed(connect(), 20)) == {"o0", "o1", "o2"} - {chosen["order_id"]}


def test_given_dead_letters_when_all_are_redriven_then_none_is_left(connect: Connect) -> None:
    done = staff.redrive_all(connect(), "olga")

    assert (len(set(done.ids)), done.missing) == (3, [])
    assert staff.listed(connect(), 20) == staff.Listed([], 0)


def test_given_a_dead_letter_that_another_request_reads_when_it_is_redriven_then_it_is_missing_and_counted(
    connect: Connect,
) -> None:
    (read, *_) = connect().glance(1).letters

    assert staff.redrive(connect(), [read.id], "olga").missing == [read.id]
    assert staff.listed(connect(), 20).total == 3


def test_given_a_redriven_dead_letter_in_sqs_then_its_queue_contains_it(
    account: AwsServer,
) -> None:
    queue, dead = new_queues(account.clients)
    sent = account.clients.sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(TASK))["MessageId"]
    sqs = account.clients.sqs

    assert staff.redrive(SqsPlace(sqs, [queue]), [sent], "olga").ids == [sent]

    received: list[str] = []

    def arrived() -> bool:
        received.extend(
            each["Body"]
            for each in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        )
        return bool(received)

    wait_for(arrived, 30)
    assert [json.loads(body) for body in received] == [TASK]


def test_given_many_dead_letters_in_sqs_when_one_is_searched_then_the_others_are_visible_at_once(
    account: AwsServer,
) -> None:
    queue, dead = new_queues(account.clients)
    sqs = account.clients.sqs
    for number in range(25):
        sqs.send_message(QueueUrl=dead, MessageBody=json.dumps({"task": "X", "order_id": str(number)}))
    place = SqsPlace(sqs, [queue])

    assert place.find({"none"}) == []
    assert len(place.look()) == 25


def test_given_dead_letters_when_redriving_fails_at_one_then_that_and_the_rest_stay_visible() -> None:
    place = MemoryPlace([letter("m1", TASK), letter("m2", "refused"), letter("m3", TASK)])

    with pytest.raises(ConnectionError):
        staff.redrive_all(place, "olga")

    assert (place.redriven, place.given_back, place.hidden) == (["m1"], ["m2", "m3"], {"m1"})


def test_given_a_redriven_dead_letter_then_the_log_contains_who_did_it_and_no_content() -> None:
    place = MemoryPlace([letter("m1", TASK)])

    with capture_logs() as lines:
        staff.redrive(place, ["m1"], "olga")

    (line,) = [each for each in lines if each["event"] == "dead_letter_redriven"]
    assert (line["by"], line["message_id"], line["kind"]) == ("olga", "m1", "ChargePayment")
    assert "tok_secret" not in repr(lines)


@pytest.mark.parametrize("body", ["x" * 100_000, json.dumps(["y" * 100_000]), "[" * 400 + "]" * 400])
def test_given_a_long_or_deep_dead_letter_when_it_is_listed_then_its_body_is_short(body: str) -> None:
    (shown,) = staff.listed(MemoryPlace([letter("m1", body)]), 20).letters

    assert 0 < len(shown["body"]) <= LONGEST_EXCERPT + 1
