"""Chromium as a visitor of pages, and `kubectl shop ui` as a process."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    ViewportSize,
    sync_playwright,
)

from shopdev.checkout import ROOT
from shopdev.cluster import chromium as debian_chromium
from shopdev.cluster.progress import ClusterError

WIDE: Final = ViewportSize(width=1280, height=800)
NARROW: Final = ViewportSize(width=320, height=640)
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_SIZES: Final[Mapping[str, ViewportSize]] = {"wide": WIDE, "narrow": NARROW}
_PROGRAM: Final = "from shop_operator.cli.commands import shop; shop(prog_name='kubectl shop')"
_RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# The browser reports every response of 400 and above as an error, also that of a page which explains it.
_EXPECTED: Final = "Failed to load resource: the server responded with a status of"


@contextmanager
def served(kubeconfig: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL that the command prints, while it runs."""
    command = [sys.executable, "-c", _PROGRAM, "--kubeconfig", str(kubeconfig), *arguments]
    environment = {**(env or os.environ), "PYTHONPATH": str(ROOT / "operator")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:"), link
            yield link
        finally:
            process.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium of the distribution. Skips the test if it is missing, except in CI."""
    try:
        program = debian_chromium.ensure()
    except ClusterError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """A tab, with everything that must not happen in it.

    Args:
        context: context of the browser.
        link: the URL that the command printed, or that of another page.
        signed_in: whether the context has the cookie.
        sign_in: URL of a host with sign-in pages, which the tab may request as well.
    """

    def __init__(
        self, context: BrowserContext, link: str, *, signed_in: bool = False, sign_in: str | None = None
    ) -> None:
        split = urlsplit(link)
        self.url = f"{split.scheme}://{split.netloc}"
        self._permitted = tuple(f"{each}/" for each in (self.url, sign_in) if each)
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)
        self.page.on("dialog", self._dialog)
        self.page.goto(self.url if signed_in else link)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_EXPECTED):
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self._permitted):
            self.problems.append(f"request to {request.url}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def opens(self, path: str) -> Page:
        """The page at a path."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def flaws(self) -> list[str]:
        """The problems so far, violations of accessibility rules, and scrolling to the side."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        violations: Any = self.page.evaluate(
            "async options => (await axe.run(options)).violations",
            {"runOnly": list(_RULES), "resultTypes": ["violations"]},
        )
        found = [f"{each['id']}: {node['html']}" for each in violations for node in each["nodes"]]
        return [*self.problems, *found, *self.overflow()]

    def flaws_in_every_appearance(self) -> dict[str, list[str]]:
        """As `flaws`, of the loaded page in light and dark colors, each wide and narrow. Appearance -> problems, if there are any."""
        found = {}
        for scheme in _SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            for name, size in _SIZES.items():
                self.page.set_viewport_size(size)
                found[f"{scheme} {name}"] = self.flaws()
        return {appearance: flaws for appearance, flaws in found.items() if flaws}

    def overflow(self) -> list[str]:
        """Scrolling to the side."""
        wider = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return [f"{wider} px too wide"] if wider > 0 else []


def appearances(browser: Browser, link: str, state: Any = None) -> Iterator[tuple[str, Visitor]]:
    """A tab in light and one in dark colors, each wide and narrow. Without the state of a browser, the first one opens the link."""
    for scheme in _SCHEMES:
        for name, size in _SIZES.items():
            context = browser.new_context(
                color_scheme=scheme,
                viewport=size,
                reduced_motion="reduce",
                storage_state=state,
            )
            yield f"{scheme} {name}", Visitor(context, link, signed_in=state is not None)
            state = context.storage_state()
            context.close()
