"""Each service's OpenAPI document, and the operations in it."""

import functools
import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shopdev.checkout import SERVICES

# What an API needs to be built. Nobody is asked, so nobody has to be there.
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
    """Something that a service can be asked for from outside.

    Args:
        service: whose it is.
        method: in capitals.
        path: with variables as {name}.
        name: its operationId, e.g. "place_order".
        scopes: what a customer's token needs; None when everybody may ask.
        machine: whether machines may ask.
    """

    service: str
    method: str
    path: str
    name: str
    scopes: tuple[str, ...] | None
    machine: bool

    @property
    def partner(self) -> bool:
        """Whether partners may ask: a partner is a customer with a key for a token."""
        return self.scopes is not None

    @property
    def key(self) -> str:
        """As API Gateway calls a route: "GET /orders/{order_id}"."""
        return f"{self.method} {self.path}"


@functools.cache
def document(service: str) -> Mapping[str, Any]:
    """What a service answers at /openapi.json."""
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
