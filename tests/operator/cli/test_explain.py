"""Everything that is known, boiled down to one sentence and the next command."""

from typing import Any

import pytest

from shop_operator.cli.explain import Facts, explain, unavailable
from shop_operator.pods import Diagnosis


def shop(
    reason: str = "Ready", message: str = "Everything is as the spec says.", **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "shop", "generation": 2},
        "spec": {"image": "web:2", **spec},
        "status": {
            "observedGeneration": 2,
            "ready": "2/2",
            "image": "web:2",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if reason == "Ready" else "False",
                    "reason": reason,
                    "message": message,
                },
                {"type": "DependenciesReady", "status": "False", "message": "product is not available."},
            ],
        },
    }


def new() -> dict[str, Any]:
    made = shop()
    made["metadata"]["generation"] = 3
    return made


def going() -> dict[str, Any]:
    made = shop()
    made["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    return made


CRASH = Diagnosis(
    "CrashLoopBackOff", "pod web-1: container app ends with exit code 1", "web-1", "app", previous=True
)
ENDED = Diagnosis("Error", "pod web-1: container app ends with exit code 1", "web-1", "app")
FULL = Diagnosis("Unschedulable", "pod web-1: 0/1 nodes are available", "web-1")
PULL = Diagnosis("ImagePullBackOff", "pod web-1: container app: not found", "web-1")
SLOW = Diagnosis("NotReady", "pod web-1: container app runs and does not answer", "web-1", "app")


@pytest.mark.parametrize(
    ("facts", "reason", "sentence", "command"),
    [
        (Facts(shop()), "Ready", "web is ready: 2/2 pods of web:2.", ""),
        (
            Facts(new()),
            "NotObserved",
            "No operator has looked at this version of web yet: is it running, and does it watch shop?",
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
        (
            Facts(going()),
            "Terminating",
            "web is being deleted and waits for example.com/hold.",
            "kubectl get all -n shop -l shopservice.dev/name=web",
        ),
        (
            Facts(shop("Suspended", suspend=True)),
            "Suspended",
            "web is suspended: the operator leaves everything as it is.",
            "kubectl shop resume web -n shop",
        ),
        (
            Facts(shop("WaitingForDependencies", "It waits.")),
            "WaitingForDependencies",
            "web waits for its dependencies. product is not available.",
            "kubectl shop status -n shop",
        ),
        (
            Facts(shop("InvalidSpec", "spec.port: no."), CRASH),
            "InvalidSpec",
            "web is not ready: spec.port: no.",
            "kubectl edit shopservice web -n shop",
        ),
        (
            Facts(shop("RouteNotAccepted", "Gateway shop/public has not taken it yet.")),
            "RouteNotAccepted",
            "web is not ready: Gateway shop/public has not taken it yet.",
            "kubectl get gateways,httproutes -A",
        ),
        (
            Facts(shop("RollingOut", "0 of 2 pods are available."), CRASH, "no such table: orders"),
            "CrashLoopBackOff",
            (
                "web is not ready: pod web-1: container app ends with exit code 1,"
                " and its last words are: no such table: orders."
            ),
            "kubectl logs web-1 -c app --previous -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), ENDED),
            "Error",
            "web is not ready: pod web-1: container app ends with exit code 1.",
            "kubectl logs web-1 -c app -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), SLOW),
            "NotReady",
            "web is not ready: pod web-1: container app runs and does not answer.",
            "kubectl logs web-1 -c app -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), FULL),
            "Unschedulable",
            "web is not ready: pod web-1: 0/1 nodes are available.",
            "kubectl describe nodes",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), PULL),
            "ImagePullBackOff",
            "web is not ready: pod web-1: container app: not found.",
            "kubectl describe pod web-1 -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), warnings=["exceeded quota: pods"]),
            "RollingOut",
            "web is not ready: 0 of 2. exceeded quota: pods",
            "kubectl shop tree web -n shop",
        ),
        (
            Facts(shop("FailedCreate", "no.")),
            "FailedCreate",
            "web is not ready: no.",
            "kubectl describe deployments -n shop -l shopservice.dev/name=web",
        ),
        (
            Facts(shop("ScalesNever", "no.")),
            "ScalesNever",
            "web is not ready: no.",
            "kubectl shop tree web -n shop",
        ),
        (
            Facts(shop(), CRASH, unavailable="web"),
            "StatusOutdated",
            (
                "web says that it is ready, but Deployment web has too few pods:"
                " pod web-1: container app ends with exit code 1. Is the operator running?"
            ),
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
        (
            Facts(shop(), unavailable="web"),
            "StatusOutdated",
            "web says that it is ready, but Deployment web has too few pods. Is the operator running?",
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
    ],
)
def test_the_sentence_and_the_next_command(facts: Facts, reason: str, sentence: str, command: str) -> None:
    found = explain(facts)

    assert (found.reason, found.sentence, found.next) == (reason, sentence, command)
    assert found.ready is (reason == "Ready")


def deployment(name: str, available: int, *, observed: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, "availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("deployments", "name"),
    [
        ([deployment("web", 2)], ""),
        ([deployment("web-b", 1), deployment("web-a", 0), deployment("web", 2)], "web-a"),
        ([deployment("web", 0, observed=0)], ""),
        ([], ""),
    ],
)
def test_a_deployment_with_too_few_pods_is_found_once_its_controller_has_looked(
    deployments: list[dict[str, Any]], name: str
) -> None:
    assert unavailable(deployments) == name
