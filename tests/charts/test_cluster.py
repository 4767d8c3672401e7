"""Every chart's manifests are valid for kubeconform with the project's schemas and for a real API server."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import ROOT
from shopdev.cluster import tools
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm, Object
from tests.charts.test_shop_service import FULL, IMAGE

# name -> chart, its own values files, values, namespace
CASES: Mapping[str, tuple[str, tuple[str, ...], dict[str, Any], str]] = {
    "operator": ("shop-operator", (), {}, "shop-operator"),
    "operator-of-two-namespaces": (
        "shop-operator",
        (),
        {"watchNamespaces": ["shop", "aws"]},
        "shop-operator",
    ),
    "service-of-one-value": ("shop-service", (), IMAGE, "shop"),
    "service-of-every-value": ("shop-service", (), FULL, "shop"),
    "shop": ("shop", (), {}, "shop"),
    "shop-local": ("shop", ("values-local.yaml",), {}, "shop"),
    "shop-eks": ("shop", ("values-eks.yaml",), {}, "shop"),
    "local-aws": ("local-aws", (), {}, "aws"),
}
NAMESPACES = sorted({case[-1] for case in CASES.values()})
LINTED = sorted({(chart, files) for chart, files, _, _ in CASES.values()})


@pytest.fixture(scope="module")
def schemas(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    cluster.write_schemas(folder)
    return folder


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Cluster:
    for namespace in NAMESPACES:
        cluster.namespace(namespace)
    return cluster


@pytest.fixture(params=CASES)
def objects(request: pytest.FixtureRequest, helm: Helm) -> list[Object]:
    """Objects rendered by a chart, followed by the objects that the operator renders from its ShopServices."""
    chart, files, values, namespace = CASES[request.param]
    rendered = helm.template(chart, values, files=files, namespace=namespace)
    return [
        *rendered,
        *(child for each in rendered if each["kind"] == "ShopService" for child in _children(each)),
    ]


def _children(resource: Object) -> list[Object]:
    stored = {**resource, "metadata": {**resource["metadata"], "uid": "0-0-0-0", "generation": 1}}
    return render(ShopService.from_object(stored), live=None)


def _conform(schemas: Path, objects: list[Object]) -> subprocess.CompletedProcess[str]:
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    return subprocess.run(
        [
            tools.ensure("kubeconform") / "kubeconform",
            "-strict",
            "-summary",
            "-schema-location",
            location,
            "-",
        ],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("chart", "files"), LINTED, ids=lambda part: part if isinstance(part, str) else "+".join(part)
)
def test_given_a_chart_when_helm_lints_it_strictly_then_it_passes(
    helm: Helm, chart: str, files: tuple[str, ...]
) -> None:
    done = helm.lint(chart, *files)

    assert done.returncode == 0, done.stdout


def test_given_the_rendered_objects_of_a_chart_then_they_conform_to_the_schemas_of_kubernetes(
    schemas: Path, objects: list[Object]
) -> None:
    done = _conform(schemas, objects)

    assert done.returncode == 0, done.stdout


def test_given_a_rendered_object_with_an_unknown_field_then_kubeconform_rejects_it(
    schemas: Path, helm: Helm
) -> None:
    objects = helm.template("shop-operator")
    next(each for each in objects if each["kind"] == "Deployment")["spec"]["template"]["spec"][
        "hostNetwrk"
    ] = True

    done = _conform(schemas, objects)

    assert done.returncode == 1
    assert "hostNetwrk" in done.stdout


def test_given_the_rendered_objects_of_a_chart_then_the_api_server_accepts_them(
    served: Cluster, objects: list[Object]
) -> None:
    served.judge(*objects)


def test_given_the_install_manifest_when_kubectl_applies_it_then_the_api_server_accepts_it(
    served: Cluster,
) -> None:
    served.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        ROOT / "manifests/install.yaml",
    )


def test_given_the_rendered_pods_of_a_chart_then_a_restricted_namespace_admits_them(
    served: Cluster, objects: list[Object]
) -> None:
    for each in objects:
        template = (
            each["spec"].get("template") if each["kind"] in {"Deployment", "Job", "StatefulSet"} else None
        )
        if template:
            served.judge(_pod(each, template))


def _pod(owner: Object, template: Object) -> Object:
    # Whether the ServiceAccount is there has its own check at admission, which is not the one of interest.
    spec = {key: value for key, value in template["spec"].items() if key != "serviceAccountName"}
    metadata = {"name": owner["metadata"]["name"], "namespace": owner["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_given_a_pod_that_violates_the_restricted_standard_then_a_restricted_namespace_rejects_it(
    served: Cluster,
) -> None:
    pod = _pod(
        {"metadata": {"name": "root", "namespace": "shop"}},
        {"spec": {"containers": [{"name": "a", "image": "a"}]}},
    )

    with pytest.raises(AssertionError, match="violates PodSecurity"):
        served.judge(pod)


def test_given_an_invalid_combination_of_valid_values_then_the_api_server_refuses_the_shopservice(
    served: Cluster, helm: Helm
) -> None:
    values = IMAGE | {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}
    objects = helm.template("shop-service", values, namespace="shop")

    with pytest.raises(AssertionError, match="minReplicas"):
        served.judge(*objects)
