"""Measure the time and memory of a function that imports a catalogue of 100,000 rows, with the emulator as AWS.

Then measure how long the relay takes to publish the resulting events, one record at a time. This takes about five minutes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import boto3

from services.common.aws.outbox import DynamoOutbox
from services.common.aws.sns import SnsPublisher
from services.common.messaging.outbox import FACT
from services.common.messaging.relay import BATCH, Relay, publishing
from services.common.values import clock
from services.product import import_function
from services.product.dynamo import DynamoCatalogue
from services.product.s3 import S3Uploads
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.processes.emulator import Emulator

PREFIX, KEY = "bench", "catalogue.csv"
NEEDED = ("events", "tokens", "product")
ROWS = 100_000
FUNCTION = stacks.document("functions-catalogue")["Resources"]["ImportCatalogue"]["Properties"]
MEGABYTE = 1024


def content(rows: int) -> bytes:
    """A catalogue with this number of different products."""
    lines = (f"SKU-{number:06},Tea number {number:06},tea,{number % 9999},EUR,5" for number in range(rows))
    return "\n".join(["sku,name,category,amount,currency,stock", *lines, ""]).encode()


def countdown() -> Callable[[], int]:
    """A function with the remaining milliseconds of a call that begins now."""
    end = time.monotonic() + FUNCTION["Timeout"]
    return lambda: int((end - time.monotonic()) * 1000)


def handle(bucket: str, table: str, size: int, etag: str) -> dict[str, float]:
    """Call the handler as Lambda does, each time with the timeout of the function, until no message is left."""
    client = boto3.client("dynamodb")
    upload = {
        "eventName": "ObjectCreated:Put",
        "eventTime": clock.rfc3339(clock.now()),
        "s3": {"bucket": {"name": bucket}, "object": {"key": KEY, "eTag": etag, "size": size}},
    }
    queue = [json.dumps({"Records": [upload]})]
    dependencies = import_function.Dependencies(
        S3Uploads(boto3.client("s3")),
        DynamoCatalogue(client, table, DynamoOutbox(client, table)),
        queue.append,
    )
    began, calls, least = time.monotonic(), 0, float("inf")
    while queue:
        left = countdown()
        record = {"messageId": "m", "body": queue.pop(), "attributes": {"ApproximateReceiveCount": "1"}}
        answer = import_function.work({"Records": [record]}, dependencies, left)
        if answer["batchItemFailures"]:
            raise SystemExit("the import failed; see the log above")
        calls, least = calls + 1, min(least, left() / 1000)
    return {
        "calls": calls,
        "seconds": time.monotonic() - began,
        "least": least,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE,
    }


def tell(table: str, topic: str) -> dict[str, float]:
    """Publish the outbox of the import, as one thread of the relay beside the consumer does."""
    sns = boto3.client("sns")
    requests = 0

    def count(**_: object) -> None:
        nonlocal requests
        requests += 1

    sns.meta.events.register("before-call.sns.PublishBatch", count)
    outbox = DynamoOutbox(boto3.client("dynamodb"), table)
    relay = Relay(outbox, {FACT: publishing(SnsPublisher(sns, topic))})
    began = time.monotonic()
    while records := outbox.pending(BATCH):
        if not all(relay.relay(record) for record in records):
            raise SystemExit("a record was not published; see the log above")
    return {"telling": time.monotonic() - began, "requests": requests}


def measure(rows: int) -> None:
    """Print the table."""
    emulator = Emulator(lambda _name, _line: None)
    emulator.start()
    try:
        outputs = emulator.deploy(PREFIX, stacks.chosen_for("local"), NEEDED)
        table, topic = outputs["product"]["Table"], stacks.topic("product", outputs)
        emulator.clients.s3.create_bucket(Bucket=PREFIX)
        text = content(rows)
        etag = emulator.clients.s3.put_object(Bucket=PREFIX, Key=KEY, Body=text)["ETag"].strip('"')
        done = subprocess.run(
            [
                sys.executable,
                str(ROOT / "dev" / "bench"),
                "catalogue",
                "--handle",
                PREFIX,
                table,
                topic,
                str(len(text)),
                etag,
            ],
            env={"PATH": os.environ["PATH"], "LOG_LEVEL": "WARNING", **emulator.env},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        report = json.loads(
            emulator.clients.s3.get_object(Bucket=PREFIX, Key=f"{KEY}.report.json")["Body"].read()
        )
    finally:
        emulator.stop()
    if (report["state"], report["written"]) != ("DONE", rows):
        raise SystemExit(f"not everything was imported: {report['state']}, {report['written']} rows")
    print(f"| import of {rows:,} rows | measured | limit of the function |")
    print("|---|---|---|")
    print(
        f"| time | {found['seconds']:.0f} s in {found['calls']} call(s) | {FUNCTION['Timeout']} s per call |"
    )
    print(f"| least time left at the end of a call | {found['least']:.0f} s | 0 s |")
    print(f"| most memory | {found['memory']:.0f} MB | {FUNCTION['MemorySize']} MB |")
    print(f"| rows per second | {rows / found['seconds']:.0f} | |")
    print(f"| events published | {found['telling']:.0f} s in {found['requests']:,} PublishBatch | |")


def main(argv: Sequence[str]) -> int:
    """Print the table, or run as the measured process; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev/bench catalogue", description="Measure the import of a catalogue."
    )
    parser.add_argument("rows", nargs="?", type=int, default=ROWS, help=f"rows to import (default: {ROWS})")
    parser.add_argument("--handle", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.handle:
        bucket, table, topic, size, etag = chosen.handle
        print(json.dumps(handle(bucket, table, int(size), etag) | tell(table, topic)))
    else:
        measure(chosen.rows)
    return 0
