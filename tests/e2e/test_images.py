"""The images are small and do not run as root."""

import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from shopdev.checkout import SHOPSERVICES
from shopdev.demo import target as targets

LIMIT = 120 * 1000 * 1000
"""Bytes over the base image."""


def _config(reference: str) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        ["buildah", "inspect", "--type", "image", reference], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout)["OCIv1"])


def _size(reference: str) -> int:
    """Bytes of all layers, as they are stored: in the archive that the node is given, the layers are not compressed."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder)
        subprocess.run(
            ["buildah", "push", "--quiet", "--disable-compression", reference, f"oci:{layout}"], check=True
        )
        return sum(blob.stat().st_size for blob in (layout / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize("name", [*SHOPSERVICES, "operator", "sample"])
def test_given_a_built_image_then_it_is_small_and_runs_as_an_unprivileged_user(
    target: targets.Target, name: str
) -> None:
    if not isinstance(target, targets.LocalNode):
        pytest.skip("sizes are read from buildah's store, which only the local node uses")
    built = json.loads((targets.STATE / "images.json").read_text())
    config = _config(built[name])

    assert config["config"]["User"] == "65532:65532"
    assert _size(built[name]) - _size(target.base_image()) <= LIMIT
