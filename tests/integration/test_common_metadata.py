"""Labels and annotations for every object, on a real API server: none of them restarts a pod, and a diff includes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cluster import Cluster
from tests.integration.operators import Operator, leader
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.integration.test_cli import Shop
from tests.waiting import wait_for

PART_OF = "app.kubernetes.io/part-of"
EVERYWHERE = {"unit": "shop"}
FLAGS = ('--common-labels={"unit": "shop"}', '--common-annotations={"example.com/owner": "platform"}')


@pytest.fixture(scope="module")
def labelling(
    operator_kubeconfig: Path, optional_kinds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator that labels everything that it makes."""
    with leader(operator_kubeconfig, tmp_path_factory.mktemp("log") / "operator.log", *FLAGS) as started:
        yield started


@pytest.fixture
def shop(cluster: Cluster) -> Shop:
    return Shop(cluster.kubeconfig)


def full(namespace: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    obj = shopservice(
        namespace,
        autoscaling=AUTOSCALING,
        workers=[WORKER],
        networkPolicy={},
        monitoring={},
        **ROUTE,
        **spec,
    )
    obj["metadata"]["labels"] = labels or {}
    return obj


def metadata(cluster: Cluster, namespace: str) -> dict[str, dict[str, Any]]:
    """That of every child, by kind and name."""
    return {
        child: cluster.get(child.partition("/")[0], namespace, child.partition("/")[2])["metadata"]
        for child in cluster.children(namespace)
    }


def template(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("Deployment", namespace, "web")["spec"]["template"]
    return found


def test_given_common_metadata_when_it_is_set_and_removed_then_every_child_follows_and_no_pod_is_replaced(
    cluster: Cluster, labelling: Operator, namespace: str
) -> None:
    cluster.apply(full(namespace))
    wait_for(lambda: {"ServiceMonitor/web", "HTTPRoute/web"} <= cluster.children(namespace))
    before = template(cluster, namespace)
    common = {"labels": {"team": "checkout"}, "annotations": {"example.com/cost": "42"}}

    cluster.apply(full(namespace, commonMetadata=common))

    def labelled() -> bool:
        for found in metadata(cluster, namespace).values():
            assert {**found["labels"], "team": "checkout", **EVERYWHERE} == found["labels"]
            assert found["annotations"]["example.com/cost"] == "42"
            assert found["annotations"]["example.com/owner"] == "platform"
        return True

    wait_for(labelled)
    assert template(cluster, namespace) == before
    cluster.apply(full(namespace))
    wait_for(lambda: all("team" not in found["labels"] for found in metadata(cluster, namespace).values()))
    assert template(cluster, namespace) == before


def test_given_pods_when_the_application_label_changes_then_only_the_other_children_follow(
    cluster: Cluster, labelling: Operator, namespace: str
) -> None:
    cluster.apply(full(namespace))
    wait_for(lambda: "Deployment/web" in cluster.children(namespace))
    before = template(cluster, namespace)

    cluster.apply(full(namespace, {PART_OF: "checkout"}))

    wait_for(
        lambda: {found["labels"][PART_OF] for found in metadata(cluster, namespace).values()} == {"checkout"}
    )
    assert template(cluster, namespace) == before
    changed = full(namespace, {PART_OF: "checkout"}, args=["--verbose"])
    cluster.apply(changed)
    wait_for(lambda: template(cluster, namespace)["spec"]["containers"][0].get("args") == ["--verbose"])
    assert template(cluster, namespace)["metadata"] == before["metadata"]


def pass_to_checkout(cluster: Cluster, namespace: str) -> None:
    """The application of a ShopService that runs becomes another one."""
    cluster.apply(full(namespace))
    wait_for(lambda: "Deployment/web-relay" in cluster.children(namespace))
    cluster.apply(full(namespace, {PART_OF: "checkout"}))
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["metadata"]["labels"][PART_OF] == "checkout")


def test_given_a_changed_application_label_when_the_image_changes_then_the_new_pods_have_the_new_label(
    cluster: Cluster, labelling: Operator, namespace: str
) -> None:
    pass_to_checkout(cluster, namespace)
    assert template(cluster, namespace)["metadata"]["labels"][PART_OF] == namespace

    released = full(namespace, {PART_OF: "checkout"}, image="registry.test/shop-product:2")
    cluster.apply(released)

    def pods() -> set[str]:
        both = (cluster.get("Deployment", namespace, name) for name in ("web", "web-relay"))
        return {each["spec"]["template"]["metadata"]["labels"][PART_OF] for each in both}

    wait_for(lambda: pods() == {"checkout"})
    # And they keep that one.
    cluster.apply(full(namespace, {PART_OF: "payments"}, image="registry.test/shop-product:2"))
    wait_for(lambda: cluster.get("Deployment", namespace, "web")["metadata"]["labels"][PART_OF] == "payments")
    assert pods() == {"checkout"}


def test_given_a_pod_template_when_its_application_label_is_edited_then_the_operator_reverts_the_edit(
    cluster: Cluster, labelling: Operator, namespace: str
) -> None:
    pass_to_checkout(cluster, namespace)

    edit = {"spec": {"template": {"metadata": {"labels": {PART_OF: "elsewhere"}}}}}
    edited = cluster.patch("Deployment", namespace, "web", edit)

    assert edited["spec"]["template"]["metadata"]["labels"][PART_OF] == "elsewhere"
    wait_for(lambda: template(cluster, namespace)["metadata"]["labels"][PART_OF] == "checkout")


def test_given_metadata_of_the_operator_and_an_earlier_pod_label_when_diff_runs_then_it_shows_neither(
    cluster: Cluster, labelling: Operator, namespace: str, shop: Shop
) -> None:
    common = {"labels": {"team": "checkout"}}
    cluster.apply(full(namespace, commonMetadata=common))
    wait_for(lambda: "HTTPRoute/web" in cluster.children(namespace))
    wanted = full(namespace, {PART_OF: "checkout"}, commonMetadata=common)
    cluster.apply(wanted)
    wait_for(
        lambda: {found["labels"][PART_OF] for found in metadata(cluster, namespace).values()} == {"checkout"}
    )

    assert shop.says("diff", "-f", "-", given=yaml.safe_dump(wanted)) == ""
    fewer = shop.says("diff", "-f", "-", given=yaml.safe_dump(full(namespace, {PART_OF: "checkout"})), code=1)
    assert "-    team: checkout" in fewer
    assert "unit" not in "".join(line for line in fewer.splitlines() if line.startswith(("-", "+")))
