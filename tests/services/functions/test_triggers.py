"""The functions with event triggers, run from their zips: uploads, changes of stock, and requests of partners."""

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import httpx
import pytest

from services.common.aws.outbox import DynamoOutbox
from services.partners import handlers
from services.partners.dynamo import DynamoKeys
from services.product.domain import Item, Move, Reservation, Shelf, State
from services.product.dynamo import DynamoCatalogue, DynamoStock
from services.product.levels import DynamoLevels
from shopdev.aws_environment import EMULATOR_KEY, REGION
from shopdev.cloudformation import stacks
from tests.services.functions.conftest import Deployed
from tests.services.product.world import NOW
from tests.waiting import wait_for

pytestmark = pytest.mark.emulator

HEADER = "sku,name,category,amount,currency,stock\n"


def catalogue(deployed: Deployed) -> DynamoCatalogue:
    client, table = deployed.emulator.clients.dynamodb, deployed.outputs["product"]["Table"]
    return DynamoCatalogue(client, table, DynamoOutbox(client, table))


def upload(deployed: Deployed, key: str, content: str) -> None:
    bucket = deployed.outputs["functions-catalogue"]["BucketName"]
    deployed.emulator.clients.s3.put_object(Bucket=bucket, Key=key, Body=content.encode())


def report(deployed: Deployed, key: str) -> dict[str, Any]:
    """The report of a file, after the import is complete."""
    s3, bucket = deployed.emulator.clients.s3, deployed.outputs["functions-catalogue"]["BucketName"]

    def found() -> dict[str, Any]:
        try:
            read = s3.get_object(Bucket=bucket, Key=f"{key}.report.json")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return {}
        loaded: dict[str, Any] = json.loads(read)
        return loaded if loaded["state"] != "IMPORTING" else {}

    return wait_for(found, 60)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("new/spring.csv", f"{HEADER}UP-1,Uploaded Tea,tea,199,EUR,40\nUP-2,,tea,1,EUR,1\n"),
        (
            "new/spring.jsonl",
            '{"sku":"UP-3","name":"Tea","category":"tea","price":{"amount":5,"currency":"EUR"},"stock":40}\n{\n',
        ),
    ],
)
def test_given_a_catalog_file_when_it_is_uploaded_then_products_are_stored_and_the_invalid_line_is_reported(
    deployed: Deployed, key: str, content: str
) -> None:
    upload(deployed, key, content)

    found = report(deployed, key)

    assert (found["state"], found["written"], found["refused"]) == ("DONE", 1, 1)
    assert found["problems"][0]["line"] == content.count("\n")
    sku = "UP-1" if key.endswith("csv") else "UP-3"
    stocked = catalogue(deployed).find(sku)
    assert stocked
    assert stocked.inventory.available == 40


def test_given_a_file_of_another_format_when_it_is_uploaded_then_no_import_starts(deployed: Deployed) -> None:
    upload(deployed, "notes.txt", "nothing")
    upload(deployed, "after.csv", HEADER)

    report(deployed, "after.csv")

    bucket = deployed.outputs["functions-catalogue"]["BucketName"]
    listed = deployed.emulator.clients.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert "notes.txt.report.json" not in {each["Key"] for each in listed}
    queue = deployed.outputs["functions-catalogue"]["UploadsQueueUrl"]
    attributes = deployed.emulator.clients.sqs.get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


@pytest.fixture
def facts(deployed: Deployed) -> Iterator[str]:
    """URL of a queue that facts of low stock arrive at."""
    clients = deployed.emulator.clients
    queue = clients.sqs.create_queue(QueueName=f"low-{uuid.uuid4()}")["QueueUrl"]
    arn = clients.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    for topic in topics(deployed):
        clients.sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true", "FilterPolicy": '{"type":["shop.stock.low.v1"]}'},
        )
    yield queue
    clients.sqs.delete_queue(QueueUrl=queue)


def topics(deployed: Deployed) -> set[str]:
    """Where facts are published."""
    return {arn for name, arn in deployed.outputs["events"].items() if name.endswith("TopicArn")}


def test_given_stock_near_the_threshold_when_it_is_reserved_until_it_is_low_then_one_event_is_published(
    deployed: Deployed, facts: str
) -> None:
    upload(deployed, "low.csv", f"{HEADER}LOW-1,Last Cups,cups,790,EUR,12\n")
    report(deployed, "low.csv")
    client, table = deployed.emulator.clients.dynamodb, deployed.outputs["product"]["Table"]
    stock = DynamoStock(client, table, DynamoOutbox(client, table))
    levels = DynamoLevels(client, deployed.outputs["functions-catalogue"]["LevelsTable"])
    for _ in range(4):  # 11, 10, 9, 8
        items = (Item("LOW-1", 1),)
        reservation = Reservation(f"low-{uuid.uuid4()}", State.RESERVED, items, NOW)
        stock.save(reservation, None, Move(items, Shelf.AVAILABLE, Shelf.RESERVED), None)

    def counted() -> bool:
        known = levels.find("LOW-1")
        return known is not None and known.available == 8 and known.untold is None

    wait_for(counted, 60)
    told: list[dict[str, Any]] = []

    def arrived() -> bool:
        answer = deployed.emulator.clients.sqs.receive_message(QueueUrl=facts, WaitTimeSeconds=1)
        told.extend(json.loads(each["Body"]) for each in answer.get("Messages", []))
        return any(each["subject"] == "LOW-1" for each in told)

    wait_for(arrived, 30)
    (fact,) = (each for each in told if each["subject"] == "LOW-1")
    assert fact["data"] == {"sku": "LOW-1", "available": 10, "threshold": 10}


def test_given_an_unreadable_stream_record_when_it_is_handled_then_it_is_set_aside_and_the_next_is_counted(
    deployed: Deployed,
) -> None:
    client, table = deployed.emulator.clients.dynamodb, deployed.outputs["product"]["Table"]
    key = {"pk": {"S": "PRODUCT#POISON"}, "sk": {"S": "PRODUCT"}}
    client.put_item(TableName=table, Item={**key, "available": {"S": "many"}})
    client.delete_item(TableName=table, Key=key)
    upload(deployed, "next.csv", f"{HEADER}NEXT-1,Cup,cups,790,EUR,99\n")
    levels = DynamoLevels(client, deployed.outputs["functions-catalogue"]["LevelsTable"])
    queue = deployed.outputs["functions-catalogue"]["ChangesDeadLettersUrl"]

    wait_for(lambda: levels.find("NEXT-1"), 60)
    answer = wait_for(
        lambda: deployed.emulator.clients.sqs.receive_message(QueueUrl=queue).get("Messages"), 30
    )

    assert json.loads(answer[0]["Body"])["record"]["dynamodb"]["Keys"] == key


# ---- a partner's request


@dataclass
class Echo:
    """A service that records the headers of its requests."""

    url: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    found = Echo()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Partners:
    """The storage of keys, and their hash secret."""

    http: httpx.Client
    keys: DynamoKeys
    pepper: bytes
    gateway_secret: str

    def issue(self, *scopes: str) -> tuple[str, str]:
        """A new key, and its id."""
        key, record = handlers.issue("acme", scopes, keys=self.keys, pepper=self.pepper)
        return key, record.id

    def ask(self, key: str | None, **headers: str) -> int:
        """The status of the answer to a request."""
        shown = {"X-Api-Key": key} if key is not None else {}
        return self.http.get("/orders", headers={**shown, **headers}).status_code


def secret_value(deployed: Deployed, output: str) -> str:
    client = boto3.client(
        "secretsmanager",
        endpoint_url=deployed.emulator.endpoint,
        region_name=REGION,
        aws_access_key_id=EMULATOR_KEY,
        aws_secret_access_key=EMULATOR_KEY,
    )
    value: str = client.get_secret_value(SecretId=deployed.outputs["identity"][output])["SecretString"]
    return value


@pytest.fixture(scope="module")
def partners(deployed: Deployed, echo: Echo) -> Iterator[Partners]:
    emulator = deployed.emulator
    values = {"PartnerApi": "true", "PartnerCacheSeconds": "1", "BackendUrl": echo.url}
    # Without the functions that it could also lead to: they are deployed already.
    made = emulator.deploy(deployed.prefix, values, ["api"])["api"]
    secret = secret_value(deployed, "PartnerPepperArn")
    gateway = secret_value(deployed, "GatewaySecretArn")
    keys = DynamoKeys(emulator.clients.dynamodb, deployed.outputs["identity"]["PartnerKeysTable"])
    with httpx.Client(base_url=stacks.partner_api_url(made, emulator.endpoint), timeout=30) as http:
        yield Partners(http, keys, secret.encode(), gateway)


def test_given_a_valid_partner_key_when_a_request_is_sent_then_the_gateway_adds_the_partner_and_its_scopes(
    partners: Partners, echo: Echo
) -> None:
    key, _ = partners.issue("orders:read")

    assert partners.ask(key) == 200

    told = echo.seen[-1]
    assert (told["x-shop-partner"], told["x-shop-scopes"]) == ("acme", "orders:read")
    assert told["x-shop-gateway"] == partners.gateway_secret
    assert not {"x-api-key", "x-shop-caller"} & told.keys()


def test_given_forged_partner_headers_when_a_request_is_sent_with_a_key_then_the_gateway_overwrites_them(
    partners: Partners, echo: Echo
) -> None:
    key, _ = partners.issue("orders:read")

    partners.ask(
        key,
        **{"X-Shop-Partner": "other", "X-Shop-Scopes": "orders:write", "X-Shop-Caller": "arn:machine"},
    )

    told = echo.seen[-1]
    assert (told["x-shop-partner"], told["x-shop-scopes"]) == ("acme", "orders:read")
    assert "x-shop-caller" not in told


@pytest.mark.parametrize(
    ("shown", "status"), [(None, 401), ("guessed", 403), ("shop_" + "0" * 20 + "_x", 403)]
)
def test_given_no_valid_key_when_a_request_is_sent_then_it_does_not_reach_a_service(
    partners: Partners, echo: Echo, shown: str | None, status: int
) -> None:
    before = len(echo.seen)

    assert partners.ask(shown) == status
    assert len(echo.seen) == before


def test_given_a_revoked_key_when_the_cached_authorization_expires_then_requests_with_it_are_rejected(
    partners: Partners,
) -> None:
    key, key_id = partners.issue("orders:read")
    assert partners.ask(key) == 200

    handlers.revoke(key_id, keys=partners.keys)

    wait_for(lambda: partners.ask(key) == 403, 15)
    assert partners.ask(key) == 403
