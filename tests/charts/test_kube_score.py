"""kube-score has nothing to say about what the charts, and the operator for charts/shop, put into a cluster."""

import json
import subprocess
from typing import Any, Final

import pytest
import yaml

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.cluster import tools
from tests.charts.helm import Helm, Object

ACCEPTED: Final = {
    "container-resources": "A CPU limit slows a pod down while the node is idle; requests share the CPU fairly.",
    "container-image-pull-policy": "Images are named by a tag that is never written twice, or by a digest.",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the pods, over zones too.",
    "deployment-targeted-by-hpa-does-not-have-replicas-configured": (
        "The first apply of an autoscaled Deployment carries the minimum; it is left out from then on."
    ),
}
EMULATOR: Final = {
    "deployment-replicas": "It keeps an AWS account in memory: a second pod would be another account.",
    "deployment-strategy": "For the same reason two pods must never run at once.",
    "pod-probes-identical": "It has one health endpoint and no dependencies.",
}
_PASSED: Final = 10


def complaints(objects: list[Object]) -> dict[str, list[str]]:
    """The checks that some object does not pass, each with these objects."""
    done = subprocess.run(
        [tools.ensure("kube-score") / "kube-score", "score", "--output-format", "json", "-"],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, list[str]] = {}
    for scored in json.loads(done.stdout):
        where = f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}"
        for check in scored["checks"]:
            if check["grade"] < _PASSED and not check["skipped"]:
                found.setdefault(check["check"]["id"], []).append(where)
    return found


def shop(helm: Helm, *files: str) -> list[Object]:
    """The objects of charts/shop, with what the operator makes of its ShopServices in their place."""
    objects: list[Object] = []
    for each in helm.template("shop", files=files, namespace="shop"):
        if each["kind"] == "ShopService":
            uid: dict[str, Any] = {**each["metadata"], "uid": f"uid-{each['metadata']['name']}"}
            objects += render(ShopService.from_object({**each, "metadata": uid}), live=None)
        else:
            objects.append(each)
    return objects


@pytest.mark.parametrize("files", [(), ("values-eks.yaml",)])
def test_given_the_shop_when_kube_score_runs_then_it_reports_only_accepted_findings(
    helm: Helm, files: tuple[str, ...]
) -> None:
    found = complaints(shop(helm, *files))

    assert found.keys() == ACCEPTED.keys(), found


def test_given_the_operator_when_kube_score_runs_then_it_reports_only_accepted_findings(helm: Helm) -> None:
    found = complaints(helm.template("shop-operator", namespace="shop-operator"))

    assert found.keys() <= ACCEPTED.keys(), found


def test_given_the_emulator_when_kube_score_runs_then_it_reports_only_accepted_findings(helm: Helm) -> None:
    found = complaints(helm.template("local-aws", namespace="aws"))

    assert found.keys() <= ACCEPTED.keys() | EMULATOR.keys(), found
    assert EMULATOR.keys() <= found.keys(), "an exception that is not needed"


def test_given_a_pod_without_network_policy_and_user_id_when_kube_score_runs_then_it_reports_both(
    helm: Helm,
) -> None:
    values = {"product": {"networkPolicy": None, "podTemplate": None}}
    objects = helm.template("shop", values, namespace="shop")
    (product,) = [
        each for each in objects if each["kind"] == "ShopService" and each["metadata"]["name"] == "product"
    ]
    product["metadata"]["uid"] = "u"

    found = complaints(render(ShopService.from_object(product), live=None))

    assert {"pod-networkpolicy", "container-security-context-user-group-id"} <= found.keys()
