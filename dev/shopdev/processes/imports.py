"""Which processes a change of a file concerns: those that import it, by the sources."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

FACTORY = "create_app"
"""The function of a service's app module that builds the API; no worker calls it, nor imports what it does."""


def modules_of(root: Path, entries: Sequence[str], *, with_factory: bool) -> frozenset[str]:
    """The modules of `root` that a process imports, its entries included.

    Args:
        root: the folder that imports are found from.
        entries: modules that the process begins with.
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
    """The source of a module; None when it is not of `root`."""
    path = root.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def concerned(root: Path, processes: Mapping[str, tuple[Sequence[str], bool]], files: set[Path]) -> list[str]:
    """The processes that a change of files concerns: all where a file cannot be read as Python.

    Args:
        root: the folder that imports are found from.
        processes: name -> its entries, and whether it calls the factory.
        files: that changed, relative to `root`. One that is no Python, such as a contract, is read by none.
    """
    changed = {file for file in files if file.suffix == ".py"}
    names = []
    for name, (entries, with_factory) in processes.items():
        try:
            used = {file_of(root, module) for module in modules_of(root, entries, with_factory=with_factory)}
        except SyntaxError:
            # What it imports is known once the file is mended; then it is started with it.
            used = {root / file for file in changed}
        if {root / file for file in changed} & used:
            names.append(name)
    return names


def _with_packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))


@cache
def _imported(text: str, *, with_factory: bool) -> tuple[str, ...]:
    """What a source may import; kept, since of all sources one changes at a time."""
    found = _imports(ast.parse(text), with_factory=with_factory)
    return tuple(sorted({each for wanted in found for each in _with_packages(wanted)}))


def _imports(tree: ast.AST, *, with_factory: bool) -> Iterator[str]:
    """Names that may be modules, wherever in the file they are imported, but for annotations' sake."""
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
