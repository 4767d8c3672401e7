"""One zip per function: the folder of its service, services/common, and the Python packages.

A zip depends only on its content: the entries are sorted and have a fixed time and mode. A note beside it contains the hash of its
sources, so that an unchanged function is not built again.
"""

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from shopdev.checkout import ROOT
from shopdev.lambdas import packages
from shopdev.lambdas.built import BUILT

# Function -> its service.
FUNCTIONS: Mapping[str, str] = {
    "place-order": "order",
    "check-inventory": "product",
    "sales-summary": "sales",
    "import-catalogue": "product",
    "watch-stock": "product",
    "authorize-partner": "partners",
}
# AWS limit of a zip that the API accepts in one request.
LARGEST = 50 * 1024 * 1024
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3

Say = Callable[[str], object]


def build(say: Say, folder: Path = BUILT, chosen: Sequence[str] = tuple(FUNCTIONS)) -> list[Path]:
    """Build the functions that changed, and return the zips of all.

    Args:
        say: gets a line per step.
        folder: output folder.
        chosen: names of the functions.

    Raises:
        BuildFailed: when a zip cannot be built or is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Concurrent builds would remove each other's packages; the second one waits and finds everything up to date.
    with FileLock(folder / ".lock"):
        return [_build(name, folder, f"[{index}/{len(chosen)}]", say) for index, name in enumerate(chosen, 1)]


def _build(name: str, folder: Path, step: str, say: Say) -> Path:
    file, note = folder / f"{name}.zip", folder / f"{name}.made-of"
    made_of = _key(FUNCTIONS[name])
    if file.exists() and note.exists() and note.read_text(encoding="utf-8") == made_of:
        say(f"{step} {name} is up to date")
        return file
    started = time.monotonic()
    installed = _packages(folder, step, say)
    say(f"{step} {name}: building…")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        own = Path(temporary) / "own"
        for source in _sources(FUNCTIONS[name]):
            copy = own / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        packages.compile_all(own)
        made = Path(temporary) / file.name
        _zip(made, [own, installed])
        if made.stat().st_size > LARGEST:
            raise packages.BuildFailed(
                f"{name}.zip has {made.stat().st_size} bytes, but the limit of Lambda is {LARGEST}"
            )
        made.replace(file)
    note.write_text(made_of, encoding="utf-8")
    say(f"{step} {name}.zip: {file.stat().st_size / 1e6:.1f} MB in {time.monotonic() - started:.1f} s")
    return file


def _packages(folder: Path, step: str, say: Say) -> Path:
    """The installed packages; those of an earlier build if nothing changed."""
    target = folder / "packages" / packages.key()[:16]
    if not target.exists():
        say(f"{step} installing the Python packages for Lambda (once per lock file)…")
        shutil.rmtree(target.parent, ignore_errors=True)
        packages.install(target)
    return target


def _sources(service: str) -> Iterator[Path]:
    services = ROOT / "services"
    yield services / "__init__.py"
    for part in ("common", service):
        yield from (
            file
            for file in sorted((services / part).rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts and file.name != "README.md"
        )


def _key(service: str) -> str:
    digest = hashlib.sha256(packages.key().encode() + Path(__file__).read_bytes())
    for source in _sources(service):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _zip(made: Path, folders: Sequence[Path]) -> None:
    entries = {
        file.relative_to(folder).as_posix(): file
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file()
    }
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr, entry.create_system = _MODE, _UNIX
            archive.writestr(entry, entries[name].read_bytes())
