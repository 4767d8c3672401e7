"""The demo's decisions: where it goes, what its images are called, what it says when it cannot go on."""

import os
from pathlib import Path

import pytest

from shopdemo import images, target
from shopdemo.console import DemoError, run


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"CLUSTER": "moon"}, "`local` .* or `current`"),
        ({"AWS": "moon"}, "`emulator` .* or `account`"),
        ({"AWS": "account"}, "needs CLUSTER=current"),
    ],
)
def test_an_unknown_target_is_answered_with_the_known_ones(env: dict[str, str], message: str) -> None:
    with pytest.raises(DemoError, match=message):
        target.choose(env)


def test_the_default_is_the_local_node_with_the_emulator() -> None:
    chosen = target.choose({})

    assert isinstance(chosen, target.LocalNode)
    assert chosen.emulated


def test_current_takes_the_kube_context_and_its_registry() -> None:
    chosen = target.choose({"CLUSTER": "current", "REGISTRY": "registry.example", "AWS": "account"})

    assert isinstance(chosen, target.CurrentContext)
    assert chosen.registry == "registry.example"
    assert not chosen.emulated


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("Dockerfile", ".dockerignore", "lock.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "app.py").write_text("1")
    monkeypatch.setattr(images, "SOURCES", {"app": ("lock.txt", "code")})
    return tmp_path


@pytest.mark.parametrize("changed", ["Dockerfile", "lock.txt", "code/app.py", "code/new.py"])
def test_a_tag_changes_with_everything_that_goes_into_the_image(sources: Path, changed: str) -> None:
    before = images.content_tag("app", "base", sources)

    (sources / changed).write_text("2")

    assert images.content_tag("app", "base", sources) != before


def test_a_tag_changes_with_the_base_and_not_with_compiled_files(sources: Path) -> None:
    before = images.content_tag("app", "base", sources)
    (sources / "code" / "__pycache__" / "app.pyc").write_text("x")

    assert images.content_tag("app", "base", sources) == before
    assert images.content_tag("app", "another base", sources) != before


def test_every_image_of_the_dockerfile_is_planned() -> None:
    stages = (images.ROOT / "Dockerfile").read_text()

    for wanted in images.plan("registry.example", "base").values():
        assert f" AS {wanted.target}\n" in stages
        assert wanted.reference.startswith("registry.example/")


def test_a_failed_command_is_shown_with_the_end_of_what_it_said() -> None:
    with pytest.raises(DemoError, match=r"exit code 3\nno such chart"):
        run(["sh", "-c", "echo no such chart >&2; exit 3"], env=os.environ)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(DemoError, match="no-such-program is not installed"):
        run(["no-such-program"], env=os.environ)


def test_without_a_node_the_error_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="dev/cluster up"):
        target.read_env_file(tmp_path / "env")
