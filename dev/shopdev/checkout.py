"""The checkout that a command works on."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("product", "order", "payment", "shipping")
"""The services of the shop that run in a container, each with an API, in the order in which they are deployed."""
STOREFRONT: Final = "storefront"
"""The pages of the shop, which call the public API only. They have no API, table or queue."""
SHOPSERVICES: Final = (*SERVICES, STOREFRONT)
"""Everything of the shop that runs in a container of its own."""
