"""The tracing values of the three charts."""

from typing import Any

import pytest
import yaml

from shopdev.checkout import ROOT, SHOPSERVICES
from tests.charts.helm import Helm, Object, Refused, only

COLLECTOR = "http://collector.observability.svc.cluster.local:4318"
TABLES: dict[str, Any] = {
    name: {"env": {"TABLE": name}} for name in ("payment", "product", "shipping", "order")
}
RULE = {
    "ports": [{"port": 4318}],
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}],
}


def _shop(helm: Helm, tracing: dict[str, Any]) -> list[Object]:
    return helm.template("shop", {**TABLES, "global": {"tracing": tracing}}, namespace="shop")


def _variables(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in entries if each["name"].startswith("OTEL_")}


def test_given_a_collector_then_every_process_of_the_shop_exports_a_share_of_its_traces(helm: Helm) -> None:
    objects = _shop(helm, {"endpoint": COLLECTOR, "sampleRatio": 0.25, "idGenerator": "xray"})
    job = only(objects, "CronJob", "shop-reconciler")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    environments = {
        each["metadata"]["name"]: each["spec"]["env"] for each in objects if each["kind"] == "ShopService"
    }

    assert set(environments) == set(SHOPSERVICES)
    for name, env in (*environments.items(), ("order", job["containers"][0]["env"])):
        assert _variables(env) == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
            "OTEL_SERVICE_NAME": name,
            "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=shop,k8s.namespace.name=shop",
            "OTEL_PYTHON_ID_GENERATOR": "xray",
        }


def test_given_a_collector_then_the_network_policies_of_the_shop_allow_connections_to_it(helm: Helm) -> None:
    objects = _shop(helm, {"endpoint": COLLECTOR})

    for each in objects:
        if each["kind"] == "ShopService":
            assert each["spec"]["networkPolicy"]["egress"][-1] == RULE
    assert only(objects, "NetworkPolicy", "shop-reconciler")["spec"]["egress"][-1] == RULE


def test_given_no_collector_then_no_process_of_the_shop_exports_anything(helm: Helm) -> None:
    objects = _shop(helm, {"endpoint": ""})

    assert "OTEL_" not in str(objects)
    assert "4318" not in str(objects)


@pytest.mark.parametrize(
    ("endpoint", "rule"),
    [
        ("https://collector.example.com", {"ports": [{"port": 443}]}),
        ("http://10.0.0.7", {"ports": [{"port": 80}]}),
        ("http://10.0.0.7:4318/otlp", {"ports": [{"port": 4318}]}),
        (
            "http://c.apm.svc:4318",
            RULE | {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apm"}}}]},
        ),
    ],
)
def test_given_an_address_of_a_collector_then_a_service_may_connect_to_its_port(
    helm: Helm, endpoint: str, rule: dict[str, Any]
) -> None:
    values = {
        "image": {"repository": "web", "tag": "1"},
        "tracing": {"endpoint": endpoint},
        "networkPolicy": {},
    }
    (shop,) = helm.template("shop-service", values)

    assert shop["spec"]["networkPolicy"] == {"egress": [rule]}


def test_given_tracing_of_one_service_then_it_takes_precedence_over_the_shared_one(helm: Helm) -> None:
    values = {
        "image": {"repository": "web", "tag": "1"},
        "global": {"tracing": {"endpoint": COLLECTOR, "sampleRatio": 1}},
        "tracing": {"sampleRatio": 0},
    }
    (shop,) = helm.template("shop-service", values)

    found = _variables(shop["spec"]["env"])
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == COLLECTOR
    assert found["OTEL_TRACES_SAMPLER_ARG"] == "0"


@pytest.mark.parametrize("ratio", [1.5, -0.1, "all"])
def test_given_a_share_out_of_range_then_the_chart_refuses_it(helm: Helm, ratio: object) -> None:
    with pytest.raises(Refused, match="sampleRatio"):
        _shop(helm, {"endpoint": COLLECTOR, "sampleRatio": ratio})


def test_given_a_collector_then_the_operator_exports_its_passes_and_may_connect_to_it(helm: Helm) -> None:
    values = {"tracing": {"endpoint": COLLECTOR, "sampleRatio": 0.5}}
    objects = helm.template("shop-operator", values, namespace="shop-operator")

    (container,) = only(objects, "Deployment", "shop-operator")["spec"]["template"]["spec"]["containers"]
    assert _variables(container["env"]) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    egress = only(objects, "NetworkPolicy", "shop-operator")["spec"]["egress"]
    assert egress[-1] == {"ports": [{"protocol": "TCP", "port": 4318}]}


@pytest.mark.parametrize("collector", ["adot", "cloudwatch"])
def test_given_the_values_of_a_collector_of_aws_then_every_service_exports_ids_that_x_ray_accepts(
    helm: Helm, collector: str
) -> None:
    values = yaml.safe_load((ROOT / "charts" / "shop" / f"values-{collector}.yaml").read_text())
    services = {name: {**TABLES[name], **values.get(name, {})} for name in TABLES}

    objects = helm.template("shop", {**values, **services}, namespace="shop")

    shops = [each for each in objects if each["kind"] == "ShopService"]
    assert len(shops) == len(SHOPSERVICES)
    for shop in shops:
        variables = _variables(shop["spec"]["env"])
        assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == values["global"]["tracing"]["endpoint"]
        assert variables["OTEL_PYTHON_ID_GENERATOR"] == "xray"
