"""The checkout that a command works on."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("product", "order", "payment", "shipping")
"""The services of the shop that run in a container, each with an API, in the order in which they are deployed."""
