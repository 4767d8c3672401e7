"""The table of types matches the API server's own schema."""

from typing import Any

import pytest

from shop_operator.objects.kubernetes_schema import of_kind
from shopdev.codegen.kubeschema import table
from shopdev.codegen.kubeschema.sources import zeros_omitted
from tests.integration.cluster import PLURALS, Cluster

pytestmark = pytest.mark.usefixtures("optional_kinds")
CUSTOM = {
    "HTTPRoute": "v1",
    "ScaledObject": "v1alpha1",
    "Rollout": "v1alpha1",
    "AnalysisTemplate": "v1alpha1",
    "ServiceMonitor": "v1",
    "PodMonitor": "v1",
    "PrometheusRule": "v1",
}


def served(cluster: Cluster, path: str) -> dict[str, Any]:
    answer = cluster.http.get(path)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_given_the_schemas_of_the_api_server_when_the_table_is_generated_then_it_equals_the_stored_one(
    cluster: Cluster,
) -> None:
    documents = [served(cluster, f"/openapi/v3/{group}") for group in table.BUILT_IN]
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    manifests = [
        (served(cluster, f"{crds}/{PLURALS[kind][1]}.{PLURALS[kind][0].split('/')[1]}"), version)
        for kind, version in CUSTOM.items()
    ]

    assert table.written(table.table(documents, manifests, zeros_omitted)) == table.TABLE.read_text(), (
        "run `make generate`"
    )


def test_given_a_child_kind_when_its_owner_references_are_looked_up_then_the_schema_knows_their_key() -> None:
    for kind in {*CUSTOM, "Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy"}:
        assert of_kind(kind).below("metadata").below("ownerReferences").keys == ("uid",), kind
