"""Money as whole minor units and an ISO 4217 code: never a float, never two currencies in one sum."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CODE = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that is zero or more.

    Args:
        amount: minor units (cents for EUR).
        currency: ISO 4217 code.

    Raises:
        ValueError: when the amount is no whole number or below zero, or the code is not three capital letters.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int or self.amount < 0:
            raise ValueError(
                f"an amount of money is a whole number of minor units, 0 or more: {self.amount!r}"
            )
        if not _CODE.fullmatch(self.currency):
            raise ValueError(f"a currency is an ISO 4217 code such as EUR: {self.currency!r}")

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
        return Money(self.amount + other.amount, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount * times, self.currency)

    def to_dict(self) -> dict[str, Any]:
        """{"amount": 1299, "currency": "EUR"}."""
        return {"amount": self.amount, "currency": self.currency}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Money":
        """Reads what `to_dict` writes.

        Raises:
            KeyError: when a member is missing.
            ValueError: as for `Money`.
        """
        return cls(data["amount"], data["currency"])
