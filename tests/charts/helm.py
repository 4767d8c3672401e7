"""Helm as the tests use it: render to objects, lint, and the sentence of a refusal."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shopdev.checkout import ROOT
from shopdev.cluster import tools
from shopdev.codegen.chartdocs.outputs import KUBE_VERSION

Object = dict[str, Any]

_LOCAL_STATE = ("charts", "Chart.lock")


class Refused(Exception):
    """Helm did not render."""

    @property
    def sentence(self) -> str:
        """Error text as shown to the user."""
        return words(str(self))


@dataclass(frozen=True)
class Helm:
    """One helm binary over a folder of charts whose dependencies are built."""

    binary: Path
    charts: Path

    def template(
        self,
        chart: str,
        values: Mapping[str, Any] | None = None,
        *,
        files: Sequence[str] = (),
        release: str = "",
        namespace: str = "default",
    ) -> list[Object]:
        """The objects of a release, in Helm's order.

        Args:
            chart: name of the chart's folder.
            values: go over everything else, as a values file of the user's would.
            files: values files of the chart's own folder.
            release: its name; the chart's by default.
            namespace: where it would go.

        Raises:
            Refused: when the values do not pass the schema or the templates.
        """
        folder = self.charts / chart
        command = [str(self.binary), "template", release or chart, str(folder), "--namespace", namespace]
        for name in files:
            command += ["--values", str(folder / name)]
        done = _rendered(
            (*command, "--values", "-", "--kube-version", KUBE_VERSION), yaml.safe_dump(dict(values or {}))
        )
        if done.returncode:
            raise Refused(done.stderr)
        return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]

    def lint(self, chart: str, *files: str) -> subprocess.CompletedProcess[str]:
        """`helm lint --strict`."""
        folder = self.charts / chart
        command = [str(self.binary), "lint", "--strict", "--kube-version", KUBE_VERSION, str(folder)]
        for name in files:
            command += ["--values", str(folder / name)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def _rendered(command: tuple[str, ...], values: str) -> subprocess.CompletedProcess[str]:
    """One run for all tests that render the same: no test changes the charts of `fresh`."""
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False)


def fresh(charts: Path) -> Helm:
    """The charts as a fresh clone has them, in a folder of their own: `dependency update` writes into it.

    Args:
        charts: a folder that does not exist yet.
    """
    shutil.copytree(
        ROOT / "charts",
        charts,
        ignore=lambda folder, _: _LOCAL_STATE if Path(folder).parent == ROOT / "charts" else (),
    )
    binary = tools.ensure("helm3") / "helm"
    subprocess.run(
        [binary, "dependency", "update", "--skip-refresh", charts / "shop"], capture_output=True, check=True
    )
    return Helm(binary, charts)


def only(objects: Sequence[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind (and name)."""
    found = [each for each in objects if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    assert len(found) == 1, [f"{each['kind']}/{each['metadata']['name']}" for each in objects]
    return found[0]


def names(objects: Sequence[Object]) -> set[str]:
    """Every object as Kind/name."""
    return {f"{each['kind']}/{each['metadata']['name']}" for each in objects}


def words(text: str) -> str:
    """A message on one line, as a reader would take it."""
    return re.sub(r"\s+", " ", text)
