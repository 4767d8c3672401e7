"""What the images promise: small, and nobody's root."""

import json
import subprocess

import pytest

from shopdemo import target as targets
from shopdemo.images import SERVICES

LIMIT = 120 * 1000 * 1000
"""Bytes over the base image."""


def _config(reference: str) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        ["buildah", "inspect", "--type", "image", reference], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout)["OCIv1"])


def _size(reference: str) -> int:
    done = subprocess.run(["buildah", "images", "--json"], capture_output=True, text=True, check=True)
    return next(int(i["sizeinbytes"]) for i in json.loads(done.stdout) if reference in (i.get("names") or []))


@pytest.mark.parametrize("name", [*SERVICES, "operator"])
def test_an_image_is_small_and_runs_as_nobody(target: targets.Target, name: str) -> None:
    if not isinstance(target, targets.LocalNode):
        pytest.skip("sizes are read from buildah's store, which only the local node uses")
    built = json.loads((targets.STATE / "images.json").read_text())
    config = _config(built[name])

    assert config["config"]["User"] == "65532:65532"
    assert _size(built[name]) - _size(target.base_image()) <= LIMIT
