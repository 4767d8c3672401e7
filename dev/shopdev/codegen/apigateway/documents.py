"""The OpenAPI documents of the services, and their operations."""

import functools
import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shopdev.checkout import SERVICES

# The environment in which an API can be created. It sends no requests, so the addresses need not exist.
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "TABLE": "table",
    "TASKS_QUEUE_URL": "http://127.0.0.1:1/queue",
    "EVENTS_QUEUE_URL": "http://127.0.0.1:1/queue",
    "EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:topic",
    "TOKENS_TABLE": "tokens",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:saga",
    "PROVIDER": "sandbox",
    "CARRIER": "sandbox",
    "AUTH_ISSUER": "https://issuer.test",
    "AUTH_CLIENT_IDS": "client",
}
OWN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"})
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True)
class Operation:
    """An operation of a service that external clients can call.

    Args:
        service: name of the service.
        method: HTTP method in capitals.
        path: path with variables as {name}.
        name: operationId, e.g. "place_order".
        scopes: scopes that the token of a customer needs; None if no token is required.
        machine: whether machines may call it.
    """

    service: str
    method: str
    path: str
    name: str
    scopes: tuple[str, ...] | None
    machine: bool

    @property
    def staff(self) -> bool:
        """Whether only staff may call it."""
        return any(scope.startswith("ops:") for scope in self.scopes or ())

    @property
    def partner(self) -> bool:
        """Whether partners may call it: a partner is a customer with a key instead of a token."""
        return self.scopes is not None and not self.staff

    @property
    def key(self) -> str:
        """The route key of API Gateway, e.g. "GET /orders/{order_id}"."""
        return f"{self.method} {self.path}"


@functools.cache
def document(service: str) -> Mapping[str, Any]:
    """The document that a service serves at /openapi.json."""
    with _environment(ENVIRONMENT):
        app = importlib.import_module(f"services.{service}.app").create_app()
        answer: Mapping[str, Any] = app.test_client().get("/openapi.json").get_json()
        return answer


def operations() -> Iterator[Operation]:
    """Every operation of every service, in the order of their documents."""
    for service in SERVICES:
        for path, methods in document(service)["paths"].items():
            if path in OWN_PATHS:
                continue
            for method, described in methods.items():
                if method in METHODS:
                    yield _operation(service, method, path, described)


def _operation(service: str, method: str, path: str, described: Mapping[str, Any]) -> Operation:
    schemes = {name: scopes for each in described.get("security", []) for name, scopes in each.items()}
    return Operation(
        service,
        method.upper(),
        path,
        described["operationId"],
        tuple(schemes["customer"]) if schemes else None,
        "machine" in schemes,
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
