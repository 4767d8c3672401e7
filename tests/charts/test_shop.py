"""charts/shop: four services and their pages, the design's public paths, and what a cluster may set."""

import base64
import importlib
import os
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from services.storefront import config as storefront
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks
from tests.charts.helm import Helm, Object, Refused, names, only

SERVICES = ("order", "payment", "product", "shipping")
SHOPSERVICES = (*SERVICES, "storefront")
LOCAL, EKS = ("values-local.yaml",), ("values-eks.yaml",)


def _render(helm: Helm, values: dict[str, Any] | None = None, files: tuple[str, ...] = LOCAL) -> list[Object]:
    return helm.template("shop", values, files=files, namespace="shop")


def _specs(objects: list[Object]) -> dict[str, Any]:
    return {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "ShopService"}


def _env(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in entries}


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
def test_given_any_environment_then_the_chart_renders_five_shopservices_a_gateway_and_the_seed(
    helm: Helm, files: tuple[str, ...]
) -> None:
    objects = _render(helm, files=files)

    assert names(objects) == {
        *(f"ShopService/{name}" for name in SHOPSERVICES),
        *(() if files == EKS else ("Secret/storefront-session",)),
        "Gateway/shop",
        "Job/shop-seed",
        "NetworkPolicy/shop-seed",
    }
    for each in objects:
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shop"


TABLES: dict[str, Any] = {
    name: {"env": {"TABLE": f"shop-{name}-table"}} for name in ("payment", "product", "shipping")
}


def test_given_all_tables_then_a_cronjob_reconciles_orders_under_the_account_of_the_order_service(
    helm: Helm,
) -> None:
    objects = _render(helm, {**TABLES, "order": {"env": {"TABLE": "shop-orders"}}})

    job = only(objects, "CronJob", "shop-reconciler")["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = _env(container["env"])
    assert job["concurrencyPolicy"] == "Forbid"
    assert pod["serviceAccountName"] == "order"
    assert container["command"][-1] == "services.order.reconciler"
    assert (ROOT / "services/order/reconciler.py").is_file()
    assert {name: value for name, value in env.items() if name.endswith("TABLE")} == {
        "TABLE": "shop-orders",
        "PAYMENT_TABLE": "shop-payment-table",
        "PRODUCT_TABLE": "shop-product-table",
        "SHIPPING_TABLE": "shop-shipping-table",
    }
    assert "NetworkPolicy/shop-reconciler" in names(objects)


@pytest.mark.parametrize(
    "values", [{"reconciler": {"enabled": False}}, {"services": {"order": False}}, {"payment": {"env": {}}}]
)
def test_given_no_order_service_or_a_missing_table_then_no_cronjob_reconciles_orders(
    helm: Helm, values: dict[str, Any]
) -> None:
    assert "CronJob/shop-reconciler" not in names(_render(helm, {**TABLES, **values}))


def test_given_a_separately_delivered_service_then_the_chart_omits_only_that_one(helm: Helm) -> None:
    objects = _render(helm, {"services": {"order": False}})

    assert set(_specs(objects)) == {"payment", "product", "shipping", "storefront"}
    assert "Job/shop-seed" in names(objects)
    assert "Job/shop-seed" not in names(_render(helm, {"services": {"product": False}}))


def test_given_the_routes_of_the_services_then_only_the_intended_paths_and_methods_are_public(
    helm: Helm,
) -> None:
    public = {
        (route["path"], tuple(route["methods"]))
        for spec in _specs(_render(helm)).values()
        for route in spec["routes"]
    }

    assert public == {
        ("/products", ("GET",)),
        ("/inventory", ("GET",)),
        ("/orders", ("GET", "POST")),
        ("/payments", ("GET",)),
        ("/shipments", ("GET",)),
        *((f"/dead-letters/{service}", ("GET", "POST")) for service in SERVICES),
        ("/", ("GET", "HEAD", "POST")),
    }


def test_given_a_registry_and_a_tag_then_each_service_has_its_image_and_its_workers(helm: Helm) -> None:
    specs = _specs(_render(helm, {"global": {"image": {"registry": "reg.example", "tag": "v3"}}}))

    assert {name: spec["image"] for name, spec in specs.items()} == {
        name: f"reg.example/shop-{name}:v3" for name in SHOPSERVICES
    }
    assert {
        name: [worker["command"][-1] for worker in spec.get("workers", ())] for name, spec in specs.items()
    } == {
        "order": ["services.order.consumer", "services.order.relay"],
        "payment": ["services.payment.consumer"],
        "product": ["services.product.consumer"],
        "shipping": ["services.shipping.consumer"],
        "storefront": [],
    }


def test_given_the_command_of_every_worker_then_its_module_exists() -> None:
    values = yaml.safe_load((ROOT / "charts/shop/values.yaml").read_text())

    for name in SERVICES:
        for worker in values[name]["workers"].values():
            module = worker["command"][-1]
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    assert (ROOT / "services/product/seed.py").is_file()


def test_given_the_local_values_then_each_service_has_one_replica_and_uses_the_emulator(helm: Helm) -> None:
    specs = _specs(_render(helm))

    assert specs["product"]["autoscaling"] == {"minReplicas": 1, "maxReplicas": 4, "cpu": 70}
    assert {specs[name]["replicas"] for name in SHOPSERVICES if name != "product"} == {1}
    for name in SERVICES:
        spec = specs[name]
        assert {worker["replicas"] for worker in spec["workers"]} == {1}
        assert _env(spec["env"])["AWS_ENDPOINT_URL"] == "http://local-aws.aws.svc.cluster.local:4566"
        assert spec["envFrom"][0] == {"secretRef": {"name": "local-aws-credentials"}}


def test_given_the_emulator_then_only_services_called_by_machines_read_their_keys(helm: Helm) -> None:
    callers = {"secretRef": {"name": "machine-callers", "optional": True}}

    reading = {name for name, spec in _specs(_render(helm)).items() if callers in spec["envFrom"]}

    assert reading == {"payment", "shipping"}


def test_given_eks_then_services_called_by_functions_or_machines_have_a_hostname_and_the_gateway_secret(
    helm: Helm,
) -> None:
    for name, spec in _specs(_render(helm, files=EKS)).items():
        called = name in {"payment", "shipping"}
        expected = {"hostname": f"{name}.shop.internal"} if called else None
        secrets = [entry for entry in spec["env"] if "valueFrom" in entry]

        assert spec.get("discovery") == expected
        through_gateway = called or name == "order"
        assert [entry["name"] for entry in secrets] == (["GATEWAY_SECRET"] if through_gateway else [])


@pytest.mark.parametrize("files", [(), EKS])
def test_given_the_production_values_then_everything_has_two_replicas_and_no_emulator_endpoint(
    helm: Helm, files: tuple[str, ...]
) -> None:
    specs = _specs(_render(helm, files=files))

    assert specs["product"]["autoscaling"] == {"minReplicas": 2, "maxReplicas": 10, "cpu": 70}
    for spec in specs.values():
        assert spec.get("replicas", 2) == 2
        assert {worker["replicas"] for worker in spec.get("workers", ())} <= {2}
        assert "AWS_ENDPOINT_URL" not in _env(spec["env"])
    assert {name for name, spec in specs.items() if "envFrom" in spec} == {"storefront"}


def test_given_stack_outputs_as_values_then_they_extend_the_environment_of_their_service(helm: Helm) -> None:
    specs = _specs(_render(helm, {"payment": {"env": {"TABLE": "shop-payments"}}}))

    payment = _env(specs["payment"]["env"])
    assert (payment["TABLE"], payment["PROVIDER"], payment["AWS_REGION"]) == (
        "shop-payments",
        "sandbox",
        "us-east-1",
    )
    assert "TABLE" not in _env(specs["shipping"]["env"])


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
@pytest.mark.parametrize("name", SERVICES)
def test_given_the_outputs_of_all_stacks_then_the_environment_of_a_service_satisfies_its_settings(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, name: str, files: tuple[str, ...]
) -> None:
    outputs = {
        stack: {output: f"the-{output}" for output in stacks.document(stack)["Outputs"]}
        for stack in stacks.STACKS
    }
    values = {service: {"env": stacks.environment(service, outputs)} for service in SERVICES}
    told = _env(_specs(_render(helm, values, files))[name]["env"])
    for variable in os.environ:
        monkeypatch.delenv(variable)
    for variable, value in told.items():
        if value is not None:  # what comes from an optional Secret may be missing
            monkeypatch.setenv(variable, value)

    settings = importlib.import_module(f"services.{name}.config").Settings.load()

    assert settings.table == "the-Table"


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
def test_given_the_outputs_of_all_stacks_then_the_environment_of_the_storefront_satisfies_its_settings(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    outputs = {
        stack: {output: f"https://{output}.test" for output in stacks.document(stack)["Outputs"]}
        for stack in stacks.STACKS
    }
    spec = _specs(_render(helm, {"storefront": {"env": stacks.pages(outputs)}}, files))["storefront"]
    for variable in os.environ:
        monkeypatch.delenv(variable)
    for variable, value in _env(spec["env"]).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("SESSION_KEYS", "k" * 48)

    settings = storefront.Settings.load()

    assert (settings.api_url, settings.public_url) == ("https://ApiUrl.test", "https://Url.test")
    assert settings.sandbox


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
def test_given_any_environment_then_the_storefront_reads_the_keys_of_its_cookies_and_no_other_secret(
    helm: Helm, files: tuple[str, ...]
) -> None:
    spec = _specs(_render(helm, files=files))["storefront"]

    assert spec["envFrom"] == [{"secretRef": {"name": "storefront-session"}}]
    assert not [entry for entry in spec["env"] if "valueFrom" in entry]


@pytest.mark.parametrize(("files", "url"), [((), None), (LOCAL, "http://order:8080"), (EKS, None)])
def test_given_any_environment_but_a_demo_then_no_process_knows_the_fault_switchboard(
    helm: Helm, files: tuple[str, ...], url: str | None
) -> None:
    specs = _specs(_render(helm, files=files))

    assert _env(specs["storefront"]["env"]).get("FAULTS_URL") == url
    assert not [name for name, spec in specs.items() if "FAULTS_TABLE" in _env(spec["env"])]
    assert "/faults" not in [route["path"] for spec in specs.values() for route in spec["routes"]]
    admitted = specs["order"]["networkPolicy"]["ingress"][0]["from"]
    storefront = {"podSelector": {"matchLabels": {"shopservice.dev/name": "storefront"}}}
    assert (storefront in admitted) == (url is not None)


def test_given_no_secret_when_the_chart_is_installed_then_it_creates_keys_that_the_storefront_accepts(
    helm: Helm,
) -> None:
    secret = only(_render(helm), "Secret", "storefront-session")

    assert secret["data"].keys() == {"SESSION_KEYS"}
    assert len(base64.b64decode(secret["data"]["SESSION_KEYS"])) >= storefront.SHORTEST_KEY
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("values", [{"sessionKeys": {"create": False}}, {"services": {"storefront": False}}])
def test_given_own_keys_or_no_storefront_then_the_chart_creates_no_secret(
    helm: Helm, values: dict[str, Any]
) -> None:
    assert "Secret" not in {each["kind"] for each in _render(helm, values)}


def _reached(rules: list[dict[str, Any]], side: str) -> set[tuple[str, int]]:
    """Short form of every peer of the rules, with its port."""
    return {
        (_peer(peer), port["port"])
        for rule in rules
        for peer in rule.get(side, [{}])
        for port in rule["ports"]
    }


def _peer(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        cidr: str = peer["ipBlock"]["cidr"]
        return cidr
    selector = peer.get("namespaceSelector") or peer.get("podSelector") or {}
    values = [*selector.get("matchLabels", {}).values()]
    values += [value for each in selector.get("matchExpressions", ()) for value in each["values"]]
    return " ".join(values) or "anywhere"


POD_IDENTITY = ("169.254.170.23/32", 80)


@pytest.mark.parametrize(
    ("files", "edge", "aws"),
    [
        ((), ("traefik", 8080), {("anywhere", 443)}),
        (LOCAL, ("traefik", 8080), {("aws", 4566)}),
        (EKS, ("10.0.0.0/16", 8080), {("anywhere", 443), POD_IDENTITY}),
    ],
)
def test_given_any_environment_then_network_policies_allow_exactly_the_calls_between_services(
    helm: Helm, files: tuple[str, ...], edge: tuple[str, int], aws: set[tuple[str, int]]
) -> None:
    policies = {name: spec["networkPolicy"] for name, spec in _specs(_render(helm, files=files)).items()}

    callers = {name: _reached(policy["ingress"], "from") for name, policy in policies.items()}
    called = {name: _reached(policy["egress"], "to") for name, policy in policies.items()}

    # In a VPC the pods have its addresses too.
    by_order = {edge} if files == EKS else {edge, ("order", 8080)}
    # The page of faults in a demo.
    by_storefront = {("storefront", 8080)} if files == LOCAL else set()
    assert callers == {
        "product": {edge},
        "order": {edge} | by_storefront,
        "payment": by_order,
        "shipping": by_order,
        "storefront": {edge},
    }
    assert called == {
        **dict.fromkeys(SERVICES, aws),
        "order": {*aws, ("payment shipping", 8080)},
        # The pages have no AWS permissions, and call no service except through the API, or for faults.
        "storefront": (aws - {POD_IDENTITY}) | ({("order", 8080)} if files == LOCAL else set()),
    }


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
def test_given_any_environment_then_each_service_has_rollback_disruption_monitoring_and_isolation(
    helm: Helm, files: tuple[str, ...]
) -> None:
    specs = _specs(_render(helm, files=files))

    assert set(specs) == set(SHOPSERVICES)
    for name, spec in specs.items():
        assert spec["rollout"] == {"autoRollback": True}, name
        assert spec["disruption"] == {"maxUnavailable": 1}, name
        assert spec["monitoring"]["interval"] == "30s", name
        assert spec["networkPolicy"].keys() == {"ingress", "egress"}, name


@pytest.mark.parametrize("files", [(), LOCAL, EKS])
def test_given_any_environment_then_a_service_depends_on_exactly_the_services_that_it_calls(
    helm: Helm, files: tuple[str, ...]
) -> None:
    specs = _specs(_render(helm, files=files))

    called = {
        name: sorted(
            urlsplit(value).hostname or ""
            for variable, value in _env(spec.get("env", [])).items()
            if variable.removesuffix("_URL").lower() in SERVICES
        )
        for name, spec in specs.items()
    }
    assert called == {name: [] for name in SHOPSERVICES} | {"order": ["payment", "shipping"]}
    assert {name: sorted(spec.get("dependsOn", [])) for name, spec in specs.items()} == called


def test_given_the_shop_then_the_operator_renders_budget_monitor_and_policy_for_every_service(
    helm: Helm,
) -> None:
    for each in _render(helm, files=()):
        if each["kind"] != "ShopService":
            continue
        name = each["metadata"]["name"]
        uid = {**each["metadata"], "uid": f"uid-{name}"}
        made = render(ShopService.from_object({**each, "metadata": uid}), live=None)

        budgets = [
            child["spec"]["maxUnavailable"] for child in made if child["kind"] == "PodDisruptionBudget"
        ]
        assert budgets == [1] * len([child for child in made if child["kind"] == "Deployment"]), name
        endpoints = [
            endpoint["interval"]
            for child in made
            if child["kind"] in {"ServiceMonitor", "PodMonitor"}
            for endpoint in child["spec"].get("endpoints", child["spec"].get("podMetricsEndpoints"))
        ]
        assert endpoints
        assert set(endpoints) == {"30s"}, name
        (policy,) = [child["spec"] for child in made if child["kind"] == "NetworkPolicy"]
        assert policy["policyTypes"] == ["Ingress", "Egress"], name


def test_given_the_seed_then_its_network_policy_has_the_egress_of_the_product_service(helm: Helm) -> None:
    objects = _render(helm)
    policy, job = only(objects, "NetworkPolicy"), only(objects, "Job")

    labels = job["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["egress"][1:] == _specs(objects)["product"]["networkPolicy"]["egress"]
    assert "ingress" not in policy["spec"]


def test_given_null_autoscaling_and_replicas_then_the_service_has_a_fixed_count(helm: Helm) -> None:
    product = _specs(_render(helm, {"product": {"autoscaling": None, "replicas": 3}}))["product"]

    assert product["replicas"] == 3
    assert "autoscaling" not in product


def test_given_a_null_worker_then_the_service_has_no_such_worker(helm: Helm) -> None:
    order = _specs(_render(helm, {"order": {"workers": {"relay": None}}}))["order"]

    assert [worker["name"] for worker in order["workers"]] == ["consumer"]


def test_given_gateway_settings_then_the_gateway_listens_for_the_routes_of_its_namespace(helm: Helm) -> None:
    settings = {
        "className": "alb",
        "port": 8000,
        "parametersRef": {"group": "gateway.example", "kind": "Settings", "name": "edge"},
    }
    objects = _render(helm, {"gateway": settings})
    gateway = only(objects, "Gateway")

    assert gateway["spec"] == {
        "gatewayClassName": "alb",
        "infrastructure": {"parametersRef": settings["parametersRef"]},
        "listeners": [
            {
                "name": "http",
                "protocol": "HTTP",
                "port": 8000,
                "allowedRoutes": {"namespaces": {"from": "Same"}},
            }
        ],
    }
    assert {spec["gateway"]["name"] for spec in _specs(objects).values()} == {gateway["metadata"]["name"]}


def test_given_an_existing_gateway_then_the_routes_refer_to_it_and_none_is_created(helm: Helm) -> None:
    theirs = {"name": "edge", "namespace": "infra"}
    objects = _render(helm, {"gateway": {"create": False}, "global": {"gateway": theirs}})

    assert "Gateway" not in {each["kind"] for each in objects}
    assert all(spec["gateway"] == theirs for spec in _specs(objects).values())


def test_given_the_seed_then_its_job_is_the_product_service_with_another_command(helm: Helm) -> None:
    values = {
        "product": {"image": {"tag": "v9"}, "env": {"TABLE": "t"}, "serviceAccount": {"name": "catalogue"}}
    }
    objects = _render(helm, values)
    job, product = only(objects, "Job"), _specs(objects)["product"]
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    assert container["command"] == ["python", "-m", "services.product.seed"]
    assert {key: container[key] for key in ("image", "env", "envFrom")} == {
        key: product[key] for key in ("image", "env", "envFrom")
    }
    assert pod["serviceAccountName"] == product["serviceAccount"]["name"]


def test_given_no_serviceaccount_then_the_seed_uses_the_one_that_the_operator_creates(helm: Helm) -> None:
    assert only(_render(helm), "Job")["spec"]["template"]["spec"]["serviceAccountName"] == "product"


def test_given_a_disabled_seed_then_the_chart_renders_no_job(helm: Helm) -> None:
    assert "Job" not in {each["kind"] for each in _render(helm, {"seed": {"enabled": False}})}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"produkt": {}}, "additional properties 'produkt' not allowed"),
        ({"order": {"replica": 2}}, "additional properties 'replica' not allowed"),
        ({"gateway": {"port": 0}}, "at '/gateway/port': minimum: got 0, want 1"),
        ({"gateway": {"class": "alb"}}, "at '/gateway': additional properties 'class' not allowed"),
        ({"global": {"gateway": {"name": ""}}}, "global"),
        ({"seed": {"enabled": "yes"}}, "at '/seed/enabled': got string, want boolean"),
        ({"product": {"replicas": 2}}, "product has both replicas and autoscaling"),
    ],
)
def test_given_an_invalid_value_then_the_error_names_it(
    helm: Helm, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        _render(helm, values)

    assert sentence in caught.value.sentence
