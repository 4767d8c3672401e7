"""Persistent customers: they order, retry and cancel until they get a response."""

import contextlib
import random
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from shopdev.customer import ADDRESS

THREADS: Final = 10
PAUSE: Final = 0.3
SKUS: Final = ("CF-001", "CF-002", "CF-005", "TE-005", "CU-001", "CU-006", "TR-001", "TR-006", "CA-001")
SCARCE: Final = ("BR-004", "BR-006", "BR-008")
# Payment token, postal code -> how often, in 100 orders.
KINDS: Final = {
    ("tok_approve", "10115"): 66,
    ("tok_charge_then_timeout", "10115"): 8,
    ("tok_decline", "10115"): 8,
    ("tok_timeout", "10115"): 2,
    ("tok_approve", "00000"): 8,
    ("tok_approve", "99999"): 8,
}
CANCELLED: Final = 0.15
DOUBLED: Final = 0.15
# What an answer says that holds for good. Any other is asked for again.
FINAL: Final = frozenset({httpx.codes.ACCEPTED, httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY})


class Customers:
    """They order at every address of the order service's API.

    Args:
        addresses: of the order service's API.
        token: answers an access token.
        seed: of every choice.
        kinds: payment token and postal code -> how often.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        token: Callable[[], str],
        seed: int,
        kinds: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._addresses = addresses
        self._token = token
        self._seed = seed
        self._kinds = kinds or KINDS
        self._http = httpx.Client(timeout=10)
        self._lock = threading.Lock()
        self.requests: dict[str, dict[str, Any]] = {}
        """Idempotency-Key -> the body that it was sent with."""
        self.accepted: dict[str, list[str]] = defaultdict(list)
        """Id of an order -> each answer that its customer had."""
        self.told_cancelled: set[str] = set()
        self.refused: list[str] = []
        self.unanswered: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0

    def close(self) -> None:
        """Ends their connections."""
        self._http.close()

    def order(self, count: int, per_second: float, deadline: float) -> None:
        """Places a number of orders, and cancels some of them. Returns after every customer has a response.

        Args:
            count: of orders.
            per_second: how many are placed, at most.
            deadline: seconds from now after which a customer gives up.
        """
        end = time.monotonic() + deadline
        with ThreadPoolExecutor(THREADS) as pool:
            think = 2 * THREADS / per_second
            done = [pool.submit(self._one, number, think, end) for number in range(count)]
        for each in done:
            each.result()

    def repeat(self, keys: Sequence[str], deadline: float) -> None:
        """Repeats requests that already have a response."""
        end = time.monotonic() + deadline
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda key: self._place(key, random.Random(key), end), keys))  # noqa: S311

    def _one(self, number: int, think: float, end: float) -> None:
        chance = random.Random(f"{self._seed}-{number}")  # noqa: S311  repeatable, not secret
        time.sleep(chance.uniform(0, think))
        key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        self.requests[key] = self._wish(chance)
        if chance.random() < DOUBLED:
            other = threading.Thread(target=self._place, args=(key, random.Random(key), end))  # noqa: S311
            other.start()
            order_id = self._place(key, chance, end)
            other.join()
        else:
            order_id = self._place(key, chance, end)
        if order_id and chance.random() < CANCELLED:
            time.sleep(chance.uniform(0, 2))
            self._cancel(order_id, chance, end)

    def _wish(self, chance: random.Random) -> dict[str, Any]:
        skus = chance.sample(SKUS, chance.choice((1, 1, 1, 2, 3)))
        if chance.random() < 0.1:
            skus.append(chance.choice(SCARCE))
        token, postal_code = chance.choices(list(self._kinds), list(self._kinds.values()))[0]
        return {
            "items": [{"sku": sku, "quantity": chance.randint(1, 3)} for sku in skus],
            "payment": {"token": token},
            "shipping_address": {**ADDRESS, "postal_code": postal_code},
        }

    def _place(self, key: str, chance: random.Random, end: float) -> str | None:
        began = time.monotonic()
        answer = self._sent("/orders", chance, end, FINAL, key=key, body=self.requests[key])
        self.slowest = max(self.slowest, time.monotonic() - began)
        with self._lock:
            if answer is None:
                self.unanswered.append(key)
            elif answer.status_code == httpx.codes.ACCEPTED:
                order_id = str(answer.json()["id"])
                self.accepted[order_id].append(answer.text)
                return order_id
            else:
                self.refused.append(f"{answer.status_code} {answer.text}")
        return None

    def _cancel(self, order_id: str, chance: random.Random, end: float) -> None:
        final = frozenset({httpx.codes.ACCEPTED, httpx.codes.CONFLICT})
        answer = self._sent(f"/orders/{order_id}/cancel", chance, end, final)
        if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
            self.told_cancelled.add(order_id)

    def _sent(
        self,
        path: str,
        chance: random.Random,
        end: float,
        final: frozenset[int],
        *,
        key: str | None = None,
        body: dict[str, Any] | None = None,
    ) -> httpx.Response | None:
        while time.monotonic() < end:
            headers = {"Authorization": f"Bearer {self._token()}"} | ({"Idempotency-Key": key} if key else {})
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.post(chance.choice(self._addresses) + path, json=body, headers=headers)
                self.statuses[answer.status_code] += 1
                if answer.status_code in final:
                    return answer
            time.sleep(chance.uniform(0, 2 * PAUSE))
        return None
