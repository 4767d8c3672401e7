"""The pictures in docs/pictures, which tests write if PICTURES is set, as `make pictures` does. Otherwise, they write nothing."""

import os
import shutil
import subprocess
from typing import Final

from playwright.sync_api import Locator, Page

from shopdev.checkout import ROOT
from shopdev.cluster import debian

FOLDER: Final = ROOT / "docs" / "pictures"
LARGEST: Final = 150_000
"""Bytes of the largest picture."""


def wanted() -> bool:
    """Whether the tests write pictures."""
    return bool(os.environ.get("PICTURES"))


def take(shown: Page | Locator, name: str) -> None:
    """Write a picture of the visible part of a page, or of an element, with at most 256 colors."""
    if not wanted():
        return
    if shutil.which("pngquant") is None:
        debian.install(("pngquant",))
    command = ["pngquant", "--strip", "--speed", "1", "-"]
    picture = subprocess.run(command, input=shown.screenshot(), capture_output=True, check=True).stdout
    assert len(picture) <= LARGEST, f"{name} has {len(picture)} bytes"
    FOLDER.joinpath(f"{name}.png").write_bytes(picture)
