"""The bare loop: recorded AWS calls with boto3 and nothing else, as a process of its own.

    python -m shopdev.bench.shop.bare URL FILE TIMES

Prints the CPU seconds of one pass over the calls. The configuration of the clients is that of the services.
"""

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError


def main(url: str, file: str, times: str) -> None:
    """Send the calls once to open the connections, then measure."""
    calls = json.loads(Path(file).read_text(encoding="utf-8"))
    session = boto3.session.Session()
    config = Config(
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=32,
        tcp_keepalive=True,
        inject_host_prefix=False,
    )
    clients = {
        name: session.client(name, endpoint_url=url, config=config)
        for name in {call["client"] for call in calls}
    }
    work = [
        (getattr(clients[call["client"]], xform_name(call["operation"])), call["parameters"])
        for call in calls
    ]
    _send(work)
    began = time.process_time()
    for _ in range(int(times)):
        _send(work)
    print((time.process_time() - began) / int(times))


def _send(work: Sequence[Any]) -> None:
    for operation, parameters in work:
        with contextlib.suppress(ClientError):  # as recorded: a condition was not met
            operation(**parameters)


if __name__ == "__main__":
    main(*sys.argv[1:])
