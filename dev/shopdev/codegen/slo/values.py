"""The objectives of the ShopServices in charts/shop/values.yaml."""

from collections.abc import Iterator
from typing import Final

import yaml

from shopdev.checkout import ROOT, SHOPSERVICES
from shopdev.codegen.sections import replaced
from shopdev.codegen.slo.objectives import objectives

VALUES: Final = ROOT / "charts" / "shop" / "values.yaml"
_WIDTH: Final = 118


def generated() -> str:
    """The values with regenerated sections.

    Raises:
        NoMarker: when the file lacks a pair of marker comments.
    """
    text = VALUES.read_text(encoding="utf-8")
    for service in SHOPSERVICES:
        text = replaced(text, f"objectives of {service}", _lines(service))
    return text


def _lines(service: str) -> Iterator[str]:
    found = [dict(each.document) for each in objectives() if each.service == service]
    text = yaml.safe_dump({"slos": found}, sort_keys=False, default_flow_style=None, width=_WIDTH)
    yield from (f"    {line}" for line in text.splitlines())
