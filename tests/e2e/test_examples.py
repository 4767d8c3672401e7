"""Every example runs as it is, in a namespace that has the Gateway they name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shopdev.checkout import ROOT
from tests.e2e.actors import Cluster
from tests.waiting import wait_for

EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
NEEDED = {"monitored": ("Ready", "ServiceMonitor"), "scaled-by-a-queue": ("NotInstalled", "KEDA")}
"""Examples that need what the demo's cluster does not have, as their first lines say: the reason of Ready, and what its
message names."""

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def applied(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The names of an example's ShopServices, applied."""
    path: Path = request.param
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each["kind"] == "ShopService"]
    cluster.kubectl("apply", "-n", "shop", "-f", str(path))
    yield [each["metadata"]["name"] for each in documents]
    cluster.kubectl("delete", "-n", "shop", "-f", str(path), "--wait=true")


@pytest.mark.parametrize(
    "applied",
    [each for each in EXAMPLES if each.stem not in NEEDED],
    ids=lambda path: path.stem,
    indirect=True,
)
def test_given_an_example_when_it_is_applied_then_its_shopservices_become_ready(
    cluster: Cluster, applied: list[str]
) -> None:
    for name in applied:
        cluster.kubectl("wait", f"shopservice/{name}", "-n", "shop", "--for=condition=Ready", "--timeout=90s")


@pytest.mark.parametrize(
    "applied", [each for each in EXAMPLES if each.stem in NEEDED], ids=lambda path: path.stem, indirect=True
)
def test_given_an_example_with_an_unmet_requirement_when_it_is_applied_then_ready_names_the_requirement(
    cluster: Cluster, applied: list[str], request: pytest.FixtureRequest
) -> None:
    (name,) = applied
    reason, missing = NEEDED[request.node.callspec.id]

    def says_so() -> bool:
        found = cluster.get("shopservice", name, "-n", "shop")
        conditions = {each["type"]: each for each in found.get("status", {}).get("conditions", [])}
        ready = conditions["Ready"]
        assert (ready["reason"], missing in ready["message"]) == (reason, True), ready
        return True

    wait_for(says_so, 60, what=f"{name} names {missing}")
    cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", "shop", "--timeout=60s")
