"""Money as an integer of minor units with an ISO 4217 code. It is never a float, and never mixes currencies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CODE = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money, zero or more.

    Args:
        amount: minor units, such as cents.
        currency: ISO 4217 code.

    Raises:
        ValueError: the amount is negative or not an integer, or the code does not consist of three capital letters.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int or self.amount < 0:
            raise ValueError(
                f"an amount of money must be an integer of minor units, 0 or more: {self.amount!r}"
            )
        if not _CODE.fullmatch(self.currency):
            raise ValueError(f"the currency must be an ISO 4217 code such as EUR: {self.currency!r}")

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
        """Parses the result of `to_dict`.

        Raises:
            KeyError: a member is missing.
            ValueError: as for `Money`.
        """
        return cls(data["amount"], data["currency"])
