"""`kubectl shop explain` adds what a status cannot contain."""

from typing import Any

import pytest

from shop_operator.cli.explain import Facts, explain
from tests.operator.status.diagnosis.causes import EVENT, HTTP, UNREADY, said


def shop(reason: str, message: str, **spec: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    return {
        "metadata": {"name": "web", "namespace": "tour", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }


def test_given_a_refused_readiness_probe_when_explain_runs_then_it_adds_the_answer_and_suggests_an_edit() -> (
    None
):
    found = said(UNREADY, readinessProbe=HTTP)

    told = explain(Facts(shop("NotReady", "x"), found, "Serving on 9000", probes=[EVENT]))

    assert told.sentence == (
        "web is not ready: pod web-1: container app is running but its readiness probe fails"
        " (GET /readyz on port 8080): connection refused;"
        " does the app listen on that port (spec.port) and serve that path (spec.probes.readiness)?"
    )
    assert told.next == "kubectl edit shopservice web -n tour"


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (["infra/shop", "x/y"], "existing Gateways: infra/shop and x/y (set spec.gateway.name"),
        ([], "the cluster has no Gateway"),
        (["tour/shop"], ""),
        (None, ""),
    ],
)
def test_given_a_missing_gateway_when_explain_runs_then_it_names_the_existing_gateways(
    there: list[str] | None, words: str
) -> None:
    facts = Facts(shop("RouteNotAccepted", "Not accepted", gateway={"name": "shop"}), gateways=there)

    said = explain(facts).sentence

    assert words in said
    assert ("Gateway tour/shop does not exist" in said) is bool(words)


def test_given_a_kind_that_is_not_installed_when_explain_runs_then_it_gives_the_next_command() -> None:
    keda = explain(Facts(shop("NotInstalled", "web: scaling by a queue requires KEDA.")))
    other = explain(Facts(shop("NotInstalled", "the API server does not serve this kind.")))

    assert keda.next.startswith("helm upgrade --install keda ")
    assert other.next == "kubectl api-resources"


@pytest.mark.parametrize(
    ("reason", "message", "command"),
    [
        (
            "RolloutPaused",
            "Deployment web-relay: rollout is paused",
            "kubectl rollout resume deployment/web-relay -n tour",
        ),
        ("AutoscalerNotWorking", "x: set resources.requests.cpu.", "kubectl edit shopservice web -n tour"),
        (
            "AutoscalerNotWorking",
            "ScaledObject web: cannot scale",
            "kubectl describe scaledobjects -n tour -l shopservice.dev/name=web",
        ),
        (
            "AutoscalerNotWorking",
            "HorizontalPodAutoscaler web: cannot scale",
            "kubectl describe hpa -n tour -l shopservice.dev/name=web",
        ),
    ],
)
def test_given_a_cause_in_a_child_when_explain_runs_then_its_command_names_that_child(
    reason: str, message: str, command: str
) -> None:
    assert explain(Facts(shop(reason, message))).next == command
