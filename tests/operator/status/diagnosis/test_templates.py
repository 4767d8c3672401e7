"""The pods of the newest template."""

from typing import Any

from shop_operator.status.diagnosis import (
    of_newest,
)
from shop_operator.status.diagnosis.templates import latest


def test_given_pods_of_two_deployments_then_pods_of_older_templates_are_left_out_per_deployment() -> None:
    def of(name: str, template: str, revision: int, owner: str) -> dict[str, Any]:
        return {
            "metadata": {
                "name": name,
                "labels": {"pod-template-hash": template},
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [{"uid": owner, "controller": True}],
            }
        }

    replicasets = [of("a-1", "1", 9, "a"), of("a-2", "2", 10, "a"), of("b-3", "3", 1, "b")]
    pods = [of(f"p{each}", each, 0, "") for each in ("1", "2", "3", "4")]

    assert [each["metadata"]["name"] for each in of_newest(pods, replicasets)] == ["p2", "p3", "p4"]


def test_given_a_revision_annotation_of_thousands_of_digits_then_it_is_ignored() -> None:
    def of(template: str, revision: str) -> dict[str, Any]:
        annotations = {"deployment.kubernetes.io/revision": revision}
        return {"metadata": {"labels": {"pod-template-hash": template}, "annotations": annotations}}

    assert latest([of("a", "1"), of("b", "9" * 5_000), newest := of("c", "2")]) == newest
