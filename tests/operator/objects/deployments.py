"""Deployments for the comparison of objects."""

from typing import Any

SECRET = {"secretKeyRef": {"name": "db", "key": "password"}}


def deployment(**container: Any) -> dict[str, Any]:
    """A Deployment with one container that has these fields."""
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", **container}]}}},
    }


def env(*variables: dict[str, Any]) -> dict[str, Any]:
    """A Deployment whose container has these variables."""
    return deployment(env=list(variables))
