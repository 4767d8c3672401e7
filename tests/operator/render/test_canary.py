"""Canary releases whose objects another client has changed or deleted, and whose specs are unusual."""

from typing import Any

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.api.v1alpha1.slos import Slo
from shop_operator.cache.live import live_scale
from shop_operator.cache.snapshot import Child
from shop_operator.names import KEPT_COUNT_ANNOTATION, ChildId
from shop_operator.objects.rollouts import LiveRollout
from shop_operator.objects.summary import summary
from shop_operator.objects.summary.http_route import LiveRoute
from shop_operator.render import LiveScale, Surroundings, render
from shop_operator.render.slo.queries import Scope
from shop_operator.render.slo.rules import groups
from shop_operator.status.verdicts import rollout as verdict
from shop_operator.status.verdicts.verdict import Input, Known

CANARY: dict[str, Any] = {"steps": [{"weight": 10, "pause": "5m"}], "analysis": {"maxErrorRate": "1%"}}
STABLE = {"web": LiveRollout(replicas=5, stable=True, available=True)}


def shop(**spec: Any) -> ShopService:
    return ShopService("web", "ns", "uid", 1, document={"image": "shop:2", "monitoring": {}, **spec})


def found(kind: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in objects if each["kind"] == kind)


def rollout(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "ns", "uid": "r", "resourceVersion": "1", "generation": 1}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": metadata,
        "spec": {"replicas": 5, **spec},
        "status": {"observedGeneration": "1", "stableRS": "abc", "availableReplicas": 5, **status},
    }


def test_given_a_weight_that_no_release_has_when_the_route_is_rendered_then_both_weights_are_valid() -> None:
    around = Surroundings(
        rollouts=STABLE,
        picking={"web-stable", "web-canary"},
        routes={"web": LiveRoute((), (), canary=150)},
    )
    made = shop(rollout={"canary": CANARY}, routes=[{"path": "/"}], gateway={"name": "gateway"})

    (rule,) = found("HTTPRoute", render(made, live=None, around=around))["spec"]["rules"]

    assert [each["weight"] for each in rule["backendRefs"]] == [0, 100]


def test_given_a_long_path_of_metrics_when_requests_are_analyzed_then_the_path_is_left_out() -> None:
    path = "/" + "m" * 200
    made = shop(rollout={"canary": CANARY}, monitoring={"path": path})

    template = found(
        "AnalysisTemplate", render(made, live=None, around=Surroundings(prometheus="http://p:9090"))
    )

    assert path in template["spec"]["metrics"][0]["provider"]["prometheus"]["query"]


def test_given_a_step_before_the_first_when_a_rollout_is_summarized_then_it_has_no_weight() -> None:
    assert summary(rollout({"currentStepIndex": -7}))["canary"] == {"step": 0, "steps": 0, "weight": 100}


def test_given_a_release_that_a_user_paused_then_the_rollout_is_not_ready() -> None:
    steps = {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}}
    paused = rollout(
        {"phase": "Paused", "message": "manually paused", "currentStepIndex": 1}, paused=True, strategy=steps
    )

    found = verdict.judge(Input("Rollout", "web", summary(paused), {}, Known(), 300))

    assert (found.ready, found.reason) == (False, "Canary")
    assert "paused: manually paused" in found.message


def test_given_a_complete_release_that_a_user_paused_then_the_rollout_is_ready() -> None:
    steps = {"canary": {"steps": [{"setWeight": 10}]}}
    counts = {"replicas": 5, "updatedReplicas": 5, "currentStepIndex": 1}
    paused = rollout({"phase": "Paused", "message": "manually paused", **counts}, paused=True, strategy=steps)

    assert verdict.judge(Input("Rollout", "web", summary(paused), {}, Known(), 300)).ready


def test_given_a_deleted_deployment_when_its_rollout_has_pods_then_their_count_is_kept() -> None:
    children = {ChildId("Rollout", "web"): Child.of(rollout({}))}
    made = shop(rollout={"canary": CANARY}, autoscaling={"minReplicas": 1, "maxReplicas": 9})

    objects = render(made, live=live_scale(children, {}), around=Surroundings(rollouts=STABLE))

    assert "replicas" not in found("Rollout", objects)["spec"]
    assert found("Deployment", objects)["spec"]["replicas"] == 0


def test_given_a_count_of_a_removed_autoscaler_when_a_rollout_takes_over_and_returns_then_it_is_recorded() -> (
    None
):
    live = LiveScale(replicas={"web": 5}, autoscaled={"web"})

    taken = render(shop(rollout={"canary": CANARY}), live=live)
    returned = render(shop(), live=live, around=Surroundings(rollouts=STABLE, counts={"web": 0}))

    for each in (found("Rollout", taken), found("Deployment", returned)):
        assert each["spec"]["replicas"] == 5
        assert each["metadata"]["annotations"][KEPT_COUNT_ANNOTATION] == "5"


def test_given_a_queue_in_a_variable_when_a_rollout_runs_the_pods_then_keda_gets_its_address() -> None:
    url = "https://sqs.eu-west-1.amazonaws.com/1/orders"
    queue = {"urlFrom": "QUEUE", "region": "eu-west-1"}
    made = shop(
        rollout={"canary": CANARY},
        env=[{"name": "QUEUE", "value": url}],
        autoscaling={"maxReplicas": 9, "queue": queue},
    )

    described = found("ScaledObject", render(made, live=None))["spec"]["triggers"][0]["metadata"]

    assert described["queueURL"] == url
    assert "queueURLFromEnv" not in described


def test_given_a_template_in_the_address_of_a_runbook_then_prometheus_finds_only_text() -> None:
    slo = Slo.model_validate(
        {
            "name": "fast",
            "objective": "99",
            "indicator": {"latency": {"thresholdMs": 250}},
            "runbookUrl": 'https://runbook/{{"up"|query}}',
        }
    )

    rules = [rule for group in groups(slo, Scope("ns", "web"), "30s") for rule in group["rules"]]

    texts = {rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule}
    assert texts == {'https://runbook/{{"{{"}}"up"|query}}'}
