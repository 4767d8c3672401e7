"""The commands of the pipeline files. An unknown format is an error, because its commands would not be tested."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILDSPECS = sorted((ROOT / "manifests" / "aws" / "buildspecs").glob("*.yaml"))
RELEASE = ROOT / ".github" / "workflows" / "release.yaml"
"""Releases a version instead of a service; test_release.py runs its commands."""
WORKFLOWS = sorted(each for each in RELEASE.parent.glob("*.yaml") if each != RELEASE)
JENKINSFILE = ROOT / "Jenkinsfile"
ACTIONS = {
    "actions/checkout",
    "aws-actions/configure-aws-credentials",
    "docker/login-action",
    "docker/setup-buildx-action",
    "docker/setup-qemu-action",
    "sigstore/cosign-installer",
}
_SH = re.compile(r"\bsh(?: |\(script: )'(?P<command>[^'\n]+)'")


class UnknownForm(Exception):
    """A pipeline file contains something that this module cannot parse."""


def everything() -> dict[str, list[str]]:
    """File -> its commands, in their order."""
    found = {str(file.relative_to(ROOT)): list(of_buildspec(file)) for file in BUILDSPECS}
    found |= {str(file.relative_to(ROOT)): list(of_workflow(file)) for file in WORKFLOWS}
    return found | {"Jenkinsfile": list(of_jenkinsfile(JENKINSFILE))}


def of_buildspec(file: Path) -> Iterator[str]:
    """The commands in the phases of a buildspec."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    _only(file, document, {"version", "env", "phases", "artifacts", "cache"})
    for name, phase in document["phases"].items():
        _only(file, phase, {"runtime-versions", "commands"})
        for command in phase.get("commands", []):
            if not isinstance(command, str):
                raise UnknownForm(f"{file.name}: phase {name} has {command!r}")
            yield command


def of_workflow(file: Path) -> Iterator[str]:
    """The `run` steps of a workflow. Expressions in them must be environment variables."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name, job in document["jobs"].items():
        for step in job["steps"]:
            _only(file, step, {"id", "if", "uses", "with", "run", "env"})
            if ("uses" in step) == ("run" in step):
                raise UnknownForm(f"{file.name}: a step of {name} neither runs nor uses")
            if "uses" in step:
                action, _, commit = step["uses"].partition("@")
                if action not in ACTIONS or not re.fullmatch(r"[0-9a-f]{40}", commit):
                    raise UnknownForm(f"{file.name}: {step['uses']} is not known, or not by its commit")
                continue
            if "${{" in step["run"]:
                raise UnknownForm(f"{file.name}: {step['run']!r} has an expression; put it into `env`")
            yield step["run"]


def of_jenkinsfile(file: Path) -> Iterator[str]:
    """The `sh` steps of a declarative pipeline."""
    text = re.sub(r"(?m)^\s*//.*$", "", file.read_text(encoding="utf-8"))
    found = [match["command"] for match in _SH.finditer(text)]
    if len(found) != len(re.findall(r"\b(?:sh|bat|powershell|script)\b(?=\s*[('{\"])", text)):
        raise UnknownForm(f"{file.name}: a step that is not of the form sh '…' or sh(script: '…', …)")
    yield from found


def _only(file: Path, found: dict[Any, Any], known: set[str]) -> None:
    if unknown := set(found) - known:
        raise UnknownForm(f"{file.name}: {', '.join(map(str, sorted(unknown)))} is not known here")
