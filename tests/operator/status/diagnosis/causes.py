"""Pods whose containers are not ready, for tests of their diagnosis."""

from typing import Any

from shop_operator.status.diagnosis import (
    Diagnosis,
    diagnosis,
)

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


EVENT = 'Readiness probe failed: Get "http://10.0.0.7:8080/readyz": dial tcp 10.0.0.7:8080: connect: connection refused'
