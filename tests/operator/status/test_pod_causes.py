"""The cause of a pod that is not ready comes first, whole, and with what to do."""

from typing import Any

import pytest

from shop_operator.cli.explain import Facts, explain
from shop_operator.status.diagnosis import (
    Diagnosis,
    diagnosis,
    last_line,
    of_newest,
    probe_answer,
    pull_failure,
)
from shop_operator.status.diagnosis.templates import latest
from shop_operator.wording import clause, number, sentence

HTTP = {"httpGet": {"path": "/readyz", "port": "http"}}


def pod(status: dict[str, Any], **container: Any) -> dict[str, Any]:
    spec = {"name": "app", "image": "web:2", "ports": [{"name": "http", "containerPort": 8080}], **container}
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [spec]},
        "status": {"containerStatuses": [{"name": "app", "image": "web:2", **status}]},
    }


def said(status: dict[str, Any], **container: Any) -> Diagnosis:
    found = diagnosis([pod(status, **container)])
    assert found is not None
    return found


UNREADY = {"ready": False, "started": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("container", "status", "words"),
    [
        ({"readinessProbe": HTTP}, UNREADY, "its readiness probe fails (GET /readyz on port 8080)"),
        (
            {"readinessProbe": HTTP, "startupProbe": {"httpGet": {"path": "/up", "port": 9}}},
            {**UNREADY, "started": False},
            "its startup probe fails (GET /up on port 9)",
        ),
        (
            {"readinessProbe": {"tcpSocket": {"port": 8080}}},
            UNREADY,
            "its readiness probe fails (TCP connection on port 8080)",
        ),
        (
            {"readinessProbe": {"grpc": {"port": 8080}}},
            UNREADY,
            "its readiness probe fails (gRPC health check on port 8080)",
        ),
        (
            {"readinessProbe": {"exec": {"command": ["cat", "/ready"]}}},
            UNREADY,
            "its readiness probe fails (command cat /ready)",
        ),
        ({}, UNREADY, "is running but not ready"),
    ],
)
def test_a_probe_that_fails_is_named_with_its_port(
    container: dict[str, Any], status: dict[str, Any], words: str
) -> None:
    found = said(status, **container)

    assert found.reason == "NotReady"
    assert words in found.message


def test_a_container_that_needs_more_memory_names_its_limit_and_the_cure() -> None:
    killed = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    found = said(
        {"restartCount": 2, "state": killed, "lastState": ended}, resources={"limits": {"memory": "64Mi"}}
    )

    assert (found.reason, found.restarts) == ("OOMKilled", 2)
    assert found.message == (
        "container app was OOM-killed: it exceeded its memory limit (64Mi); raise resources.limits.memory"
    )


def test_a_command_that_is_not_in_the_image_is_no_crash_of_the_app() -> None:
    ended = {
        "reason": "StartError",
        "exitCode": 128,
        "message": 'exec: "x": executable file not found in $PATH',
    }
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    found = said({"restartCount": 2, "state": waiting, "lastState": {"terminated": ended}})

    assert found.reason == "RunContainerError"
    assert "executable file not found" in found.message


def test_what_an_app_writes_as_its_end_is_not_quoted() -> None:
    """With terminationMessagePolicy FallbackToLogsOnError it is a part of its log."""
    ended = {"reason": "Error", "exitCode": 1, "message": "password is hunter2"}

    assert "hunter2" not in said({"state": {"terminated": ended}}).message


PULL = 'failed to pull and unpack image "r.test/web:2": failed to resolve reference "r.test/web:2": '


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            f'{PULL}failed to do request: Head "https://r.test/v2/": dial tcp: lookup r.test on 10.0.0.1:53: no such host',
            "no such host: r.test",
        ),
        (f"{PULL}r.test/web:2: not found", "not found in the registry"),
        (f"{PULL}dial tcp 10.0.0.9:443: connect: connection refused", "connection refused by 10.0.0.9:443"),
        (f"{PULL}pull access denied, repository does not exist", "access denied"),
        (f"{PULL}unexpected status from HEAD request: 403 Forbidden", "access denied"),
        (
            f"{PULL}tls: failed to verify: x509: unknown authority",
            "the certificate of the registry is not trusted",
        ),
        (f"{PULL}no match for platform in manifest: not found", "the image has no variant"),
        (f"{PULL}something else", "something else"),
        (f'Back-off pulling image "r.test/web:2": ErrImagePull: {PULL}r.test/web:2: not found', "not found"),
    ],
)
def test_a_failed_pull_begins_with_its_cause(text: str, cause: str) -> None:
    found = said({"state": {"waiting": {"reason": "ErrImagePull", "message": text}}})

    assert found.message.startswith(f"container app: image web:2 cannot be pulled: {cause}")
    assert len(found.message) < 700


def test_a_pull_that_only_backs_off_names_no_cause() -> None:
    assert pull_failure('Back-off pulling image "web:2"') == ""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("unable to retrieve container logs for containerd://2f59", ""),
        ('failed to try resolving symlinks in path "/var/log/pods/x"', ""),
        ("a\nb\n", "b"),
    ],
)
def test_what_the_kubelet_says_in_place_of_a_log_is_no_log(log: str, line: str) -> None:
    assert last_line(log) == line


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a", "a."),
        ("a.", "a."),
        ("a..", "a."),
        ("a….", "a."),
        ("a:", "a."),
        ("class?", "class?"),
        ("class?.", "class?"),
        ("a!", "a!"),
        ("", ""),
        (" a. ", "a."),
    ],
)
def test_a_sentence_has_one_end(text: str, whole: str) -> None:
    assert sentence(text) == whole
    assert sentence(clause(text)) == whole


def test_one_thing_is_no_plural() -> None:
    assert (number(1, "old pod"), number(2, "old pod")) == ("1 old pod", "2 old pods")


EVENT = 'Readiness probe failed: Get "http://10.0.0.7:8080/readyz": dial tcp 10.0.0.7:8080: connect: connection refused'


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (EVENT, "connection refused"),
        ("Readiness probe failed: HTTP probe failed with statuscode: 404", "HTTP status 404"),
        ('Startup probe failed: Get "http://x": context deadline exceeded', "timed out"),
        ("Readiness probe failed: cat: /ready: no such file", "cat: /ready: no such file"),
        ("Back-off restarting failed container", ""),
    ],
)
def test_the_answer_of_a_probe_is_in_the_event(event: str, answer: str) -> None:
    assert probe_answer(event) == answer


def shop(reason: str, message: str, **spec: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    return {
        "metadata": {"name": "web", "namespace": "tour", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }


def test_explain_adds_what_the_probe_was_answered_and_suggests_to_edit_the_port() -> None:
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
def test_explain_names_the_gateways_that_there_are(there: list[str] | None, words: str) -> None:
    facts = Facts(shop("RouteNotAccepted", "Not accepted", gateway={"name": "shop"}), gateways=there)

    said = explain(facts).sentence

    assert words in said
    assert ("Gateway tour/shop does not exist" in said) is bool(words)


def test_explain_says_how_to_install_what_is_missing() -> None:
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
def test_explain_names_the_object_that_the_cause_is_about(reason: str, message: str, command: str) -> None:
    assert explain(Facts(shop(reason, message))).next == command


def test_pods_of_older_templates_are_left_out_by_deployment() -> None:
    def of(name: str, template: str, revision: int, owner: str) -> dict[str, Any]:
        return {
            "metadata": {
                "name": name,
                "labels": {"pod-template-hash": template},
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [{"uid": owner, "controller": True}],
            }
        }

    replicasets = [of("a-1", "1", 9, "a"), of("a-2", "2", 10, "a"), of("b-3", "3", 1, "b")]
    pods = [of(f"p{each}", each, 0, "") for each in ("1", "2", "3", "4")]

    assert [each["metadata"]["name"] for each in of_newest(pods, replicasets)] == ["p2", "p3", "p4"]


def test_a_revision_of_thousands_of_digits_is_none() -> None:
    def of(template: str, revision: str) -> dict[str, Any]:
        annotations = {"deployment.kubernetes.io/revision": revision}
        return {"metadata": {"labels": {"pod-template-hash": template}, "annotations": annotations}}

    assert latest([of("a", "1"), of("b", "9" * 5_000), newest := of("c", "2")]) == newest
