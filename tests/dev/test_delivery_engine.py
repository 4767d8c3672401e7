"""The commands that a delivery runs with docker or podman, recorded by a fake program."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shopdev.console import CommandError
from shopdev.delivery.engine import Docker
from shopdev.demo import images

DIGEST = f"sha256:{'a' * 64}"
Engine = Callable[[list[str]], Docker]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine that records its commands and knows some digests of an image."""

    def make(digests: list[str]) -> Docker:
        program = tmp_path / "docker"
        log, known = tmp_path / "asked", tmp_path / "digests"
        known.write_text(json.dumps(digests))
        program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nif [ "$1" = image ]; then cat {known}; fi\n')
        program.chmod(0o755)
        env: Mapping[str, str] = {"PATH": os.environ["PATH"]}
        return Docker(str(program), env)

    return make


@pytest.mark.parametrize(
    ("named", "reference", "digests", "base"),
    [
        (None, images.OFFICIAL_BASE, [f"python@{DIGEST}"], f"python@{DIGEST}"),
        (None, images.OFFICIAL_BASE, [f"docker.io/library/python@{DIGEST}"], f"docker.io/library/python@{DIGEST}"),
        ("r.example.com:5000/base", "r.example.com:5000/base", [f"other@{DIGEST}", f"r.example.com:5000/base@{DIGEST}"],
         f"r.example.com:5000/base@{DIGEST}"),
    ],
    ids=["docker", "podman", "a registry with a port"],
)  # fmt: skip
def test_given_a_base_image_with_a_tag_when_built_then_its_newest_content_is_pulled_and_named_by_digest(
    engine: Engine, tmp_path: Path, named: str | None, reference: str, digests: list[str], base: str
) -> None:
    assert engine(digests).base(named) == base

    assert (tmp_path / "asked").read_text().splitlines()[0] == f"pull {reference}"


def test_given_a_base_image_with_a_digest_when_built_then_nothing_is_pulled(
    engine: Engine, tmp_path: Path
) -> None:
    named = f"python@{DIGEST}"

    assert engine([]).base(named) == named
    assert not (tmp_path / "asked").exists()


def test_given_a_base_image_with_an_unknown_digest_when_built_then_the_delivery_fails(engine: Engine) -> None:
    with pytest.raises(CommandError, match="has no digest"):
        engine([]).base(None)


def test_given_a_patched_base_when_planned_then_the_image_of_the_same_sources_has_another_tag() -> None:
    before, after = (
        images.plan("registry", f"python@sha256:{content * 64}", targets=["order"])["order"]
        for content in "ab"
    )

    assert before.tag != after.tag


def test_given_an_image_when_pushed_then_the_digest_is_that_of_its_repository(engine: Engine) -> None:
    pushed = engine([f"other@sha256:{'b' * 64}", f"registry:5000/shop-order@{DIGEST}"])

    assert pushed.push("registry:5000/shop-order:tag") == DIGEST
