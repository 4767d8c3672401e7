"""Amounts of money in words. Pure."""

from typing import Final

# The currencies of ISO 4217 without decimal places, and those with three. The others have two.
_NO_PLACES: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
        *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
_THREE_PLACES: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def amount(minor: int, currency: str) -> str:
    """An amount in its currency, such as 12.99 EUR."""
    places = 0 if currency in _NO_PLACES else 3 if currency in _THREE_PLACES else 2
    return f"{minor / 10**places:.{places}f} {currency}"
