"""`make release VERSION=…`: the files of a release in dist/release-VERSION. Nothing leaves the machine without `--publish`.

A dry run releases the files of this checkout under the version, whatever version they have. To publish, the checkout has to be the
commit of the tag: `--prepare` writes the version into it, for that commit.
"""

import argparse
import datetime as dt
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.cluster.progress import ClusterError
from shopdev.codegen.chartdocs import outputs
from shopdev.console import CommandError, run, say
from shopdev.delivery import engine as engines
from shopdev.delivery.engine import Engine
from shopdev.demo.images import SOURCES, Image, image_name
from shopdev.release import changelog, charts, containers, plugin, signing, tree
from shopdev.release.version import Version, must_follow

NO_REGISTRY = "registry.invalid"
NO_DOWNLOADS = "https://downloads.invalid"
CHECKSUMS = "SHA256SUMS"
MANIFEST_HEAD = """\
# The operator, version {version}, without Helm:
#   kubectl apply --server-side -f install.yaml
"""


def main(argv: list[str] | None = None) -> int:
    """Run and return the exit code."""
    options = _parser().parse_args(argv)
    try:
        version = Version.of(options.version)
        if options.prepare:
            _prepare(version)
        else:
            with tempfile.TemporaryDirectory(prefix="shop-release-") as scratch:
                Release(options, version, Path(scratch)).make()
    except (CommandError, ClusterError) as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"release: {error}\n{error.stderr or ''}")
        return 1
    return 0


@dataclass
class Release:
    """One run.

    Args:
        options: options of the command.
        version: version of the release.
        scratch: folder for the copy of the checkout.
    """

    options: argparse.Namespace
    version: Version
    scratch: Path
    images: dict[str, Image] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    packages: list[Path] = field(default_factory=list)
    signer: signing.Cosign | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def target(self) -> Path:
        """The folder of the release."""
        return Path(self.options.output or ROOT / "dist" / f"release-{self.version.text}")

    @property
    def tree(self) -> Path:
        """The copy of the checkout."""
        return self.scratch / "tree"

    def make(self) -> None:
        """Run every step.

        Raises:
            CommandError: when a step fails; says what to do.
        """
        publish = self.options.publish
        self.step("check", self.check)
        if self.options.without_images:
            say("        images: skipped (--without-images)")
        else:
            engine = engines.find()
            base = self.step("base image", lambda: engine.base(self.options.base))
            self.step("images", lambda: self.build(engine, base))
            self.step("bills", lambda: containers.write_bills(self.images, engine, self.target))
            if publish:
                self.step("push images", lambda: self.push_images(engine, base))
        self.step("charts", self.package)
        self.step("install.yaml", self.write_manifest)
        self.step("plugin", self.build_plugin)
        self.step("notes", self.write_notes)
        if publish:
            self.step("push charts", self.push_charts)
        self.step("checksums", self.write_checksums)
        say(
            f"{self.target}: {sum(1 for _ in self.target.iterdir())} files, {time.monotonic() - self.started:.0f} s"
        )
        if publish:
            say(
                f"published {self.version.text} to {self.options.registry}; attach the files to the release of {self.version.tag}"
            )
        else:
            say(f"dry run: nothing was published. Next: make release VERSION={self.version.text} PUBLISH=1")

    def step(self, title: str, work: Callable[[], str]) -> str:
        """Run a step, print its result and duration in one line, and return the result."""
        start = time.monotonic()
        result = work()
        say(f"{time.monotonic() - start:5.1f} s {title}: {result}")
        return result

    def check(self) -> str:
        """Check the version and the checkout, and copy it with the version in every place."""
        tags = _git("tag", "--list").split()
        must_follow(self.version, tags)
        tree.copy(self.tree)
        changed = tree.set_version(self.tree, self.version, _today())
        changelog.section((self.tree / tree.CHANGELOG).read_text(encoding="utf-8"), self.version)
        if self.options.publish:
            self.check_publication(changed)
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir(parents=True)
        registry = self.options.registry
        self.images = containers.plan(self.version, registry, self.options.targets)
        return f"version {self.version.text}" + (
            f", set in {len(changed)} files of a copy" if changed else ""
        )

    def check_publication(self, changed: list[str]) -> None:
        """Check that the checkout is the commit of the tag, and that everything to publish with is there.

        Raises:
            CommandError: names the first thing that is missing.
        """
        options = self.options
        if changed:
            raise CommandError(
                f"the checkout does not have version {self.version.text} in {', '.join(changed)}: "
                f"run `dev/release {self.version.text} --prepare` and `make generate`, and commit"
            )
        if _git("status", "--porcelain").strip():
            raise CommandError("the checkout has uncommitted changes: commit them before you tag the commit")
        if self.version.tag not in _git("tag", "--points-at", "HEAD").split():
            raise CommandError(
                f"HEAD does not have the tag {self.version.tag}: run `git tag --annotate {self.version.tag}`"
            )
        if options.without_images:
            raise CommandError("a published release includes its images: omit --without-images")
        if options.registry == NO_REGISTRY:
            raise CommandError("REGISTRY is not set: set it to the registry, such as ghcr.io/OWNER")
        if options.downloads == NO_DOWNLOADS:
            raise CommandError(
                "DOWNLOADS is not set: set it to the URL of the folder that will contain the files"
            )
        if not options.unsigned:
            self.signer = signing.find(options.cosign_key, os.environ, log=not options.no_log)

    def build(self, engine: Engine, base: str) -> str:
        """Build the images for this machine, and say which platforms it cannot build."""
        containers.build(self.images, engine, base)
        said = f"{len(self.images)} for {engines.native_platform()}"
        if missing := containers.missing_platforms(engine, self.options.platforms):
            wheels = containers.check_wheels(self.images, missing)
            said += f"; not built here: {', '.join(missing)} (needs buildx and QEMU), but {wheels}"
        return said

    def push_images(self, engine: Engine, base: str) -> str:
        """Push, sign and attest the images."""
        self.digests = containers.push(self.images, engine, base, self.options.platforms)
        if self.signer:
            for target, digest in self.digests.items():
                reference = f"{self.images[target].repository}@{digest}"
                self.signer.sign(reference)
                self.signer.attest(reference, self.target / f"{image_name(target)}.cdx.json")
        return f"{len(self.digests)}, {self.signed} for {', '.join(self.options.platforms)}"

    @property
    def signed(self) -> str:
        """Whether there are signatures, for the output."""
        return "signed" if self.signer else "unsigned"

    def package(self) -> str:
        """Package the charts."""
        options = self.options
        charts.set_images(self.tree, self.images, self.digests)
        charts.annotate(self.tree, self.version, self.images)
        key = (
            charts.PgpKey(options.pgp_key, options.pgp_keyring, options.pgp_passphrase)
            if options.pgp_key
            else None
        )
        self.packages = charts.package(self.tree, self.target, key)
        return f"{len(self.packages)}, " + ("with provenance" if key else "without provenance (--pgp-key)")

    def write_manifest(self) -> str:
        """Write the manifest of the operator, from its packaged chart."""
        head = MANIFEST_HEAD.format(version=self.version.text)
        text = outputs.install_manifest(self.tree / "charts/shop-operator", head)
        (self.target / "install.yaml").write_text(text, encoding="utf-8")
        (image,) = (line.split()[-1] for line in text.splitlines() if line.strip().startswith("image: "))
        return image

    def build_plugin(self) -> str:
        """Build the wheel and the krew archives with their manifest."""
        wheel = plugin.wheel(self.tree, self.target)
        platforms = self.options.krew_platforms
        found = plugin.archives(wheel, self.target, self.scratch / "krew", platforms)
        text = plugin.manifest(self.version, found, self.options.downloads)
        (self.target / "shop.yaml").write_text(text, encoding="utf-8")
        return f"{wheel.name}, and shop.yaml for krew with {', '.join(each.platform for each in found)}"

    def write_notes(self) -> str:
        """Write the release notes: the upgrade notes, the images and the section of the changelog."""
        changes = changelog.section((self.tree / tree.CHANGELOG).read_text(encoding="utf-8"), self.version)
        upgrade = changelog.notes((self.tree / tree.UPGRADES).read_text(encoding="utf-8"), self.version)
        if source := self.options.source:
            changes = changelog.with_links(changes, source)
            upgrade = changelog.with_links(upgrade, source, str(Path(tree.UPGRADES).parent))
        images = "\n".join(
            f"- `{'@'.join(filter(None, (image.reference, self.digests.get(target))))}`"
            for target, image in self.images.items()
        )
        parts = ["## Upgrade", upgrade or "No special steps.", "## Images", images, "## Changes", changes]
        text = "\n\n".join([f"# {self.version.text}", *parts])
        (self.target / "release-notes.md").write_text(text + "\n", encoding="utf-8")
        return f"release-notes.md, {len(text.splitlines())} lines"

    def push_charts(self) -> str:
        """Push and sign the charts."""
        for package in self.packages:
            reference = charts.push(package, self.options.registry)
            if self.signer:
                self.signer.sign(reference)
        return f"{len(self.packages)}, {self.signed}, to oci://{self.options.registry}/charts"

    def write_checksums(self) -> str:
        """Write the checksums of all files, for `sha256sum --check`, and sign them."""
        files = sorted(each for each in self.target.iterdir() if each.is_file())
        lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files]
        sums = self.target / CHECKSUMS
        sums.write_text("".join(lines), encoding="utf-8")
        if self.signer:
            self.signer.sign_file(sums)
        return f"{CHECKSUMS} of {len(files)} files"


def _prepare(version: Version) -> None:
    must_follow(version, _git("tag", "--list").split())
    changed = tree.set_version(ROOT, version, _today())
    say("\n".join(changed) or "nothing to change")
    say(f"Next: run `make generate`, commit, and run `git tag --annotate {version.tag}`")


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _git(*arguments: str) -> str:
    return run(["git", "-C", str(ROOT), *arguments], env=os.environ)


def _parser(env: Mapping[str, str] = os.environ) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev/release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="version of the release, such as 1.2.3 or 1.2.3-rc.1")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prepare", action="store_true", help="write the version into this checkout, and stop")
    what.add_argument("--publish", action="store_true", help="push images and charts, and sign them")
    parser.add_argument("--output", type=Path, help="folder of the files (default: dist/release-VERSION)")
    parser.add_argument("--registry", default=env.get("REGISTRY") or NO_REGISTRY, help="default: REGISTRY")
    parser.add_argument(
        "--downloads",
        default=env.get("DOWNLOADS") or NO_DOWNLOADS,
        help="URL of the files (default: DOWNLOADS)",
    )
    parser.add_argument(
        "--source", default=env.get("SOURCE"), help="URL of the tag's files, for the notes (default: SOURCE)"
    )
    images = parser.add_argument_group("images")
    images.add_argument("--base", help="base image (default: that of the engine)")
    images.add_argument("--targets", nargs="+", choices=SOURCES, default=tuple(SOURCES), metavar="TARGET")
    images.add_argument("--platforms", nargs="+", default=containers.PLATFORMS, metavar="OS/ARCH")
    images.add_argument(
        "--without-images", action="store_true", help="only for a dry run without a container engine"
    )
    parser.add_argument(
        "--krew-platforms",
        nargs="+",
        choices=plugin.PLATFORMS,
        default=tuple(plugin.PLATFORMS),
        metavar="OS/ARCH",
    )
    keys = parser.add_argument_group("signatures")
    keys.add_argument(
        "--pgp-key", default=env.get("PGP_KEY"), help="user ID of the key for the charts (default: PGP_KEY)"
    )
    keys.add_argument(
        "--pgp-keyring",
        type=Path,
        default=env.get("PGP_KEYRING"),
        help="file of secret keys (default: PGP_KEYRING)",
    )
    keys.add_argument(
        "--pgp-passphrase",
        type=Path,
        default=env.get("PGP_PASSPHRASE_FILE"),
        help="default: PGP_PASSPHRASE_FILE",
    )
    keys.add_argument(
        "--cosign-key", default=env.get("COSIGN_KEY"), help="private key of cosign (default: COSIGN_KEY)"
    )
    keys.add_argument(
        "--no-log", action="store_true", help="keep signatures out of the public transparency log"
    )
    keys.add_argument("--unsigned", action="store_true", help="publish without cosign")
    return parser
