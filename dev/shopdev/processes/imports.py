"""The processes that a changed file affects: those that import it, according to their sources, or that read it at their start."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

FACTORY = "create_app"
"""The function of an app module that builds the API. Workers neither call it nor import what it imports."""
READ_AT_START = frozenset({".css", ".html", ".js", ".po", ".svg"})
"""The suffixes of templates, translations and static files, which belong to the package in whose folder they are."""


def modules_of(root: Path, entries: Sequence[str], *, with_factory: bool) -> frozenset[str]:
    """The modules below `root` that a process imports, with its entry modules.

    Args:
        root: folder in which imports are resolved.
        entries: modules with which the process starts.
        with_factory: whether it calls the factory of its app module.
    """
    found: set[str] = set()
    left = [name for entry in entries for name in _with_packages(entry)]
    while left:
        name = left.pop()
        file = file_of(root, name)
        if name in found or file is None:
            continue
        found.add(name)
        left += _imported(file.read_text(encoding="utf-8"), with_factory=with_factory)
    return frozenset(found)


def file_of(root: Path, module: str) -> Path | None:
    """The source of a module; None if it is not below `root`."""
    path = root.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def affected(root: Path, processes: Mapping[str, tuple[Sequence[str], bool]], files: set[Path]) -> list[str]:
    """The processes that use one of the files, or might do so because a source is invalid.

    Args:
        root: folder in which imports are resolved.
        processes: name -> entry modules, and whether the process calls the factory.
        files: changed files, relative to `root`. Other files than those of Python and `READ_AT_START`, such as contracts,
            affect no process.
    """
    changed = {_imported_for(root, file) for file in files if file.suffix in {".py", *READ_AT_START}}
    names = []
    for name, (entries, with_factory) in processes.items():
        try:
            used = {file_of(root, module) for module in modules_of(root, entries, with_factory=with_factory)}
        except SyntaxError:
            # The imports of an invalid source are unknown until it is corrected.
            used = {root / file for file in changed}
        if {root / file for file in changed} & used:
            names.append(name)
    return names


def _imported_for(root: Path, file: Path) -> Path:
    """The source that a process imports if it uses a file: the file, or the package of a template."""
    if file.suffix == ".py":
        return file
    packages = (folder / "__init__.py" for folder in file.parents)
    return next((package for package in packages if (root / package).is_file()), file)


def _with_packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))


@cache
def _imported(text: str, *, with_factory: bool) -> tuple[str, ...]:
    """The modules that a source may import. They are cached, because few sources change at a time."""
    found = _imports(ast.parse(text), with_factory=with_factory)
    return tuple(sorted({each for wanted in found for each in _with_packages(wanted)}))


def _imports(tree: ast.AST, *, with_factory: bool) -> Iterator[str]:
    """The names in all import statements of a source, except those for annotations only; some are not modules."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) if name == FACTORY and not with_factory:
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{each.name}" for each in names)
            case _:
                yield from _imports(node, with_factory=with_factory)
