"""The actors of these tests: a user of kubectl, and a customer at the gateway."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.waiting import wait_for

_ROOT: Final = Path(__file__).resolve().parents[2]
_PLUGIN: Final = (
    "import sys; from shop_operator.cli.commands import main; sys.argv[0] = 'kubectl-shop'; main()"
)


@dataclass(frozen=True)
class Cluster:
    """kubectl with the plugin, and helm, on the cluster under test."""

    env: dict[str, str]

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["kubectl", *arguments], env=self.env, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def shop(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`kubectl shop` in the namespace of the shop."""
        command = [sys.executable, "-c", _PLUGIN, "-n", "shop", *arguments]
        environment = {**self.env, "PYTHONPATH": str(_ROOT / "operator")}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def helm(self, *arguments: str) -> str:
        done = subprocess.run(
            ["helm", *arguments], env=self.env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, document: dict[str, Any]) -> None:
        done = subprocess.run(
            ["kubectl", "apply", "-f", "-"],
            env=self.env,
            input=json.dumps(document),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def get(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", *arguments, "-o", "json")))

    def pods(self, service: str, component: str) -> list[dict[str, Any]]:
        selector = f"shopservice.dev/name={service},app.kubernetes.io/component={component}"
        items = self.get("pods", "-n", "shop", "-l", selector)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    @contextmanager
    def stopped_worker(self, service: str, worker: str) -> Iterator[None]:
        """A ShopService without pods of a worker, until the end of the block."""
        workers = self.get("shopservice", service, "-n", "shop")["spec"]["workers"]
        (index,) = (number for number, each in enumerate(workers) if each["name"] == worker)
        selector = f"shopservice.dev/name={service},app.kubernetes.io/component=worker-{worker}"
        self._set_replicas(service, index, 0)
        try:
            # A pod that is being deleted may still receive a message.
            wait_for(
                lambda: not self.get("pods", "-n", "shop", "-l", selector)["items"],
                90,
                what=f"no pod of {service}-{worker}",
            )
            yield
        finally:
            self._set_replicas(service, index, workers[index]["replicas"])

    def _set_replicas(self, service: str, worker: int, replicas: int) -> None:
        patch = [{"op": "replace", "path": f"/spec/workers/{worker}/replicas", "value": replicas}]
        self.kubectl("patch", "shopservice", service, "-n", "shop", "--type", "json", "-p", json.dumps(patch))

    def out_of_memory(self, namespace: str) -> list[str]:
        """The containers, as pod/container, that were killed at their memory limit."""
        return [
            f"{pod['metadata']['name']}/{container['name']}"
            for pod in self.get("pods", "-n", namespace)["items"]
            for container in pod["status"].get("containerStatuses", [])
            for state in (container["state"], container["lastState"])
            if state.get("terminated", {}).get("reason") == "OOMKilled"
        ]


@dataclass
class Shop:
    """A customer of the shop, through the gateway."""

    http: httpx.Client
    address: dict[str, str] = field(
        default_factory=lambda: {
            "name": "A new user",
            "line1": "1 Main Street",
            "city": "Berlin",
            "postal_code": "10115",
            "country": "DE",
        }
    )

    def products(self, **query: str) -> list[dict[str, Any]]:
        answer = self.http.get("/products", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def inventory(self, sku: str) -> dict[str, int]:
        answer = self.http.get(f"/inventory/{sku}")
        assert answer.status_code == 200, answer.text
        return {key: answer.json()[key] for key in ("available", "reserved", "sold")}

    def post_order(
        self,
        sku: str,
        quantity: int = 1,
        token: str = "tok_approve",
        postal_code: str = "10115",
        key: str | None = None,
    ) -> httpx.Response:
        body = {
            "items": [{"sku": sku, "quantity": quantity}],
            "payment": {"token": token},
            "shipping_address": {**self.address, "postal_code": postal_code},
        }
        return self.http.post("/orders", json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    def place(self, sku: str, quantity: int = 1, **options: str) -> str:
        answer = self.post_order(sku, quantity, **options)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def order(self, order_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, order_id: str, deadline: float = 120.0) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            order = self.order(order_id)
            return order if order["state"] in {"SHIPPED", "REJECTED", "CANCELLED"} else None

        found = wait_for(final, deadline, what=f"order {order_id} in a final state")
        assert found is not None
        return found
