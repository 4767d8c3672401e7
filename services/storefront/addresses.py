"""The rules of shipping addresses. The lengths are those of the API; the forms of postal codes are those of each country."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from services.common.values.countries import CODES
from services.storefront.domain import Address

LONGEST: Mapping[str, int] = {"name": 100, "line1": 200, "city": 100, "postal_code": 20, "country": 2}
_POSTAL_CODES: Mapping[str, str] = {
    **dict.fromkeys(("AT", "AU", "BE", "BG", "CH", "CY", "DK", "HU", "LU", "NO", "NZ", "SI"), r"\d{4}"),
    **dict.fromkeys(("DE", "EE", "ES", "FI", "FR", "HR", "IT", "TR"), r"\d{5}"),
    **dict.fromkeys(("CN", "IN", "RO", "SG"), r"\d{6}"),
    **dict.fromkeys(("CZ", "GR", "SE", "SK"), r"\d{3} ?\d{2}"),
    "CA": r"[A-Z]\d[A-Z] ?\d[A-Z]\d",
    "GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}",
    "JP": r"\d{3}-?\d{4}",
    "LT": r"(LT-)?\d{5}",
    "LV": r"(LV-)?\d{4}",
    "NL": r"\d{4} ?[A-Z]{2}",
    "PL": r"\d{2}-\d{3}",
    "PT": r"\d{4}-\d{3}",
    "US": r"\d{5}(-\d{4})?",
}
# An example of each form, for the message about a wrong one.
EXAMPLES: Mapping[str, str] = {
    **dict.fromkeys(("AT", "AU", "BE", "BG", "CH", "CY", "DK", "HU", "LU", "NO", "NZ", "SI"), "1010"),
    **dict.fromkeys(("DE", "EE", "ES", "FI", "FR", "HR", "IT", "TR"), "10115"),
    **dict.fromkeys(("CN", "IN", "RO", "SG"), "110001"),
    **dict.fromkeys(("CZ", "GR", "SE", "SK"), "110 00"),
    "CA": "K1A 0B1",
    "GB": "SW1A 1AA",
    "JP": "100-0001",
    "LT": "LT-01100",
    "LV": "LV-1010",
    "NL": "1012 AB",
    "PL": "00-001",
    "PT": "1000-001",
    "US": "20500",
}


class Flaw(StrEnum):
    """A defect of a field."""

    MISSING = "missing"
    TOO_LONG = "too long"
    UNPRINTABLE = "unprintable"
    UNKNOWN = "unknown"
    WRONG_FORM = "wrong form"


def flaws(address: Address) -> dict[str, Flaw]:
    """The invalid fields of an address: name of the field -> what is wrong with it. Empty for a valid address."""
    return dict(_flaws(address))


def _flaws(address: Address) -> Iterator[tuple[str, Flaw]]:
    for field, longest in LONGEST.items():
        value = getattr(address, field)
        if not value:
            yield field, Flaw.MISSING
        elif len(value) > longest:
            yield field, Flaw.TOO_LONG
        elif not value.isprintable():
            yield field, Flaw.UNPRINTABLE
        elif field == "country" and value not in CODES:
            yield field, Flaw.UNKNOWN
        elif field == "postal_code" and not re.fullmatch(
            _POSTAL_CODES.get(address.country, ".*"), value, re.ASCII | re.IGNORECASE
        ):
            yield field, Flaw.WRONG_FORM
