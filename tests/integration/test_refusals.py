"""A write that a cluster policy denies is retried, and succeeds without another event once the policy is removed."""

import http.server
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from shop_operator.cli.explain import Facts, explain
from shopdev.cluster.pki import Authority
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.integration.test_truth import running
from tests.waiting import wait_for

# The second attempt is due after 15 s, the third after 45 s at the latest.
HEALED = 60
_ADMISSION = "/apis/admissionregistration.k8s.io/v1/"
_DEPLOYMENTS = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["deployments"],
}


@contextmanager
def installed(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> Iterator[None]:
    """Objects of admission, until the context ends."""
    paths = []
    for obj in objects:
        path = (
            _ADMISSION + obj["kind"].lower().removesuffix("y") + ("ies" if obj["kind"].endswith("y") else "s")
        )
        obj["metadata"] = {"name": f"deny-{namespace}"}
        obj["apiVersion"] = "admissionregistration.k8s.io/v1"
        cluster.http.post(path, json=obj).raise_for_status()
        paths.append(f"{path}/deny-{namespace}")
    try:
        yield
    finally:
        for path in reversed(paths):
            cluster.http.delete(path).raise_for_status()


def here(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


def policy(namespace: str, reason: str) -> tuple[dict[str, Any], dict[str, Any]]:
    denies = {"expression": "false", "message": "not today", "reason": reason}
    rules = {**here(namespace), "resourceRules": [_DEPLOYMENTS]}
    binding = {"policyName": f"deny-{namespace}", "validationActions": ["Deny"]}
    return (
        {
            "kind": "ValidatingAdmissionPolicy",
            "spec": {"failurePolicy": "Fail", "matchConstraints": rules, "validations": [denies]},
        },
        {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )


def denies(cluster: Cluster, namespace: str) -> bool:
    """Whether the API server has taken notice of what was installed."""
    return probed(cluster, namespace).status_code >= 400


def probed(cluster: Cluster, namespace: str) -> httpx.Response:
    """How the API server answers to a Deployment."""
    pod = {"containers": [{"name": "a", "image": "a"}], "enableServiceLinks": False}
    labels = {"a": "b"}
    probe = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    return cluster.http.post(cluster.path("Deployment", namespace), json=probe, params={"dryRun": "All"})


def stalled(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return condition(cluster.get("ShopService", namespace, "web"), "Stalled")


def is_denied_and_heals(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    with installed(cluster, namespace, *objects):
        wait_for(lambda: denies(cluster, namespace))
        cluster.create(shopservice(namespace))
        wait_for(lambda: stalled(cluster, namespace)["reason"] == "Refused")
        assert stalled(cluster, namespace)["status"] == "True"
        told = condition(cluster.get("ShopService", namespace, "web"), "Ready")
        assert "or the policy or quota that denies it" in told["message"]
        assert "not today" in told["message"]
        assert "RBAC" not in told["message"]
    wait_for(lambda: cluster.find("Deployment", namespace, "web"), HEALED)
    wait_for(lambda: stalled(cluster, namespace)["status"] == "False")


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden", "RequestEntityTooLarge"])
def test_given_a_policy_that_denies_a_deployment_when_it_is_deleted_then_the_deployment_is_created(
    cluster: Cluster, operator: Operator, namespace: str, reason: str
) -> None:
    is_denied_and_heals(cluster, namespace, *policy(namespace, reason))


class _Denying(http.server.BaseHTTPRequestHandler):
    """Denies whatever it is asked about, as a policy engine does by default: with 400."""

    answer: ClassVar[dict[str, Any]] = {"allowed": False, "status": {"code": 400, "message": "not today"}}

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], **self.answer}
        raw = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Overruling(_Denying):
    """Has every pod know of every Service."""

    _PATCH: ClassVar[list[Any]] = [
        {"op": "add", "path": "/spec/template/spec/enableServiceLinks", "value": True}
    ]
    answer: ClassVar[dict[str, Any]] = {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": b64encode(json.dumps(_PATCH).encode()).decode(),
    }


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The clientConfig of a webhook that denies everything."""
    with serving(_Denying, tmp_path) as config:
        yield config


@contextmanager
def serving(handler: type[_Denying], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The clientConfig of a webhook."""
    authority = Authority(tmp_path / "pki")
    authority.create()
    authority.issue("webhook", "/CN=webhook", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "webhook.crt", authority.folder / "webhook.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield {
        "url": f"https://127.0.0.1:{server.server_port}/",
        "caBundle": b64encode(authority.certificate.read_bytes()).decode(),
    }
    server.shutdown()
    thread.join()
    server.server_close()


def test_given_a_webhook_that_denies_a_deployment_when_it_is_deleted_then_the_deployment_is_created(
    cluster: Cluster, operator: Operator, namespace: str, webhook: dict[str, str]
) -> None:
    hook = {
        "name": "deny.shop.test",
        "clientConfig": webhook,
        "rules": [_DEPLOYMENTS],
        **here(namespace),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
    }
    configuration = {"kind": "ValidatingWebhookConfiguration", "webhooks": [hook]}
    is_denied_and_heals(cluster, namespace, configuration)


def test_given_a_manually_created_deployment_with_another_selector_then_the_status_says_to_delete_it(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.create(shopservice(namespace, suspend=True))
    wait_for(lambda: cluster.get("ShopService", namespace, "web").get("status"))
    owner = cluster.get("ShopService", namespace, "web")
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": "ShopService",
        "name": "web",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    labels = {"app": "by-hand"}
    ours = {"app.kubernetes.io/managed-by": "shop-operator", "shopservice.dev/name": "web"}
    metadata = {"name": "web", "namespace": namespace, "labels": ours, "ownerReferences": [reference]}
    cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "a", "image": "a"}]},
                },
            },
        }
    )

    cluster.patch("ShopService", namespace, "web", {"spec": {"suspend": False}})
    wait_for(lambda: stalled(cluster, namespace)["reason"] == "Refused")
    told = condition(cluster.get("ShopService", namespace, "web"), "Ready")["message"]
    assert "spec.selector" in told
    assert "Delete the Deployment web so that the operator can create it again" in told
    assert "accordingly" not in told
    assert stalled(cluster, namespace)["message"].startswith("Delete the Deployment web so that")
    assert explain(Facts(cluster.get("ShopService", namespace, "web"))).next == (
        f"kubectl delete deployment web -n {namespace}"
    )

    cluster.delete("Deployment", namespace, "web")
    wait_for(lambda: stalled(cluster, namespace)["status"] == "False")
    assert cluster.get("Deployment", namespace, "web")["spec"]["selector"]["matchLabels"] != labels


def test_given_a_webhook_that_overrides_a_field_then_the_ready_condition_names_the_field(
    cluster: Cluster, operator: Operator, namespace: str, tmp_path: Path
) -> None:
    with serving(_Overruling, tmp_path) as config:
        hook = {
            "name": "overrule.shop.test",
            "clientConfig": config,
            "rules": [_DEPLOYMENTS],
            **here(namespace),
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
        }
        configuration = {"kind": "MutatingWebhookConfiguration", "webhooks": [hook]}
        with installed(cluster, namespace, configuration):
            wait_for(lambda: overrules(cluster, namespace))
            cluster.create(shopservice(namespace))
            wait_for(running(cluster, namespace), 30)

            found = cluster.get("ShopService", namespace, "web")

    told = "Deployment web (spec.template.spec.enableServiceLinks)."
    assert condition(found, "Ready")["message"].endswith(told)


def overrules(cluster: Cluster, namespace: str) -> bool:
    """Whether the API server has taken notice of the webhook."""
    spec = probed(cluster, namespace).json()["spec"]["template"]["spec"]
    return bool(spec["enableServiceLinks"])
