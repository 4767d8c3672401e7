"""docs/how-to/order-by-curl.md: its commands work as printed, and its tables list all test values of the sandboxes."""

import re
import subprocess
from pathlib import Path

import pytest

from services.payment import provider
from services.shipping import carrier
from shopdev import environment_file
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from shopdev.processes.shop import Shop

PAGE = (ROOT / "docs" / "how-to" / "order-by-curl.md").read_text(encoding="utf-8")


def first_column(heading: str) -> set[str]:
    """The values in the first column of the table under a heading."""
    table = PAGE[PAGE.index(f"| `{heading}` |") :].split("\n\n")[0].partition("\n")[2]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_given_the_page_when_it_lists_tokens_and_postal_codes_then_they_are_those_of_the_sandboxes() -> None:
    assert first_column("payment.token") == set(provider.TestToken)
    assert first_column("postal_code") == {carrier.NOWHERE, carrier.SLOW}


@pytest.mark.emulator
def test_given_the_page_when_its_commands_run_then_an_order_is_placed_followed_and_cancelled(
    shop: Shop, tmp_path: Path
) -> None:
    """In a folder like the repository while `make dev` runs."""
    (tmp_path / "dev").symlink_to(ROOT / "dev")
    (tmp_path / ".dev").mkdir()
    endpoint = shop.emulator.endpoint
    values = {
        "AWS_ENDPOINT_URL": endpoint,
        "API_URL": shop.api_url,
        **stacks.cognito(shop.outputs["identity"], endpoint),
    }
    (tmp_path / ".dev" / "shop-8080.env").write_text(environment_file.text(values))
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4

    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "echo '<end>'\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert typed.returncode == 0, typed.stderr
    products, placed, followed, cancelled = typed.stdout.split("<end>")
    assert '"BR-005"' in products
    assert re.search(r"HTTP/\S+ 202", placed)
    assert '"PENDING"' in placed
    assert '"timeline"' in followed
    assert '"missing"' in followed
    assert re.search(r"HTTP/\S+ (202|409)", cancelled)
