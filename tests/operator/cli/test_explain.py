"""Everything that is known, boiled down to one sentence and the next command."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.reasons import REASONS
from shop_operator.cli.explain import Facts, explain, unavailable
from shop_operator.status.diagnosis import Diagnosis


def shop(
    reason: str = "Ready",
    message: str = "All resources match the spec and are ready.",
    *,
    depends: str = "True",
    **spec: Any,
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
                {"type": "DependenciesReady", "status": depends, "message": "product is not available."},
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


CRASH = Diagnosis("CrashLoopBackOff", "container app exited with code 1", "web-1", "app", previous=True)
ENDED = Diagnosis("Error", "container app exited with code 1", "web-1", "app")
FULL = Diagnosis("Unschedulable", "0/1 nodes are available", "web-1")
PULL = Diagnosis("ImagePullBackOff", "container app: not found", "web-1")
SLOW = Diagnosis("NotReady", "container app is running but not ready", "web-1", "app")


@pytest.mark.parametrize(
    ("facts", "reason", "sentence", "command"),
    [
        (Facts(shop()), "Ready", "web is ready: 2/2 pods of web:2.", ""),
        (
            Facts(new()),
            "NotObserved",
            (
                "web is not reconciled yet (generation 3, observed 2)."
                " Check that the operator is running and watches shop."
            ),
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
        (
            Facts(going()),
            "Terminating",
            "web is being deleted and waits for example.com/hold.",
            "kubectl get all -n shop -l shopservice.dev/name=web",
        ),
        (
            Facts(shop("Suspended", "It waits.", suspend=True)),
            "Suspended",
            "web is suspended: the operator changes nothing. It waits.",
            "kubectl shop resume web -n shop",
        ),
        (
            Facts(shop("WaitingForDependencies", "It waits.")),
            "WaitingForDependencies",
            "web is not ready: It waits.",
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
                "web is not ready: pod web-1: container app exited with code 1;"
                " last log line: no such table: orders."
            ),
            "kubectl logs web-1 -c app --previous -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), ENDED),
            "Error",
            "web is not ready: pod web-1: container app exited with code 1.",
            "kubectl logs web-1 -c app -n shop",
        ),
        (
            Facts(shop("RollingOut", "0 of 2."), SLOW),
            "NotReady",
            "web is not ready: pod web-1: container app is running but not ready.",
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
            "web is not ready: 0 of 2. exceeded quota: pods.",
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
                "web reports Ready, but Deployment web has too few pods:"
                " pod web-1: container app exited with code 1. Check that the operator is running."
            ),
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
        (
            Facts(shop(), unavailable="web"),
            "StatusOutdated",
            "web reports Ready, but Deployment web has too few pods. Check that the operator is running.",
            "kubectl get pods -A -l app.kubernetes.io/name=shop-operator",
        ),
    ],
)
def test_given_the_facts_of_a_shopservice_when_explain_runs_then_it_gives_one_sentence_and_the_next_command(
    facts: Facts, reason: str, sentence: str, command: str
) -> None:
    found = explain(facts)

    assert (found.reason, found.sentence, found.next) == (reason, sentence, command)
    assert found.ready is (reason == "Ready")


def deployment(name: str, available: int, *, observed: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, "availableReplicas": available},
    }


REFUSED = "Could not apply Deployment web: Deployment is invalid: spec.selector: Invalid value: {}: field is immutable."


@pytest.mark.parametrize(
    ("message", "cure", "command"),
    [
        (
            f"{REFUSED} Delete the Deployment web-relay so that the operator can create it again; the operator retries.",
            "Delete the Deployment web-relay so that the operator can create it again.",
            "kubectl delete deployment web-relay -n shop",
        ),
        (
            f"{REFUSED} Change the ShopService.",
            REASONS["Refused"].cure,
            "kubectl edit shopservice web -n shop",
        ),
        # In the words of a policy, which are no advice of the operator's.
        (
            "No. Delete the Deployment db so that the operator can create it again.",
            REASONS["Refused"].cure,
            "kubectl edit shopservice web -n shop",
        ),
    ],
)
def test_given_a_refusal_with_a_remedy_in_its_message_when_explain_runs_then_it_gives_that_remedy(
    message: str, cure: str, command: str
) -> None:
    found = explain(Facts(shop("Refused", message)))

    assert (found.cure, found.next) == (cure, command)


@pytest.mark.parametrize(
    ("deployments", "name"),
    [
        ([deployment("web", 2)], ""),
        ([deployment("web-b", 1), deployment("web-a", 0), deployment("web", 2)], "web-a"),
        ([deployment("web", 0, observed=0)], ""),
        ([], ""),
    ],
)
def test_given_a_deployment_with_too_few_pods_then_it_is_found_once_its_controller_has_observed_it(
    deployments: list[dict[str, Any]], name: str
) -> None:
    assert unavailable(deployments) == name
