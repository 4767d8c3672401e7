"""Specs of the largest size and the strangest values that the API server accepts."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator
from tests.integration.shopservices import WORKER, shopservice
from tests.waiting import wait_for

STRANGE = (
    "",
    " ",
    "\u0000\u0001\u001b[31m",
    "null",
    "true",
    "0x1F",
    "1e3",
    "- a: &x *x",
    "{{ .Values.x }} $(OTHER) ${HOME} `id` $(id)",
    "'; DROP TABLE orders; --",
    "line\nbreak\r\n\ttab",
    "Ünïcödé 商店 🛒 \u202ertl\u202c \ufeff\u200b",
    "\U0010ffff",
    "\u0061\u030a against \u00e5",
    "a" * 32768,
)


def env_of(cluster: Cluster, namespace: str, name: str = "web") -> list[dict[str, Any]]:
    """Environment of the Deployment's container, without the operator's own variables."""
    (container,) = cluster.get("Deployment", namespace, name)["spec"]["template"]["spec"]["containers"]
    found: list[dict[str, Any]] = container["env"]
    return found


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(STRANGE, id="strange"),
        pytest.param(["x"] * 500, id="500-entries"),
        pytest.param(["\U0001f6d2" * 8000] * 32, id="a-megabyte"),
    ],
)
def test_given_a_spec_with_large_or_unusual_values_then_the_children_contain_them_unchanged(
    own_cluster: Cluster, here: str, operator: Operator, values: list[str]
) -> None:
    env = [{"name": f"V{i}", "value": value} for i, value in enumerate(values)]
    annotations = {"team.example/note": "".join(STRANGE[3:14])}
    spec: dict[str, Any] = {"env": env, "workers": [WORKER], "serviceAccount": {"annotations": annotations}}
    own_cluster.create(shopservice(here, **spec))

    settled(own_cluster, here, operator)
    # An empty value is said by not saying it.
    assert [{"value": "", **each} for each in env_of(own_cluster, here)] == env
    assert (
        own_cluster.get("ServiceAccount", here, "web")["metadata"]["annotations"].items()
        >= annotations.items()
    )

    own_cluster.patch("ShopService", here, "web", {"spec": {"env": env[:1]}})
    settled(own_cluster, here, operator)
    assert len(env_of(own_cluster, here)) == 1


def test_given_a_spec_too_large_for_a_deployment_then_it_is_reported_and_others_are_reconciled(
    own_cluster: Cluster, here: str, operator: Operator
) -> None:
    full = [{"name": f"V{i}", "value": "x" * 32768} for i in range(47)]
    # The last entry fills what etcd takes in one object, up to less than what a Deployment has besides.
    wait_for(
        iter(
            own_cluster.post(shopservice(here, env=[*full, {"name": "LAST", "value": "x" * size}])).is_success
            for size in range(32768, 0, -256)
        ).__next__,
        deadline=60,
    )

    wait_for(lambda: any("too large" in line.get("error", "") for line in operator.lines()))
    own_cluster.create(shopservice(here, "other"))
    wait_for(lambda: "Deployment/other" in own_cluster.children(here))
    own_cluster.patch("ShopService", here, "web", {"spec": {"env": None}})
    settled(own_cluster, here, operator)
