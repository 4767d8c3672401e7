"""The files of a release: a whole dry run in a copy of the checkout, without images, which tests/delivery/test_release.py builds."""

import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shopdev.checkout import ROOT
from shopdev.cluster import debian, tools
from shopdev.console import CommandError
from shopdev.demo import images
from shopdev.release import changelog, charts, containers, plugin, signing, tree
from shopdev.release.version import Version, must_follow

VERSION: Final = Version("9.8.7-rc.1")
DATE: Final = "2026-12-01"
KEY: Final = "release@example.com"
NOTES: Final = "## Version notes\n\n### 1.1.0\n\nSee [it](../a.md).\n\n### 1.0.0\n\nOld.\n"
CHANGELOG: Final = """\
# Changelog

## [Unreleased]

### Added

The shop ([page](docs/a.md)):

- A `page` with
  two lines ([how-to](docs/b.md)).

### Fixed

- An [error](docs/c.md).

## [1.0.0] - 2026-01-01

### Added

- All.
"""


# ---- versions


@pytest.mark.parametrize(
    "text", ["v1.2.3", "1.2", "01.2.3", "1.2.3+build", "1.2.3-", "1.2.3-rc.01", "latest"]
)
def test_given_a_text_that_is_no_version_then_it_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=re.escape(repr(text))):
        Version.of(text)


def test_given_versions_when_compared_then_their_order_is_that_of_semantic_versioning() -> None:
    # The example of https://semver.org, item 11.
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
    ]
    ordered += ["1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "2.0.0"]

    precedence = [Version.of(each).order for each in ordered]
    assert all(lower < higher for lower, higher in itertools.pairwise(precedence))


@pytest.mark.parametrize("text", ["1.9.0", "1.10.0-rc.1"])
def test_given_a_newer_tag_then_a_version_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"not newer than 1\.10\.0"):
        must_follow(Version.of(text), ["v1.2.0", "v1.10.0", "nightly"])


@pytest.mark.parametrize("text", ["1.10.0", "1.10.1-rc.1"])
def test_given_only_older_tags_and_its_own_then_a_version_is_accepted(text: str) -> None:
    must_follow(Version.of(text), ["v1.2.0", "v1.10.0", "v2.0"])


# ---- changelog and upgrade notes


def test_given_unreleased_changes_when_dated_then_they_are_the_section_of_the_version() -> None:
    found = changelog.dated(CHANGELOG, Version("1.1.0"), DATE)

    assert "## [Unreleased]\n\n## [1.1.0] - 2026-12-01\n\n### Added" in found
    assert changelog.section(found, Version("1.1.0")).endswith("- An [error](docs/c.md).")
    assert changelog.dated(found, Version("1.1.0"), "2027-01-01") == found


def test_given_no_unreleased_changes_when_dated_then_the_error_says_so() -> None:
    found = changelog.dated(CHANGELOG, Version("1.1.0"), DATE)

    with pytest.raises(CommandError, match=r"no changes below '## \[Unreleased\]'"):
        changelog.dated(found, Version("1.2.0"), DATE)


def test_given_no_section_of_a_version_then_the_error_says_what_to_run() -> None:
    with pytest.raises(CommandError, match=r"dev/release 1\.1\.0 --prepare"):
        changelog.section(CHANGELOG, Version("1.1.0"))


def test_given_a_section_then_its_entries_have_their_group_and_part_and_no_markup() -> None:
    text = changelog.section(changelog.dated(CHANGELOG, Version("1.1.0"), DATE), Version("1.1.0"))

    assert list(changelog.changes(text)) == [
        changelog.Change("added", "The shop", "A page with two lines."),
        changelog.Change("fixed", "", "An error."),
    ]


def test_given_upgrade_notes_then_those_of_a_version_have_links_to_its_files() -> None:
    found = changelog.notes(NOTES, Version("1.1.0"))

    assert changelog.with_links(found, "https://example.com/v1.1.0", "docs/how-to") == (
        "See [it](https://example.com/v1.1.0/docs/a.md)."
    )
    assert changelog.notes(NOTES, Version("1.2.0")) == ""


# ---- places of the version


@pytest.fixture(scope="module")
def released_tree(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with another version."""
    folder = tmp_path_factory.mktemp("tree")
    tree.copy(folder, checkout)
    tree.set_version(folder, VERSION, DATE)
    return folder


def test_given_a_copy_when_a_version_is_set_then_charts_and_package_and_changelog_have_it(
    released_tree: Path,
) -> None:
    for name in tree.CHARTS:
        chart = yaml.safe_load((released_tree / "charts" / name / "Chart.yaml").read_text())
        local = {each["version"] for each in chart.get("dependencies", ())}
        assert {chart["version"], chart.get("appVersion", VERSION.text), *local} == {VERSION.text}
    values = yaml.safe_load((released_tree / "charts/shop/values.yaml").read_text())
    assert values["global"]["image"]["tag"] == VERSION.text
    project = tomllib.loads((released_tree / "operator/pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION.text
    assert changelog.section((released_tree / "CHANGELOG.md").read_text(), VERSION)
    assert changelog.notes((released_tree / tree.UPGRADES).read_text(), VERSION)


def test_given_a_copy_with_the_version_when_it_is_set_again_then_nothing_changes(released_tree: Path) -> None:
    assert tree.set_version(released_tree, VERSION, "2027-01-01") == []


def test_given_a_place_with_another_version_when_a_version_is_set_then_the_error_names_the_file(
    tmp_path: Path,
) -> None:
    tree.copy(tmp_path)
    chart = tmp_path / "charts/local-aws/Chart.yaml"
    chart.write_text(re.sub(r"(?m)^appVersion: .*$", "appVersion: 7.7.7", chart.read_text()))

    with pytest.raises(CommandError, match=r"^charts/local-aws/Chart\.yaml does not contain the version"):
        tree.set_version(tmp_path, VERSION, DATE)


# ---- a dry run


@dataclass(frozen=True)
class Run:
    """A dry run.

    Args:
        folder: the files of the release.
        said: its output.
        keyring: the public key of the signatures.
    """

    folder: Path
    said: list[str]
    keyring: Path

    def chart(self, name: str) -> dict[str, Any]:
        """The Chart.yaml in a package."""
        return dict(yaml.safe_load(self.read(name, "Chart.yaml")))

    def read(self, name: str, file: str) -> str:
        """A file in the package of a chart."""
        with tarfile.open(self.folder / f"{name}-{VERSION.text}.tgz") as package:
            member = package.extractfile(f"{name}/{file}")
            assert member
            return member.read().decode()


def gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def keyrings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A throwaway key: files of its secret and of its public part."""
    if shutil.which("gpg") is None:
        debian.install(("gnupg",))
    # A short path, because gpg-agent listens on a socket in it.
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    gpg(home, "--passphrase", "", "--quick-generate-key", KEY, "rsa2048", "sign", "never")
    secret, public = home / "secret.gpg", home / "public.gpg"
    secret.write_bytes(gpg(home, "--passphrase", "", "--export-secret-keys", KEY))
    public.write_bytes(gpg(home, "--export", KEY))
    yield secret, public
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, whose changelog and upgrade notes have an unreleased entry at any time."""
    folder = tmp_path_factory.mktemp("checkout")
    tree.copy(folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name, heading, entry in (
        (tree.CHANGELOG, "## [Unreleased]\n", "\n### Added\n\n- An entry.\n"),
        (
            tree.UPGRADES,
            "## Version notes\n",
            "\n### Unreleased\n\n- A [step](../reference/shopservice.md).\n",
        ),
    ):
        text = (folder / name).read_text()
        assert heading in text
        (folder / name).write_text(text.replace(heading, heading + entry, 1))
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def release(checkout: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    unset = {"REGISTRY", "DOWNLOADS", "SOURCE", "COSIGN_KEY", "PGP_KEY"}
    return subprocess.run(
        [str(checkout / "dev/release"), *arguments],
        env={name: value for name, value in os.environ.items() if name not in unset} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def unstaged(checkout: Path) -> str:
    """The files that differ from the index."""
    status = ["git", "-C", str(checkout), "status", "--porcelain"]
    lines = subprocess.run(status, capture_output=True, text=True, check=True).stdout.splitlines()
    return "\n".join(line for line in lines if line[1] != " ")


@pytest.fixture(scope="module")
def dry_run(checkout: Path, keyrings: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("release") / "files"
    secret, public = keyrings
    done = release(
        checkout,
        *(
            VERSION.text,
            "--without-images",
            "--output",
            str(folder),
            "--krew-platforms",
            "linux/amd64",
            "linux/arm64",
        ),
        *("--pgp-key", KEY, "--pgp-keyring", str(secret)),
        REGISTRY="registry.example/shop",
        DOWNLOADS="https://downloads.example/v9",
        SOURCE="https://source.example/v9",
    )
    assert done.returncode == 0, done.stderr
    assert unstaged(checkout) == ""
    return Run(folder, done.stdout.splitlines(), public)


@pytest.mark.helm
@pytest.mark.slow
class TestDryRun:
    """The dry run, and its files."""

    def test_given_a_dry_run_then_its_last_line_says_how_to_publish(self, dry_run: Run) -> None:
        assert dry_run.said[-1] == (
            f"dry run: nothing was published. Next: make release VERSION={VERSION.text} PUBLISH=1"
        )

    def test_given_the_checksums_then_they_are_those_of_all_other_files(self, dry_run: Run) -> None:
        sums = dry_run.folder / "SHA256SUMS"

        subprocess.run(["sha256sum", "--check", "--quiet", sums], cwd=dry_run.folder, check=True)
        listed = {line.split()[1] for line in sums.read_text().splitlines()}
        assert listed == {each.name for each in dry_run.folder.iterdir()} - {sums.name}

    @pytest.mark.parametrize("name", tree.CHARTS)
    def test_given_a_chart_then_its_provenance_is_valid_and_its_annotations_equal_the_changelog(
        self, checkout: Path, dry_run: Run, name: str
    ) -> None:
        package = dry_run.folder / f"{name}-{VERSION.text}.tgz"
        helm = tools.ensure("helm3") / "helm"
        subprocess.run(
            [helm, "verify", "--keyring", dry_run.keyring, package], check=True, capture_output=True
        )

        annotations = dry_run.chart(name)["annotations"]
        dated = changelog.dated((checkout / "CHANGELOG.md").read_text(), VERSION, DATE)
        wanted = [
            {"kind": each.kind, "description": each.description}
            for each in changelog.changes(changelog.section(dated, VERSION))
            if each.part in charts.PARTS[name]
        ]
        assert yaml.safe_load(annotations.get("artifacthub.io/changes", "[]")) == wanted
        assert annotations["artifacthub.io/license"] == "Apache-2.0"
        assert annotations["artifacthub.io/prerelease"] == "true"
        found = yaml.safe_load(annotations.get("artifacthub.io/images", "[]"))
        assert [each["image"] for each in found] == [
            f"registry.example/shop/{images.image_name(each)}:{VERSION.text}" for each in charts.IMAGES[name]
        ]

    def test_given_the_chart_of_the_operator_then_its_annotations_name_the_crd_and_an_example(
        self, dry_run: Run
    ) -> None:
        annotations = dry_run.chart("shop-operator")["annotations"]
        crd = yaml.safe_load(dry_run.read("shop-operator", "files/crd.yaml"))
        (named,) = yaml.safe_load(annotations["artifacthub.io/crds"])
        (example,) = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])

        assert named["name"] == crd["metadata"]["name"]
        assert (named["kind"], named["version"]) == (
            crd["spec"]["names"]["kind"],
            crd["spec"]["versions"][0]["name"],
        )
        assert example["kind"] == named["kind"]

    def test_given_the_manifest_then_it_runs_the_image_of_the_release(self, dry_run: Run) -> None:
        found = list(yaml.safe_load_all((dry_run.folder / "install.yaml").read_text()))

        (operator,) = (each for each in found if each["kind"] == "Deployment")
        (container,) = operator["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"registry.example/shop/shop-operator:{VERSION.text}"
        assert "CustomResourceDefinition" in {each["kind"] for each in found}

    def test_given_the_krew_manifest_then_its_archives_have_their_checksums_and_the_plugin_runs(
        self, dry_run: Run, tmp_path: Path
    ) -> None:
        manifest = yaml.safe_load((dry_run.folder / "shop.yaml").read_text())
        assert manifest["spec"]["version"] == VERSION.tag
        for each in manifest["spec"]["platforms"]:
            file = dry_run.folder / each["uri"].removeprefix("https://downloads.example/v9/")
            assert hashlib.sha256(file.read_bytes()).hexdigest() == each["sha256"]
            labels = each["selector"]["matchLabels"]
            assert file.name == f"kubectl-shop-{labels['os']}-{labels['arch']}.tar.gz"
        if f"{sys.version_info.major}.{sys.version_info.minor}" != plugin.PYTHON:
            pytest.skip(f"the archives are for Python {plugin.PYTHON}")
        shutil.unpack_archive(dry_run.folder / "kubectl-shop-linux-amd64.tar.gz", tmp_path, filter="data")
        python = Path(sys.base_prefix) / "bin" / "python3"
        command = [str(python), "-I", str(tmp_path / "kubectl-shop"), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said == "kubectl shop, version 9.8.7rc1\n"

    def test_given_the_archives_of_two_platforms_then_each_has_the_compiled_packages_of_its_own(
        self, dry_run: Run
    ) -> None:
        for platform, machine in (("amd64", "x86_64"), ("arm64", "aarch64")):
            with tarfile.open(dry_run.folder / f"kubectl-shop-linux-{platform}.tar.gz") as archive:
                compiled = [each for each in archive.getnames() if each.endswith(".so")]
            assert compiled
            assert all(f"{machine}-linux" in each for each in compiled)

    def test_given_the_release_notes_then_they_have_upgrade_notes_and_changes_with_absolute_links(
        self, dry_run: Run
    ) -> None:
        text = (dry_run.folder / "release-notes.md").read_text()

        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Upgrade", "Images", "Changes"]
        assert "No special steps." not in text
        assert "https://source.example/v9/docs/" in text
        assert not re.search(r"\]\((docs|services|\.\.)/", text)


@pytest.mark.slow
def test_given_a_checkout_without_the_version_when_published_then_the_error_says_how_to_prepare_it(
    checkout: Path,
) -> None:
    done = release(checkout, VERSION.text, "--publish")

    assert done.returncode == 1
    assert f"run `dev/release {VERSION.text} --prepare` and `make generate`, and commit" in done.stderr


# ---- images and signatures


@pytest.mark.parametrize("target", images.SOURCES)
def test_given_an_image_then_its_lock_is_the_one_that_its_build_reads(target: str) -> None:
    locks = {each for each in images.SOURCES[target] if each.startswith("requirements/")}
    lock = containers.lock(target)

    assert ({str(lock.relative_to(ROOT))} if lock else set()) == locks - {"requirements/build.txt"}


@pytest.fixture
def cosign(tmp_path: Path) -> tuple[Path, Path]:
    """A program in place of cosign that records its arguments: its folder, and the record."""
    log = tmp_path / "asked"
    program = tmp_path / "cosign"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    program.chmod(0o755)
    return tmp_path, log


def test_given_a_key_when_an_image_is_signed_then_cosign_gets_its_digest_and_its_bill(
    cosign: tuple[Path, Path],
) -> None:
    folder, log = cosign
    signer = signing.find("env://KEY", {"PATH": f"{folder}:{os.environ['PATH']}"}, log=False)

    signer.sign("r.example/shop@sha256:1")
    signer.attest("r.example/shop@sha256:1", Path("bill.json"))
    assert signer.sign_file(Path("SHA256SUMS")) == Path("SHA256SUMS.sig")

    flags = "--key env://KEY --yes --tlog-upload=false"
    assert log.read_text().splitlines() == [
        f"sign {flags} r.example/shop@sha256:1",
        f"attest {flags} --type cyclonedx --predicate bill.json r.example/shop@sha256:1",
        f"sign-blob {flags} --output-signature SHA256SUMS.sig SHA256SUMS",
    ]


@pytest.mark.parametrize(
    ("key", "missing"), [(None, "COSIGN_KEY is not set"), ("cosign.key", "cosign is not on PATH")]
)
def test_given_no_key_or_no_program_when_signed_then_the_error_names_the_option_without_signatures(
    tmp_path: Path, key: str | None, missing: str
) -> None:
    with pytest.raises(CommandError, match=rf"{missing}.*--unsigned"):
        signing.find(key, {"PATH": str(tmp_path)}, log=True)
