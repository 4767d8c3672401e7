"""Prometheus: scrapes the pods of the shop and of the operator, and evaluates the rules of PrometheusRules.

The Prometheus operator is not installed. Pods are found by their labels, and get the target labels that monitors of the Prometheus
operator give them. `load_rules` copies the rules of PrometheusRules.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from shopdev.console import CommandError, run
from shopdev.demo import addons
from shopdev.demo.target import OPERATOR_NAMESPACE, SHOP_NAMESPACE, Target

PORT = 9090
ADDRESS = f"http://prometheus.{addons.OBSERVABILITY}.svc.cluster.local:{PORT}"
"""The URL for other programs of the cluster: the value `prometheus.address` of the operator's chart."""
CRD = "monitoring.coreos.com_prometheusrules.yaml"
RULES = "prometheus-rules"
MARKER = "loaded.yaml"
KUBE_STATE_METRICS = "kube_"
"""Prefix of the series of kube-state-metrics."""
SECONDS_TO_LOAD = 60.0
"""The kubelet updates a mounted ConfigMap with its next sync, and Prometheus reads it a second later."""


def install(target: Target) -> str:
    """Install Prometheus and the kind PrometheusRule, and return the URL of its API on this machine.

    Query with `<url>/api/v1/query?query=up`.
    """
    image = addons.deliver(target, "prometheus")
    _install_kind(target)
    values = {"image": image, "shop": SHOP_NAMESPACE, "operator": OPERATOR_NAMESPACE}
    addons.apply(target, "prometheus", addons.OBSERVABILITY, **values)
    return addons.expose("prometheus", addons.OBSERVABILITY, PORT)


def load_rules(target: Target, url: str) -> list[str]:
    """Copy the rules of the PrometheusRules of the shop, wait until Prometheus has loaded them, and return their groups.

    Raises:
        CommandError: when Prometheus does not load them, for example because one is invalid.
    """
    command = ["kubectl", "-n", SHOP_NAMESPACE, "get", "prometheusrules", "-o", "json"]
    files = rule_files(json.loads(run(command, env=target.env()))["items"])
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RULES, "namespace": addons.OBSERVABILITY},
        "data": {**files, MARKER: marker(digest)},
    }
    apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-"]
    run(apply, env=target.env(), stdin=json.dumps(config))
    _wait_until_loaded(url, digest)
    return sorted(group["name"] for text in files.values() for group in json.loads(text)["groups"])


def rule_files(rules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The rule files of PrometheusRules: name of the file -> its text, which is JSON and therefore YAML.

    Rules about series of kube-state-metrics are left out, because it is not installed.
    """
    return {
        f"{each['metadata']['namespace']}-{each['metadata']['name']}.yaml": json.dumps(
            {"groups": [_measured(group) for group in each["spec"].get("groups", [])]}
        )
        for each in rules
    }


def _measured(group: Mapping[str, Any]) -> dict[str, Any]:
    return {**group, "rules": [rule for rule in group["rules"] if KUBE_STATE_METRICS not in rule["expr"]]}


def marker(digest: str) -> str:
    """A rule file whose only rule has the digest of the others as a label.

    Prometheus loads all files or none. It reports its rules in another format, so they cannot be compared with the files.
    """
    rule = {"record": "loaded_rules_info", "expr": "vector(1)", "labels": {"digest": digest}}
    return json.dumps({"groups": [{"name": "loaded", "rules": [rule]}]})


def _wait_until_loaded(url: str, digest: str) -> None:
    end = time.monotonic() + SECONDS_TO_LOAD
    while digest not in _digests(url):
        if time.monotonic() > end:
            raise CommandError(
                "Prometheus did not load the rules; read its log with "
                f"`kubectl -n {addons.OBSERVABILITY} logs deployment/prometheus`"
            )
        time.sleep(0.5)


def _digests(url: str) -> set[str]:
    """The digests of the loaded rules."""
    try:
        answer = httpx.get(f"{url}/api/v1/rules", timeout=5.0).raise_for_status()
    except httpx.HTTPError:
        return set()
    rules = (rule for group in answer.json()["data"]["groups"] for rule in group["rules"])
    return {rule["labels"]["digest"] for rule in rules if "digest" in rule.get("labels", {})}


def _install_kind(target: Target) -> None:
    from shopdev.cluster import tools  # noqa: PLC0415  Linux only, and only here

    manifest = tools.ensure("prometheus-operator-crds") / CRD
    run(["kubectl", "apply", "--server-side", "-f", str(manifest)], env=target.env())
    run(
        ["kubectl", "wait", "--for=condition=Established", "crd/prometheusrules.monitoring.coreos.com"],
        env=target.env(),
    )
