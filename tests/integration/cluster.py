"""A plain REST client of the API server for the tests, so that the tests do not depend on the operator's own client.

lightkube 1.0 is as fast, but it turns responses into objects and exceptions. About a hundred tests check a status code, a
header or the exact body of a response, so a raw client would remain beside it.
"""

import base64
import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

PLURALS: Final[Mapping[str, tuple[str, str]]] = {
    "ShopService": ("apis/shopservice.dev/v1alpha1", "shopservices"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "Rollout": ("apis/argoproj.io/v1alpha1", "rollouts"),
    "AnalysisTemplate": ("apis/argoproj.io/v1alpha1", "analysistemplates"),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
    "ServiceMonitor": ("apis/monitoring.coreos.com/v1", "servicemonitors"),
    "PodMonitor": ("apis/monitoring.coreos.com/v1", "podmonitors"),
    "PrometheusRule": ("apis/monitoring.coreos.com/v1", "prometheusrules"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
}
CHILD_KINDS: Final = (
    "Deployment",
    "Service",
    "ServiceAccount",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Rollout",
    "AnalysisTemplate",
    "ScaledObject",
    "ServiceMonitor",
    "PodMonitor",
    "PrometheusRule",
    "HTTPRoute",
)


class Cluster:
    """Objects by kind, namespace and name."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=str(_file(kubeconfig, cluster, "certificate-authority")))
        context.load_cert_chain(
            _file(kubeconfig, user, "client-certificate"), _file(kubeconfig, user, "client-key")
        )
        self.kubeconfig = kubeconfig
        self.server: str = cluster["server"]
        self.http = httpx.Client(base_url=self.server, verify=context, timeout=20)

    def path(self, kind: str, namespace: str, name: str = "") -> str:
        """The path of a collection or an object."""
        api, plural = PLURALS[kind]
        return f"/{api}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when there is none."""
        answer = self.http.get(self.path(kind, namespace, name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _object(answer)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """One object; LookupError when there is none."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise LookupError(f"no {kind} {namespace}/{name}")
        return found

    def names(self, kind: str, namespace: str) -> set[str]:
        """Every object of one kind that carries our label; empty when the kind is not installed."""
        answer = self.http.get(self.path(kind, namespace), params={"labelSelector": "shopservice.dev/name"})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return set()
        return {item["metadata"]["name"] for item in _object(answer)["items"]}

    def children(self, namespace: str) -> set[str]:
        """Every labelled child as `Kind/name`."""
        return {f"{kind}/{name}" for kind in CHILD_KINDS for name in self.names(kind, namespace)}

    def now(self) -> datetime:
        """The API server's clock, in whole seconds, as in a creationTimestamp."""
        return parsedate_to_datetime(self.http.get("/version").headers["Date"])

    def history(self, kind: str, namespace: str, name: str, since: str) -> list[dict[str, Any]]:
        """Every state that an object has had since a resourceVersion, from the API server's own record."""
        query = {
            "watch": "1",
            "resourceVersion": since,
            "timeoutSeconds": "1",
            "fieldSelector": f"metadata.name={name}",
        }
        answer = self.http.get(self.path(kind, namespace), params=query)
        return [json.loads(line)["object"] for line in answer.text.splitlines()]

    def post(self, obj: Mapping[str, Any]) -> httpx.Response:
        """Try to create an object."""
        return self.http.post(self.path(obj["kind"], obj["metadata"]["namespace"]), json=obj)

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return _object(self.post(obj))

    def apply(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """`kubectl apply --server-side`."""
        metadata = obj["metadata"]
        answer = self.http.patch(
            self.path(obj["kind"], metadata["namespace"], metadata["name"]),
            params={"fieldManager": "kubectl", "force": "true"},
            content=json.dumps(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        return _object(answer)

    def patch(self, kind: str, namespace: str, name: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch an object, as another field manager."""
        answer = self.http.patch(
            self.path(kind, namespace, name),
            json=patch,
            headers={"Content-Type": "application/merge-patch+json"},
            params={"fieldManager": "other-manager"},
        )
        return _object(answer)

    def scale(self, kind: str, namespace: str, name: str, replicas: int) -> None:
        """Write the scale subresource, as the HorizontalPodAutoscaler does."""
        answer = self.http.patch(
            self.path(kind, namespace, name) + "/scale",
            json={"spec": {"replicas": replicas}},
            headers={"Content-Type": "application/merge-patch+json"},
            params={"fieldManager": "kube-controller-manager"},
        )
        answer.raise_for_status()

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, in the background."""
        self.http.delete(self.path(kind, namespace, name)).raise_for_status()

    def namespace(self, name: str, **labels: str) -> str:
        """Create a namespace."""
        metadata = {"name": name, "labels": labels}
        self.http.post("/api/v1/namespaces", json={"metadata": metadata}).raise_for_status()
        return name


def condition(obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One condition of an object's status; LookupError while there is none."""
    found = {c["type"]: c for c in obj.get("status", {}).get("conditions", [])}
    if kind not in found:
        raise LookupError(f"no condition {kind} in {sorted(found)}")
    answer: dict[str, Any] = found[kind]
    return answer


def _object(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    # The API server stores and shows field names in managedFields that are not UTF-8.
    found: dict[str, Any] = json.loads(answer.content.decode(errors="replace"))
    return found


def _file(kubeconfig: Path, entry: Mapping[str, str], field: str) -> Path:
    """A file that a kubeconfig names, or holds as base64."""
    if field in entry:
        return Path(entry[field])
    path = kubeconfig.with_name(f"{kubeconfig.name}.{field}")
    path.write_bytes(base64.b64decode(entry[f"{field}-data"]))
    path.chmod(0o600)
    return path
