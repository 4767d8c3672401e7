"""The customers, for Locust, which runs in its own virtual environment: nothing of the project can be imported here.

Each customer orders a product, requests five, orders the next one, and so on. LOAD_TOKEN_COMMAND prints an access token.
"""

import os
import random
import subprocess
import uuid
from http import HTTPStatus
from itertools import cycle

from locust import HttpUser, constant_pacing, task

ADDRESS = {"name": "N", "line1": "Main Street 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
BROWSES = 5
"""Requests of a product between two orders of a customer."""
OUTCOMES = {"tok_approve": 90, "tok_decline": 5, "tok_charge_then_timeout": 5}
"""Payment tokens of the sandbox, each with its share of the orders in percent."""


def access_token() -> str:
    """A new access token of a customer."""
    command = os.environ["LOAD_TOKEN_COMMAND"]
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S602  set by dev/load


class Customer(HttpUser):  # type: ignore[misc]  # Locust is not in the environment of the type checker
    """A customer, who does something every second."""

    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        """Sign in, and read the list of products."""
        self.actions = cycle((self.buy, *[self.browse] * BROWSES))
        self.client.headers["Authorization"] = f"Bearer {access_token()}"
        self.skus = [
            each["sku"] for each in self.client.get("/products?limit=20", name="/products").json()["items"]
        ]

    @task  # type: ignore[untyped-decorator]  # as above
    def act(self) -> None:
        """Do what is next."""
        next(self.actions)()

    def browse(self) -> None:
        """Request a product."""
        self.client.get(f"/products/{random.choice(self.skus)}", name="/products/{sku}")  # noqa: S311  not a secret

    def buy(self) -> None:
        """Order one piece. A token that has expired is replaced, and the same order is sent again."""
        (outcome,) = random.choices(list(OUTCOMES), list(OUTCOMES.values()))  # noqa: S311  not a secret
        order = {
            "items": [{"sku": random.choice(self.skus), "quantity": 1}],  # noqa: S311  not a secret
            "payment": {"token": outcome},
            "shipping_address": ADDRESS,
        }
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        with self.client.post(
            "/orders", name="/orders", json=order, headers=headers, catch_response=True
        ) as answer:
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self.client.headers["Authorization"] = f"Bearer {access_token()}"
                answer.success()
                self.client.post("/orders", name="/orders", json=order, headers=headers)
