"""False, 0 and empty text on a real API server: the table lists the fields that store them, and none of them is drift."""

from collections.abc import Iterator
from typing import Any

import pytest

from shop_operator.objects.compare import differences
from shop_operator.objects.kubernetes_schema import Type, of_kind
from tests.integration.cluster import Cluster

# The operator's fixture brings the CRD.
pytestmark = pytest.mark.usefixtures("operator_kubeconfig")

_PROBE = {
    "httpGet": {"port": 1, "path": "", "host": "", "scheme": ""},
    "failureThreshold": 0,
    "initialDelaySeconds": 0,
    "periodSeconds": 0,
    "successThreshold": 0,
    "timeoutSeconds": 0,
}
_CONTAINER = {
    "name": "app",
    "image": "shop:1",
    "imagePullPolicy": "",
    "stdin": False,
    "stdinOnce": False,
    "terminationMessagePath": "",
    "terminationMessagePolicy": "",
    "tty": False,
    "workingDir": "",
    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b", "optional": False}}}],
    "livenessProbe": _PROBE,
    "startupProbe": _PROBE,
    "readinessProbe": {"grpc": {"port": 1, "service": ""}},
    "ports": [{"containerPort": 1, "hostPort": 0, "hostIP": "", "protocol": "TCP"}],
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": False,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "runAsUser": 0,
        "seLinuxOptions": {"level": "", "role": "", "type": "", "user": ""},
    },
    "volumeMounts": [
        {"name": "claim", "mountPath": "/a", "readOnly": False, "subPath": "", "subPathExpr": ""},
    ],
}
_POD = {
    "automountServiceAccountToken": False,
    "containers": [_CONTAINER],
    "dnsPolicy": "",
    "enableServiceLinks": False,
    "hostIPC": False,
    "hostNetwork": False,
    "hostPID": False,
    "hostname": "",
    "nodeName": "",
    "priorityClassName": "",
    "schedulerName": "",
    "setHostnameAsFQDN": False,
    "shareProcessNamespace": False,
    "subdomain": "",
    "terminationGracePeriodSeconds": 0,
    "securityContext": {"runAsUser": 0, "runAsNonRoot": False, "fsGroup": 0},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "", "value": "", "tolerationSeconds": None}],
    "volumes": [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "a", "readOnly": False}},
        {"name": "memory", "emptyDir": {"medium": ""}},
        {"name": "secret", "secret": {"secretName": "a", "defaultMode": 0, "optional": False}},
        {
            "name": "made",
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                        "storageClassName": "",
                        "volumeName": "",
                    }
                }
            },
        },
        {
            "name": "token",
            "projected": {
                "defaultMode": 0,
                "sources": [
                    {"serviceAccountToken": {"path": "a", "audience": ""}},
                    {"configMap": {"name": "a", "optional": False}},
                    {"downwardAPI": {"items": [{"path": "b", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ],
            },
        },
        {"name": "nfs", "nfs": {"server": "a", "path": "/a", "readOnly": False}},
        {"name": "host", "hostPath": {"path": "/a", "type": ""}},
    ],
}


def zeros(desired: Any, live: Any, kind: Type, path: str = "") -> Iterator[tuple[str, bool, bool]]:
    """Every zero value: where, whether it is stored, and whether the table says so."""
    if isinstance(desired, dict):
        for key, value in desired.items():
            there = live.get(key) if isinstance(live, dict) else None
            if isinstance(value, bool | int | str) and not value:
                yield f"{path}.{key}", there == value, key not in kind.omits_zero
            else:
                yield from zeros(value, there, kind.below(key), f"{path}.{key}")
    elif isinstance(desired, list):
        for index, (value, there) in enumerate(zip(desired, live, strict=True)):
            yield from zeros(value, there, kind.item, f"{path}[{index}]")


def test_given_zero_values_when_they_are_applied_then_they_are_stored_as_the_table_says_without_drift(
    cluster: Cluster, namespace: str
) -> None:
    labels = {"a": "b"}
    desired = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "minReadySeconds": 0,
            "paused": False,
            "progressDeadlineSeconds": 600,
            "replicas": 0,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _POD},
        },
    }

    live = cluster.apply(desired)

    found = list(zeros(desired, live, of_kind("Deployment")))
    assert {stored for _, stored, _ in found} == {True, False}
    assert [each for each in found if each[1] != each[2]] == []
    assert differences(desired, live) == []
