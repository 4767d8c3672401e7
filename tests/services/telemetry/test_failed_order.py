"""docs/how-to/find-a-failed-order.md: its commands lead from the metric to the cause of one failed order in a minute."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from services.order.domain import OrderCancelled
from services.payment.domain import OrderClosed, PaymentDeclined, PaymentUnknown
from services.product.domain import OutOfStock, UnknownProduct
from services.shipping.domain import ShipmentRefused
from shopdev import environment_file
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.customer import Customer
from shopdev.processes.log import Log
from shopdev.processes.shop import Shop
from tests.services.telemetry.seen import Seen

PAGE: Final = (ROOT / "docs" / "how-to" / "find-a-failed-order.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
A_MINUTE: Final = 60
REFUSALS: Final = (
    OrderCancelled,
    OrderClosed,
    OutOfStock,
    PaymentDeclined,
    PaymentUnknown,
    ShipmentRefused,
    UnknownProduct,
)


def test_given_the_refusals_of_the_services_then_the_page_explains_each() -> None:
    explained = re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))

    assert set(explained) == {*(each.__name__ for each in REFUSALS), "States.Timeout"}


@pytest.mark.emulator
@pytest.mark.timeout(300)
def test_given_a_declined_order_when_the_commands_of_the_page_run_then_they_end_with_its_cause_within_a_minute(
    marked: Shop, seen: Seen, tmp_path: Path
) -> None:
    """In a folder like the repository while `make dev | tee .dev/shop.log` runs."""
    with Customer(marked.url, marked.token()) as buyer:
        sku = max(buyer.catalogue(), key=lambda product: product["available"])["sku"]
        order = buyer.follow(buyer.place(sku, token="tok_decline"))
    (tmp_path / "dev").symlink_to(ROOT / "dev")
    (tmp_path / ".dev").mkdir()
    endpoint = marked.emulator.endpoint
    values = {
        "AWS_ENDPOINT_URL": endpoint,
        "API_URL": marked.api_url,
        **stacks.cognito(marked.outputs["identity"], endpoint),
    }
    (tmp_path / ".dev" / "shop-8080.env").write_text(environment_file.text(values))
    with (tmp_path / ".dev" / "shop.log").open("w", encoding="utf-8") as file:
        log = Log(file)
        for name, line in list(seen.named):
            log.line(name, line)
    path = f"{ROOT / '.venv-awscli' / 'bin'}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"

    started = time.monotonic()
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "echo '<end>'\n".join(BLOCKS)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert typed.returncode == 0, typed.stdout + typed.stderr
    _, traces, found, lines, workflow, timeline = typed.stdout.split("<end>")
    assert "trace_id=" in traces
    assert order["id"] in found
    assert "payment_decided" in lines
    assert re.search(r"^PaymentDeclined\t", workflow, re.MULTILINE)
    assert "PaymentDeclined" in timeline
    assert time.monotonic() - started < A_MINUTE
