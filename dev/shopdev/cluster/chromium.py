"""Chromium of the distribution, for the tests of web pages. Playwright's own download is not used."""

import os
import shutil
from pathlib import Path
from typing import Final

from shopdev.cluster import debian
from shopdev.cluster.progress import ClusterError

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# Fonts, and a library that the driver of Playwright requires.
_PACKAGES: Final = ("chromium", "fonts-dejavu-core", "libatomic1")


def ensure() -> Path:
    """The path of Chromium, which is installed if that is possible.

    Raises:
        ClusterError: when it is missing, and the user is not root or the machine has no apt-get.
    """
    program = found()
    if program is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise ClusterError(f"install Chromium to run this test: apt-get install {' '.join(_PACKAGES)}")
        debian.install(_PACKAGES)
        program = found()
    if program is None:
        raise ClusterError("the package chromium contains no program of that name")
    return program


def found() -> Path | None:
    """The path of Chromium; None if it is not installed."""
    there = (shutil.which(each) for each in _NAMES)
    return next((Path(each) for each in there if each), None)
