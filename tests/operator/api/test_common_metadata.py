"""Common labels and annotations, which do not restart pods."""

from typing import Any

from shop_operator.api.v1alpha1.common_metadata import NOTHING, CommonMetadata
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.objects.summary import summary
from shop_operator.render import KINDS, Surroundings, render

EVERYTHING: dict[str, Any] = {
    "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
    "gateway": {"name": "public"},
    "routes": [{"path": "/"}],
    "networkPolicy": {},
    "monitoring": {
        "labels": {"team": "metrics"},
        "slos": [{"name": "availability", "objective": "99.9", "indicator": {"availability": {}}}],
    },
    "rollout": {"canary": {"steps": [{"weight": 10}], "analysis": {"maxErrorRate": "1%"}}},
    "workers": [
        {
            "name": "relay",
            "command": ["relay"],
            "port": 9000,
            "autoscaling": {"maxReplicas": 3, "queue": {"urlFrom": "Q", "region": "eu-west-1"}},
        }
    ],
}
PART_OF = "app.kubernetes.io/part-of"


def children(everywhere: CommonMetadata | None = None, **spec: Any) -> list[dict[str, Any]]:
    shop = ShopService("web", "ns", "u", 1, document={"image": "shop:1", **EVERYTHING, **spec})
    around = Surroundings(common=everywhere or NOTHING, prometheus="http://prometheus:9090")
    return render(shop, live=None, around=around)


def templates(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["spec"]["template"] for each in found if each["kind"] == "Deployment"]


def test_given_common_metadata_then_every_child_carries_it_and_no_pod_template_does() -> None:
    found = children(
        commonMetadata={"labels": {"unit": "shop"}, "annotations": {"example.com/owner": "checkout"}}
    )

    assert {each["kind"] for each in found} == {kind.kind for kind in KINDS}
    for each in found:
        assert each["metadata"]["labels"]["unit"] == "shop"
        assert each["metadata"]["annotations"]["example.com/owner"] == "checkout"
    assert templates(found) == templates(children())


def test_given_common_labels_at_three_levels_then_the_object_wins_over_the_spec_over_the_operator() -> None:
    everywhere = CommonMetadata(labels={"team": "platform", "unit": "shop"})

    found = children(everywhere, commonMetadata={"labels": {"team": "checkout"}})

    teams = {each["kind"]: each["metadata"]["labels"]["team"] for each in found}
    assert {teams.pop(each) for each in ("ServiceMonitor", "PodMonitor", "PrometheusRule")} == {"metrics"}
    assert set(teams.values()) == {"checkout"}
    assert {each["metadata"]["labels"]["unit"] for each in found} == {"shop"}


def deployment(value: str, *managers: str) -> dict[str, Any]:
    """A Deployment with the part-of label on its pods, owned by these managers."""
    labels: dict[str, Any] = {"f:template": {"f:metadata": {"f:labels": {f"f:{PART_OF}": {}}}}}
    return {
        "kind": "Deployment",
        "metadata": {
            "managedFields": [
                {"manager": "other"},
                *({"manager": each, "fieldsV1": {"f:spec": labels}} for each in managers),
            ]
        },
        "spec": {"template": {"metadata": {"labels": {PART_OF: value}}}},
    }


def test_given_a_part_of_label_then_pods_keep_it_only_if_the_operator_applied_it() -> None:
    assert summary(deployment("shop", "shop-operator"))["partOf"] == "shop"
    assert "partOf" not in summary(deployment("edited", "kubectl"))
    assert "partOf" not in summary({"kind": "Deployment", "metadata": {}, "spec": {}})


def test_given_pods_with_an_earlier_part_of_label_then_only_they_keep_it() -> None:
    shop = ShopService("web", "ns", "u", 1, {PART_OF: "new"}, {"image": "shop:1", **EVERYTHING})

    found = render(shop, live=None, around=Surroundings(part_of={"web": "old"}))

    assert {each["metadata"]["labels"][PART_OF] for each in found} == {"new"}
    assert [each["metadata"]["labels"][PART_OF] for each in templates(found)] == ["old", "new"]
