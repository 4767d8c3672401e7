"""The API server rejects an invalid spec with a message; an accepted spec is applied completely."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import AUTOSCALING, ROUTE, WORKER, shopservice
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"replicas": 2, "autoscaling": AUTOSCALING}, ["replicas", "autoscaling"]),
        ({"autoscaling": {"minReplicas": 5, "maxReplicas": 2, "cpu": 70}}, ["minReplicas", "maxReplicas"]),
        ({"workers": [WORKER, WORKER]}, ["workers"]),
        (
            {"gateway": {"name": "shop"}, "routes": [{"path": "/", "methods": ["FETCH"]}]},
            ["methods", "FETCH"],
        ),
        ({"image": ""}, ["image"]),
        ({"port": 70000}, ["port", "65535"]),
        ({"replicas": -1}, ["replicas"]),
    ],
)
def test_given_an_invalid_spec_then_the_api_server_refuses_it_and_names_the_field(
    cluster: Cluster, operator: Operator, namespace: str, spec: dict[str, Any], words: list[str]
) -> None:
    answer = cluster.post(shopservice(namespace, **spec))

    assert answer.status_code == 422, answer.text
    message = answer.json()["message"]
    assert all(word in message for word in words), message


def test_given_an_unknown_field_when_a_strict_client_writes_it_then_the_api_server_refuses_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    answer = cluster.http.post(
        cluster.path("ShopService", namespace),
        json=shopservice(namespace, replcas=2),
        params={"fieldValidation": "Strict"},
    )

    assert answer.status_code == 400
    assert 'unknown field "spec.replcas"' in answer.json()["message"]


def test_given_a_spec_with_every_field_then_the_api_server_accepts_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    answer = cluster.post(
        shopservice(
            namespace,
            autoscaling=AUTOSCALING,
            workers=[WORKER],
            **ROUTE,
            dependsOn=["product"],
            disruption={"minAvailable": 1},
            rollout={"maxSurge": 2, "autoRollback": True},
            networkPolicy={"egress": [{"ports": [{"port": 443}]}]},
            monitoring={},
            podTemplate={"spec": {"containers": [{"name": "app", "tty": True}]}},
            suspend=False,
        )
    )

    assert answer.status_code == 201, answer.text


def test_given_a_pod_template_that_sets_a_field_of_the_operator_then_ready_names_that_field(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    template = {"spec": {"containers": [{"name": "app", "image": "other:1"}]}}
    cluster.create(shopservice(namespace, podTemplate=template))

    def stalled() -> bool:
        found = condition(cluster.get("ShopService", namespace, "web"), "Stalled")
        assert (found["status"], found["reason"]) == ("True", "InvalidSpec")
        ready = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
        assert "spec.containers[name=app].image must not be changed here" in ready
        return True

    wait_for(stalled)
    assert cluster.children(namespace) == set()
    cluster.patch("ShopService", namespace, "web", {"spec": {"podTemplate": None}})
    wait_for(lambda: "Deployment/web" in cluster.children(namespace))


def test_given_a_network_policy_when_an_edit_opens_it_then_the_operator_closes_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, networkPolicy={}))
    wait_for(lambda: "NetworkPolicy/web" in cluster.children(namespace))
    assert "ingress" not in cluster.get("NetworkPolicy", namespace, "web")["spec"]

    opened = cluster.patch("NetworkPolicy", namespace, "web", {"spec": {"ingress": [{}]}})

    assert opened["spec"]["ingress"] == [{}]
    wait_for(lambda: "ingress" not in cluster.get("NetworkPolicy", namespace, "web")["spec"])


def test_given_a_spec_that_only_the_deployment_validation_refuses_then_it_stalls_and_others_are_reconciled(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    greedy = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    cluster.create(shopservice(namespace, "greedy", resources=greedy))
    cluster.create(shopservice(namespace, "modest"))

    def stalled() -> bool:
        found = condition(cluster.get("ShopService", namespace, "greedy"), "Stalled")
        assert (found["status"], found["reason"]) == ("True", "Refused")
        ready = condition(cluster.get("ShopService", namespace, "greedy"), "Ready")["message"]
        assert "must be less than or equal to cpu limit of 1" in ready
        return True

    wait_for(stalled)
    wait_for(lambda: "Deployment/modest" in cluster.children(namespace))
    cluster.patch("ShopService", namespace, "greedy", {"spec": {"resources": {"limits": {"cpu": "3"}}}})
    wait_for(lambda: "Deployment/greedy" in cluster.children(namespace))


MISTAKES: Final[dict[str, tuple[str, str]]] = {
    "a map of variables": ("env: {A: b}", 'unknown field "spec.env.A"'),
    "a quantity with a space": (
        "resources: {requests: {cpu: 100 m}}",
        "spec.resources.requests.cpu in body should match '^(?<quantity_such_as_100m_or_0_5_or_128Mi>",
    ),
    "a path without a slash": (
        "{gateway: {name: shop}, routes: [{path: hello}]}",
        'spec.routes[0].path: Invalid value: "string": path must begin with /',
    ),
    "an unknown field": ("replica: 2", 'unknown field "spec.replica"'),
    "a port of a probe": (
        "probes: {liveness: {httpGet: {port: web}}}",
        'spec.probes.liveness.httpGet.port: Invalid value: "": must be a number from 1 to 65535, or http',
    ),
    "a port of a policy": (
        "networkPolicy: {ingress: [{ports: [{port: Http_1}]}]}",
        'ports[0].port: Invalid value: "": must be a number from 1 to 65535 or the name of a port, such as http',
    ),
    "a selected label": (
        "networkPolicy: {ingress: [{from: [{podSelector: {matchLabels: {team: a b}}}]}]}",
        'matchLabels[team]: Invalid value: "string": must be the value of a label: letters',
    ),
    "an excluded address": (
        "networkPolicy: {egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.1]}}]}]}",
        "except[0] in body should match '^(?<must_be_an_address_range_in_CIDR_notation_such_as_10_0_0_0_8_",
    ),
    "a selected key": (
        "networkPolicy: {egress: [{to: [{podSelector: {matchExpressions: [{key: a b, operator: Exists}]}}]}]}",
        "key in body should match '^(?<must_be_the_key_of_a_label_such_as_team_or_example_com_team>",
    ),
}
"""Manifests of users, with a part of the output of `kubectl apply`."""


@pytest.mark.parametrize(("written", "printed"), MISTAKES.values(), ids=MISTAKES)
def test_given_a_typical_mistake_when_kubectl_applies_it_then_it_prints_the_cause(
    cluster: Cluster, operator: Operator, namespace: str, kubectl: Path, written: str, printed: str
) -> None:
    spec = yaml.safe_load(written)
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "apply", "-f", "-"]

    done = subprocess.run(
        command, input=json.dumps(shopservice(namespace, **spec)), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert printed in done.stderr
