"""ShopServices that a ShopService calls."""

from typing import Annotated, Final

from pydantic import Field

from shop_operator.api.v1alpha1.scalars import ServiceName
from shop_operator.api.v1alpha1.schema import SET, distinct

DependsOn = Annotated[list[ServiceName], Field(max_length=64, json_schema_extra=SET), distinct()]

DEPENDS_ON_ITSELF: Final = "dependsOn must not name the ShopService itself"
NAME_RULE: Final = (
    "!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(d, d == self.metadata.name)",
    DEPENDS_ON_ITSELF,
)
"""Rule of a ShopService; `name_problem` is the same in Python."""


def name_problem(shop: str, depends_on: DependsOn | None) -> str | None:
    """The message of NAME_RULE when a ShopService depends on itself, otherwise None."""
    return DEPENDS_ON_ITSELF if shop in (depends_on or ()) else None
