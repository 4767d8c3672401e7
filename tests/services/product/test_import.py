"""The import of a catalog: rows are validated one by one, and nothing is lost or applied twice."""

import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

import services.product
from services.common.aws import dynamo
from services.common.aws.outbox import DynamoOutbox
from services.common.messaging.outbox import OutboxRecord
from services.common.values import clock
from services.common.values.errors import UnreadableRow
from services.common.values.money import Money
from services.product import import_function, rows, seed
from services.product.domain import Product, Stocked
from services.product.dynamo import DynamoCatalogue
from services.product.import_report import Problem, Report, Upload
from services.product.importing import LARGEST_FILE, MOST_PROBLEMS, REPORTED_EVERY, import_catalogue
from services.product.ports import Shelves, Superseded
from services.product.rows import Line, RowRefused, UnreadableFile
from services.product.s3 import S3Uploads
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import AwsServer
from tests.services.product.fakes import MemoryShelves, MemoryUploads
from tests.services.product.world import FIRST, NOW, product, told

HEADER = "sku,name,category,amount,currency,stock\n"
CONTRACT = Path(services.product.__file__).parent / "contracts" / "shop.product.upserted.v1.json"


def upload(content: bytes, key: str = "spring.csv") -> Upload:
    return Upload("bucket", key, "etag", len(content), NOW)


def csv(*lines: str) -> bytes:
    return (HEADER + "".join(f"{line}\n" for line in lines)).encode()


def many(count: int) -> bytes:
    return csv(*(f"SKU-{number},Tea {number},tea,{number},EUR,5" for number in range(count)))


def run(content: bytes, key: str = "spring.csv", shelves: MemoryShelves | None = None) -> Report:
    # The version of a product is a time.
    return import_catalogue(
        upload(content, key),
        uploads=MemoryUploads(content),
        shelves=shelves or MemoryShelves(),
        now=lambda: NOW,
    )


def found(shelves: Shelves, sku: str) -> Stocked:
    stocked = shelves.find(sku)
    assert stocked
    return stocked


# ---- lines and rows


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_given_a_stream_when_it_is_split_into_chunks_of_any_size_then_lines_and_offsets_are_the_same(
    size: int,
) -> None:
    content = b"one\r\n\ntwo\nthree"

    found = list(rows.lines(content[start : start + size] for start in range(0, len(content), size)))

    assert found == [Line(1, b"one", 5), Line(2, b"", 6), Line(3, b"two", 10), Line(4, b"three", 15)]


@pytest.mark.parametrize("size", [100, 5000, 100_000])
def test_given_a_line_over_the_limit_when_lines_are_read_then_only_that_line_is_omitted(size: int) -> None:
    content = b"a\n" + b"x" * 50_000 + b"\nb\n"

    found = list(rows.lines(content[start : start + size] for start in range(0, len(content), size)))

    assert found == [Line(1, b"a", 2), Line(2, None, 50_003), Line(3, b"b", 50_005)]


def test_given_an_endless_line_when_lines_are_read_then_memory_stays_bounded() -> None:
    tracemalloc.start()
    list(rows.lines(b"x" * 65_536 for _ in range(500)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 1_000_000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A,Tea,tea,1,EUR", "5 values"),
        ('A,"Tea,tea,1,EUR,5', "invalid CSV"),
        (",Tea,tea,1,EUR,5", "sku"),
        ("A B,Tea,tea,1,EUR,5", "sku"),
        (f"{'A' * 65},Tea,tea,1,EUR,5", "sku"),
        ("A,,tea,1,EUR,5", "name"),
        (f"A,{'x' * 201},tea,1,EUR,5", "name"),
        ("A,Te\ta,tea,1,EUR,5", "name"),
        ("A,Tea,Tea time,1,EUR,5", "category"),
        ("A,Tea,tea,1.99,EUR,5", "price.amount"),
        ("A,Tea,tea,-1,EUR,5", "price.amount"),
        ("A,Tea,tea,1e3,EUR,5", "price.amount"),
        ("A,Tea,tea,99999999999999999999,EUR,5", "price.amount"),
        ("A,Tea,tea,1,euro,5", "price.currency"),
        ("A,Tea,tea,1,EUR,", "stock"),
        ("A,Tea,tea,1,EUR,1000001", "stock"),
    ],
)
def test_given_a_csv_row_that_violates_a_rule_when_it_is_parsed_then_the_error_names_the_field(
    text: str, problem: str
) -> None:
    with pytest.raises(RowRefused, match=problem):
        rows.csv_row(Line(2, text.encode(), 0), rows.COLUMNS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "invalid JSON"),
        ("[]", "dictionary"),
        ('{"sku":"A"}', "name"),
        (
            '{"sku":"A","name":"T","category":"tea","price":{"amount":true,"currency":"EUR"},"stock":1}',
            "amount",
        ),
        (
            '{"sku":"A","name":"T","category":"tea","price":{"amount":1,"currency":"EUR"},"stock":1,"x":1}',
            "x",
        ),
    ],
)
def test_given_a_json_row_that_violates_a_rule_when_it_is_parsed_then_the_error_names_the_field(
    text: str, problem: str
) -> None:
    with pytest.raises(RowRefused, match=problem):
        rows.jsonl_row(Line(2, text.encode(), 0))


def test_given_a_row_that_is_not_utf_8_when_the_file_is_imported_then_only_that_row_is_rejected() -> None:
    report = run(csv("A,Tea,tea,1,EUR,5") + b"B,T\xe9a,tea,1,EUR,5\n" + b"C,Tea,tea,1,EUR,5\n")

    assert (report.state, report.written, report.refused) == ("DONE", 2, 1)
    assert [problem.line for problem in report.problems] == [3]


@pytest.mark.parametrize(
    ("content", "key", "error"),
    [
        (b"", "a.csv", "empty"),
        (b"sku,name\nA,B\n", "a.csv", "header"),
        (HEADER.encode().replace(b"stock", b"sku"), "a.csv", "header"),
        (b"\xff\xfe", "a.csv", "header"),
        (b"{}", "a.txt", "must end in .csv or .jsonl"),
    ],
)
def test_given_an_unreadable_file_when_it_is_imported_then_the_report_contains_the_cause(
    content: bytes, key: str, error: str
) -> None:
    report = run(content, key)

    assert report.state == "FAILED"
    assert error in (report.error or "")


def test_given_a_file_over_the_size_limit_when_it_is_imported_then_it_is_not_read() -> None:
    uploads = MemoryUploads(b"")
    uploads.read = None  # type: ignore[assignment,method-assign]  # or this would call it

    report = import_catalogue(
        replace(upload(b""), size=LARGEST_FILE + 1), uploads=uploads, shelves=MemoryShelves()
    )

    assert report.state == "FAILED"


def test_given_reordered_columns_a_byte_order_mark_and_crlf_when_a_file_is_imported_then_its_rows_are_written() -> (
    None
):
    shelves = MemoryShelves()
    content = b'\xef\xbb\xbfStock,Currency,Amount,Category,Name,SKU\r\n5,EUR,1,tea,"Tea, green",A\r\n\r\n'

    report = run(content, shelves=shelves)

    assert (report.state, report.written, report.refused) == ("DONE", 1, 0)
    assert found(shelves, "A").product.name == "Tea, green"


# ---- the import


def test_given_the_same_rows_as_csv_and_json_lines_when_they_are_imported_then_catalog_and_events_are_equal() -> (
    None
):
    both = MemoryShelves(), MemoryShelves()
    line = {
        "sku": "A",
        "name": "Tea",
        "category": "tea",
        "price": {"amount": 199, "currency": "EUR"},
        "stock": 5,
    }
    run(b"\n" + orjson.dumps(line) + b"\n", "a.jsonl", both[0])
    run(csv("A,Tea,tea,199,EUR,5"), "a.csv", both[1])

    first, second = (found(each, "A") for each in both)
    assert first == second
    assert (first.product.price, first.inventory.available) == (Money(199, "EUR"), 5)
    (fact,) = told(both[0].outbox)
    jsonschema.validate(fact.to_dict(), orjson.loads(CONTRACT.read_bytes()))


def test_given_valid_and_invalid_rows_when_they_are_imported_then_the_report_names_the_invalid_lines() -> (
    None
):
    shelves = MemoryShelves()

    report = run(csv("A,Tea,tea,1,EUR,5", "B,,tea,x,EUR,5", "", "C,Tea,tea,1,EUR,5"), shelves=shelves)

    assert (report.state, report.line, report.written, report.refused) == ("DONE", 5, 2, 1)
    assert [(problem.line, problem.field) for problem in report.problems] == [
        (3, "name"),
        (3, "price.amount"),
    ]
    assert shelves.find("B") is None


def test_given_10000_invalid_rows_when_they_are_imported_then_the_report_stays_small_and_its_count_is_right() -> (
    None
):
    uploads = MemoryUploads(csv(*(["bad"] * 10_000)))

    report = import_catalogue(upload(uploads.content), uploads=uploads, shelves=MemoryShelves())

    assert (report.refused, len(report.problems)) == (10_000, MOST_PROBLEMS)
    assert len(uploads.saved) >= 10_000 // REPORTED_EVERY, "it can be continued"


def test_given_an_imported_file_when_it_is_imported_again_then_nothing_is_written_or_published() -> None:
    shelves = MemoryShelves()
    run(many(50), shelves=shelves)
    before, version = len(told(shelves.outbox)), found(shelves, "SKU-1").product.version

    again = run(many(50), shelves=shelves)

    assert (again.written, again.unchanged) == (0, 50)
    assert len(told(shelves.outbox)) == before
    assert found(shelves, "SKU-1").product.version == version


def test_given_a_product_with_stock_when_it_is_imported_again_then_its_stock_stays_and_its_version_increases() -> (
    None
):
    shelves = MemoryShelves()
    run(csv("A,Tea,tea,1,EUR,5"), shelves=shelves)
    version = found(shelves, "A").product.version
    content = csv("A,Tea,tea,2,EUR,900")

    import_catalogue(
        replace(upload(content), at=NOW + timedelta(hours=1)), uploads=MemoryUploads(content), shelves=shelves
    )

    stocked = found(shelves, "A")
    assert stocked.inventory.available == 5
    assert stocked.product.price.amount == 2
    assert stocked.product.version > version


def test_given_two_rows_of_one_product_when_they_are_imported_then_the_later_row_applies() -> None:
    shelves = MemoryShelves()

    report = run(csv("A,Tea,tea,1,EUR,5", "B,Tea,tea,1,EUR,5", "A,Tea,tea,2,EUR,5"), shelves=shelves)

    assert report.written == 3
    assert found(shelves, "A").product.price.amount == 2


def test_given_an_imported_later_upload_when_an_earlier_one_is_imported_then_it_changes_nothing() -> None:
    shelves = MemoryShelves()
    late, early = csv("A,Tea,tea,2,EUR,5"), csv("A,Tea,tea,1,EUR,5")
    import_catalogue(
        replace(upload(late), at=NOW + timedelta(seconds=1)), uploads=MemoryUploads(late), shelves=shelves
    )

    report = run(early, shelves=shelves)

    assert (report.written, report.overtaken) == (0, 1)
    assert found(shelves, "A").product.price.amount == 2


UPLOADS = st.lists(
    st.dictionaries(st.sampled_from("ABC"), st.integers(1, 2), min_size=1), min_size=1, max_size=5
)


@given_any(data=st.data(), uploaded=UPLOADS, moving=st.sets(st.sampled_from("ABC")))
def test_given_several_uploads_when_they_are_imported_in_any_order_then_the_latest_of_each_product_applies(
    data: st.DataObject, uploaded: list[dict[str, int]], moving: set[str]
) -> None:
    shelves = MemoryShelves(moving=moving)
    files = [csv(*(f"{sku},Tea,tea,{price},EUR,5" for sku, price in prices.items())) for prices in uploaded]

    for number in data.draw(st.permutations(range(len(files)))):
        given = replace(upload(files[number]), at=NOW + timedelta(hours=number))
        import_catalogue(given, uploads=MemoryUploads(files[number]), shelves=shelves)

    latest = {sku: price for prices in uploaded for sku, price in prices.items()}
    assert {sku: found(shelves, sku).product.price.amount for sku in latest} == latest


def test_given_a_row_that_changes_nothing_when_an_earlier_upload_follows_then_the_earlier_one_is_overtaken(
    account: AwsServer, create_table: Callable[[], str]
) -> None:
    client, table = account.clients.dynamodb, create_table()
    outbox = DynamoOutbox(client, table)
    shelves = DynamoCatalogue(client, table, outbox)
    shelves.put(replace(product("A", "Tea", "tea"), price=Money(1000, "EUR")), 5, None)
    spring, summer = csv("A,Tea,tea,2000,EUR,5"), csv("A,Tea,tea,1000,EUR,5")
    uploaded = {NOW + timedelta(hours=2): summer, NOW + timedelta(hours=1): spring}

    reports = [
        import_catalogue(replace(upload(content), at=at), uploads=MemoryUploads(content), shelves=shelves)
        for at, content in uploaded.items()
    ]

    assert [(report.written, report.unchanged, report.overtaken) for report in reports] == [
        (0, 1, 0),
        (0, 0, 1),
    ]
    assert found(shelves, "A").product.price.amount == 1000
    assert found(shelves, "A").product.version == FIRST
    assert told(outbox) == []


@pytest.mark.parametrize("wrong_by", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
@pytest.mark.parametrize(("uploaded_after", "written"), [(-2, 0), (2, 1)])
def test_given_a_seed_by_a_wrong_clock_when_an_upload_is_imported_then_the_later_of_the_two_applies(
    wrong_by: timedelta, uploaded_after: int, written: int
) -> None:
    at = clock.now() - wrong_by
    shelves = MemoryShelves(now=lambda: at)
    seed.fill(shelves)
    seeded, _ = next(seed.entries(at))
    content = csv(f"{seeded.sku},Tea,tea,1,EUR,5")

    report = import_catalogue(
        replace(upload(content), at=at + timedelta(seconds=uploaded_after)),
        uploads=MemoryUploads(content),
        shelves=shelves,
    )

    assert (report.written, report.overtaken) == (written, 1 - written)


def test_given_a_product_with_moving_stock_when_its_batch_fails_then_each_product_is_written_separately() -> (
    None
):
    shelves = MemoryShelves(moving={"SKU-7"})

    report = run(many(60), shelves=shelves)

    assert report.written == 60
    assert {fact.subject for fact in told(shelves.outbox)} == {f"SKU-{number}" for number in range(60)}


def test_given_no_time_left_when_an_import_stops_then_the_next_call_continues_from_there() -> None:
    content, shelves = many(500), MemoryShelves()
    uploads, calls = MemoryUploads(content), 0

    while True:
        calls += 1
        report = import_catalogue(upload(content), uploads=uploads, shelves=shelves, may_go_on=lambda: False)
        if report.state == "DONE":
            break
        assert calls < 20

    assert calls > 4
    assert (report.written, report.unchanged, report.line) == (500, 0, 501)


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_given_a_crash_when_the_message_is_redelivered_then_every_row_is_written_and_published_once(
    crash_at: int,
) -> None:
    content, shelves = many(10_000), MemoryShelves()
    uploads = MemoryUploads(content)
    save, saves = uploads.save, 0

    def crashing(*arguments: Any) -> str:
        nonlocal saves
        saves += 1
        if saves == crash_at:
            raise ConnectionError
        return save(*arguments)

    uploads.save = crashing  # type: ignore[method-assign,assignment]

    with pytest.raises(ConnectionError):
        import_catalogue(upload(content), uploads=uploads, shelves=shelves)
    report = import_catalogue(upload(content), uploads=uploads, shelves=shelves)

    assert report.state == "DONE"
    facts = [message for each in shelves.outbox.records.values() for message in each.messages]
    assert len(facts) == 10_000
    assert report.written + report.unchanged == 10_000


def test_given_a_completed_import_when_its_message_is_redelivered_then_nothing_is_done() -> None:
    content = many(10)
    uploads = MemoryUploads(content)
    first = import_catalogue(upload(content), uploads=uploads, shelves=MemoryShelves())
    uploads.superseded = True  # or a read would show

    assert import_catalogue(upload(content), uploads=uploads, shelves=MemoryShelves()) == first


# ---- the function


class Shortly:
    """The dependencies of a function whose queue is a list."""

    def __init__(self, content: bytes) -> None:
        self.uploads, self.shelves = MemoryUploads(content), MemoryShelves()
        self.queue: list[str] = []
        self.dependencies = import_function.Dependencies(self.uploads, self.shelves, self.queue.append)


def message(content: bytes, key: str = "spring+sale%C3%A9.csv", event: str = "ObjectCreated:Put") -> str:
    record = {
        "eventName": event,
        "eventTime": "2026-01-31T12:00:00.000Z",
        "s3": {
            "bucket": {"name": "bucket"},
            "object": {"key": key, "eTag": "etag", "size": len(content)},
        },
    }
    return orjson.dumps({"Records": [record]}).decode()


def batch(body: str) -> dict[str, Any]:
    return {"Records": [{"messageId": "m1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}]}


def test_given_little_time_per_call_when_a_file_is_imported_then_messages_continue_the_import_to_its_end() -> (
    None
):
    content = many(300)
    given = Shortly(content)
    given.queue.append(message(content))

    calls = 0
    while given.queue:
        calls += 1
        answer = import_function.work(batch(given.queue.pop()), given.dependencies, lambda: 1000)
        assert answer == {"batchItemFailures": []}

    assert calls > 2
    assert given.uploads.saved[-1].written == 300


@dataclass
class Streamed(MemoryUploads):
    """A large file that is made as it is read.

    Attributes:
        rows: it has beside the header, each of a product of its own.
        clock: tells how many milliseconds the function has left.
        read_to: how far it was read, in bytes.
    """

    rows: int
    clock: "Countdown"
    read_to: int = 0

    def __post_init__(self) -> None:
        super().__init__(b"")

    @property
    def size(self) -> int:
        return len(HEADER) + self.rows * LINE

    def read(self, upload: Upload, offset: int) -> Iterator[bytes]:  # noqa: ARG002 - as Uploads.read
        self.clock.spend(S3_MILLISECONDS)
        skipped, first = 0, 0
        if offset >= len(HEADER):
            first, skipped = divmod(offset - len(HEADER), LINE)
        else:
            yield HEADER.encode()[offset:]
        self.read_to = offset
        for start in range(first, self.rows, 1000):
            chunk = b"".join(line(number) for number in range(start, min(start + 1000, self.rows)))[skipped:]
            self.read_to += len(chunk)
            yield chunk
            skipped = 0

    def save(self, upload: Upload, report: Report, version: str) -> str:
        self.clock.spend(2 * S3_MILLISECONDS)
        return super().save(upload, report, version)


@dataclass
class Counted(MemoryShelves):
    """A catalogue that only counts what is written, and takes its time.

    Attributes:
        clock: as for `Streamed`.
        uploads: where they come from.
        written: how often each product was, by its number.
        furthest: bytes that were read and not yet written, at most.
    """

    uploads: Streamed
    clock: "Countdown"
    written: bytearray
    furthest: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def find_all(self, skus: Sequence[str]) -> Mapping[str, Stocked | UnreadableRow]:  # noqa: ARG002 - as Shelves.find_all
        self.clock.spend(READ_MILLISECONDS)
        return {}

    def put_all(self, batches: Sequence[tuple[Mapping[Product, int], OutboxRecord | None]]) -> list[bool]:
        self.clock.spend(WRITE_MILLISECONDS)
        for products, _ in batches:
            for each in products:
                self.written[int(each.sku.removeprefix("SKU-"))] += 1
        self.furthest = max(self.furthest, self.uploads.read_to - len(HEADER) - sum(self.written) * LINE)
        return [True] * len(batches)


class Countdown:
    """The time that a call of the function has left."""

    def __init__(self) -> None:
        self.left, self.least = 0, FUNCTION["Timeout"] * 1000

    def begin(self) -> None:
        self.left = FUNCTION["Timeout"] * 1000

    def spend(self, milliseconds: int) -> None:
        self.left -= milliseconds
        self.least = min(self.least, self.left)


FUNCTION = stacks.document("functions-catalogue")["Resources"]["ImportCatalogue"]["Properties"]
# Slower than DynamoDB and S3 usually are: a read of 96 products, four transactions at a time, one request to S3.
READ_MILLISECONDS, WRITE_MILLISECONDS, S3_MILLISECONDS = 100, 500, 200


def line(number: int) -> bytes:
    return b"SKU-%06d,Tea number %06d,tea,%04d,EUR,5\n" % (number, number, number % 9999)


LINE = len(line(0))


@pytest.mark.slow
def test_given_100000_rows_when_they_are_imported_then_every_call_ends_in_time_and_each_row_is_written_once() -> (
    None
):
    clock = Countdown()
    uploads = Streamed(100_000, clock)
    shelves = Counted(uploads, clock, bytearray(uploads.rows))
    queue = [message(b"")]
    queue[0] = queue[0].replace('"size":0', f'"size":{uploads.size}')
    dependencies, calls = import_function.Dependencies(uploads, shelves, queue.append), 0

    while queue:
        clock.begin()
        calls += 1
        assert import_function.work(batch(queue.pop()), dependencies, lambda: clock.left) == {
            "batchItemFailures": []
        }

    assert uploads.saved[-1].state == "DONE"
    assert uploads.saved[-1].written == uploads.rows
    assert set(shelves.written) == {1}, "what a call has done is not done again by the next"
    assert calls == 3, "a call uses the time that it has"
    assert clock.least > 15_000, "the report is written long before Lambda ends the call"
    assert shelves.furthest < 1024 * 1024, "what is read and not yet written is what memory holds"


def test_given_a_key_with_spaces_and_accents_when_an_s3_event_is_parsed_then_the_key_is_decoded() -> None:
    (found,) = import_function.uploads(orjson.loads(message(b"")))

    assert (found.key, found.at) == ("spring saleé.csv", NOW)


@pytest.mark.parametrize("body", ['{"Event":"s3:TestEvent"}', message(b"", event="ObjectRemoved:Delete")])
def test_given_a_message_without_an_upload_when_it_is_handled_then_it_is_completed_without_an_import(
    body: str,
) -> None:
    given = Shortly(b"")

    assert import_function.work(batch(body), given.dependencies, lambda: 10**6) == {"batchItemFailures": []}
    assert not given.uploads.saved


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Records":[{}]}'])
def test_given_a_message_that_is_not_from_s3_when_it_is_handled_then_it_is_returned_to_the_queue(
    body: str,
) -> None:
    answer = import_function.work(batch(body), Shortly(b"").dependencies, lambda: 10**6)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_given_a_replaced_file_when_its_message_is_handled_then_the_message_is_completed() -> None:
    content = many(3)
    given = Shortly(content)
    given.uploads.superseded = True

    assert import_function.work(batch(message(content)), given.dependencies, lambda: 10**6) == {
        "batchItemFailures": []
    }


def test_given_a_message_of_two_files_when_one_was_replaced_then_the_other_is_imported() -> None:
    content = many(3)
    given = Shortly(content)
    replaced, other = (orjson.loads(message(content, key))["Records"][0] for key in ("old.csv", "new.csv"))
    read = given.uploads.read

    def reading(upload: Upload, offset: int) -> Iterator[bytes]:
        if upload.key == "old.csv":
            raise Superseded
        return read(upload, offset)

    given.uploads.read = reading  # type: ignore[method-assign]
    body = orjson.dumps({"Records": [replaced, other]}).decode()

    assert import_function.work(batch(body), given.dependencies, lambda: 10**6) == {"batchItemFailures": []}
    assert [(report.state, report.written) for report in given.uploads.saved] == [("DONE", 3)]


# ---- on S3 and DynamoDB


@pytest.fixture
def bucket(account: AwsServer) -> str:
    account.clients.s3.create_bucket(Bucket="catalogue-imports")
    return "catalogue-imports"


@pytest.fixture
def shelves(account: AwsServer, create_table: Any) -> DynamoCatalogue:
    table = create_table()
    client = account.clients.dynamodb
    return DynamoCatalogue(client, table, DynamoOutbox(client, table))


def put(account: AwsServer, bucket: str, key: str, content: bytes) -> Upload:
    etag = account.clients.s3.put_object(Bucket=bucket, Key=key, Body=content)["ETag"].strip('"')
    return Upload(bucket, key, etag, len(content), NOW)


def test_given_s3_and_dynamodb_when_a_file_is_imported_in_steps_then_the_report_is_stored_beside_the_file(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    given = put(account, bucket, "a b/spring.csv", many(100) + b"bad\n")

    reports = [
        import_catalogue(given, uploads=uploads, shelves=shelves, may_go_on=lambda: False) for _ in range(8)
    ]

    assert reports[-1] == reports[-2]
    assert [report.state for report in reports][0::7] == ["IMPORTING", "DONE"]
    written = orjson.loads(
        account.clients.s3.get_object(Bucket=bucket, Key="a b/spring.csv.report.json")["Body"].read()
    )
    assert (written["state"], written["written"], written["refused"]) == ("DONE", 100, 1)
    assert written["problems"][0]["line"] == 102
    assert found(shelves, "SKU-99").product.price.amount == 99


def test_given_a_partly_imported_file_on_s3_when_it_is_replaced_then_its_import_ends_and_a_new_one_starts(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    old = put(account, bucket, "replaced.csv", many(100))
    import_catalogue(old, uploads=uploads, shelves=shelves, may_go_on=lambda: False)
    new = replace(put(account, bucket, "replaced.csv", many(10)), at=NOW + timedelta(seconds=1))

    with pytest.raises(Superseded):
        import_catalogue(old, uploads=uploads, shelves=shelves)
    report = import_catalogue(new, uploads=uploads, shelves=shelves)

    assert (report.state, report.line) == ("DONE", 11)


def test_given_the_same_content_uploaded_twice_when_both_imports_run_then_only_the_later_completes(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    old = put(account, bucket, "again.csv", many(100))
    new = replace(old, at=NOW + timedelta(hours=1))
    begun = import_catalogue(new, uploads=uploads, shelves=shelves, may_go_on=lambda: False)

    with pytest.raises(Superseded):
        import_catalogue(old, uploads=uploads, shelves=shelves)
    report = import_catalogue(new, uploads=uploads, shelves=shelves)

    assert (begun.state, report.state) == ("IMPORTING", "DONE")
    assert found(shelves, "SKU-99").product.updated_at > new.at


def test_given_the_same_content_uploaded_twice_when_the_older_import_saves_first_then_the_later_continues(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    old = put(account, bucket, "meanwhile.csv", many(100))
    new = replace(old, at=NOW + timedelta(hours=1))
    (_, to_old), (_, to_new) = uploads.report(old), uploads.report(new)

    version = uploads.save(old, Report(line=50), to_old)
    uploads.save(new, Report(line=40), to_new)

    with pytest.raises(Superseded):
        uploads.save(old, Report(line=100), version)
    assert uploads.report(new)[0].line == 40


def test_given_two_runs_of_one_import_when_one_completes_first_then_the_other_ends(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    given = put(account, bucket, "twice.csv", many(100))
    _, version = uploads.report(given)
    import_catalogue(given, uploads=uploads, shelves=shelves)

    with pytest.raises(Superseded):
        uploads.save(given, Report(line=100), version)


@pytest.mark.parametrize("is_moved", [False, True])
def test_given_an_unreadable_product_row_when_a_file_is_imported_then_only_its_line_is_rejected(
    account: AwsServer,
    create_table: Callable[[], str],
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_moved: bool,
) -> None:
    client, table = account.clients.dynamodb, create_table()
    shelves = DynamoCatalogue(client, table, DynamoOutbox(client, table))
    shelves.put(product("SKU-2"), 5, None)
    client.update_item(
        TableName=table,
        Key=dynamo.pack({"pk": "PRODUCT#SKU-2", "sk": "PRODUCT"}),
        UpdateExpression="REMOVE category",
    )
    if is_moved:  # the row became unreadable after it was first looked for
        monkeypatch.setattr(shelves, "find_all", lambda _: {})
    given = put(account, bucket, f"unreadable-{is_moved}.csv", many(5) + b"bad\n")

    report = import_catalogue(given, uploads=S3Uploads(account.clients.s3), shelves=shelves)

    assert (report.state, report.written, report.refused) == ("DONE", 4, 2)
    assert report.problems[0] == Problem(4, "", "the stored product cannot be read")
    assert [problem.line for problem in report.problems] == [4, 7]
    assert found(shelves, "SKU-4").product.price.amount == 4


@contextmanager
def answers_lost(account: AwsServer) -> Iterator[list[int]]:
    """While entered, S3 does what PutObject asks for, its first answer is lost, and the SDK repeats the call.

    Yields the status of each answer.
    """
    statuses: list[int] = []

    def lost(response: tuple[Any, dict[str, Any]], **_: Any) -> float | None:
        statuses.append(response[1]["ResponseMetadata"]["HTTPStatusCode"])
        return 0.0 if len(statuses) % 2 else None  # seconds after which to repeat the call

    events: Any = account.clients.s3.meta.events  # what a handler answers is untyped in the stubs
    events.register_first("needs-retry.s3.PutObject", lost)
    try:
        yield statuses
    finally:
        events.unregister("needs-retry.s3.PutObject", lost)


def test_given_a_lost_response_of_s3_when_a_report_is_saved_then_the_import_continues(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    uploads = S3Uploads(account.clients.s3)
    given = put(account, bucket, "lost.csv", many(100))

    with answers_lost(account) as statuses:
        first = import_catalogue(given, uploads=uploads, shelves=shelves, may_go_on=lambda: False)
        second = import_catalogue(given, uploads=uploads, shelves=shelves)

    assert statuses == [200, 412, 200, 412], "the repeated call meets what the first has written"
    assert (first.state, second.state, second.line) == ("IMPORTING", "DONE", 101)
    known, version = uploads.report(given)
    assert known == second
    assert uploads.save(given, known, version), "the version is that of the report"


def test_given_a_report_of_another_run_when_a_report_is_saved_then_the_run_is_superseded(
    account: AwsServer, bucket: str
) -> None:
    uploads = S3Uploads(account.clients.s3)
    given = put(account, bucket, "anothers.csv", many(100))
    uploads.save(given, Report(line=50), "")

    with pytest.raises(Superseded):
        uploads.save(given, Report(line=40), "")


def test_given_a_deleted_file_when_it_is_imported_then_the_import_is_superseded(
    account: AwsServer, bucket: str, shelves: DynamoCatalogue
) -> None:
    given = put(account, bucket, "gone.csv", many(3))
    account.clients.s3.delete_object(Bucket=bucket, Key="gone.csv")

    with pytest.raises(Superseded):
        import_catalogue(given, uploads=S3Uploads(account.clients.s3), shelves=shelves)


def test_given_a_file_name_without_a_known_format_when_its_format_is_determined_then_the_file_is_rejected() -> (
    None
):
    with pytest.raises(UnreadableFile):
        rows.format_of("spring.xlsx")
