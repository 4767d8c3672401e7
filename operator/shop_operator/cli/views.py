"""Rows and trees of what there is. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Object = Mapping[str, Any]

HEAD: Final = ("NAMESPACE", "NAME", "READY", "AVAILABLE", "REASON", "IMAGE")
GAP: Final = "  "
_LONG: Final = tuple(HEAD.index(each) for each in ("NAMESPACE", "NAME", "IMAGE"))
_IMAGE: Final = HEAD.index("IMAGE")
Row = tuple[str, ...]


def row(shop: Object) -> Row:
    """One line of `status`, in the order of HEAD."""
    state = shop.get("status") or {}
    conditions = {each["type"]: each for each in state.get("conditions", ())}
    return (
        shop["metadata"]["namespace"],
        shop["metadata"]["name"],
        state.get("ready", ""),
        conditions.get("Available", {}).get("status", "Unknown"),
        conditions.get("Ready", {}).get("reason", "NotObserved"),
        (shop.get("spec") or {}).get("image", ""),
    )


def as_document(cells: Row) -> dict[str, str]:
    """A row for `-o json`."""
    return dict(zip((each.lower() for each in HEAD), cells, strict=True))


def news(before: Mapping[Any, Row], after: Mapping[Any, Row]) -> Iterator[Row]:
    """The rows that are new or have changed; one that is gone says so in place of its reason."""
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            namespace, name, *_, image = before[key]
            yield (namespace, name, "", "False", "Deleted", image)
        elif after[key] != before.get(key):
            yield after[key]


def aligned(rows: Sequence[Row], columns: int | None, first: int = 0) -> Iterator[str]:
    """Rows as lines, their cells below each other and nothing behind the last one.

    Args:
        rows: in the order of HEAD, which may be among them.
        columns: of the terminal; None for whole cells.
        first: the first cell that is shown.
    """
    shown = [row[first:] for row in rows] if columns is None else fitted(rows, columns, first)
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def fitted(rows: Sequence[Row], columns: int, first: int = 0) -> list[Row]:
    """Rows that fit into so many columns beside each other: the longest cells are cut, an image at its front.

    Args:
        rows: in the order of HEAD, which may be among them.
        columns: of the terminal.
        first: the first cell that is shown.
    """
    widths = [max(len(row[index]) for row in rows) if index >= first else 0 for index in range(len(HEAD))]
    gaps = len(GAP) * (len(HEAD) - 1 - first)
    while sum(widths) + gaps > columns and any(widths[index] > 1 for index in _LONG):
        widths[max(_LONG, key=lambda index: widths[index])] -= 1
    return [
        tuple(_cut(row[index], widths[index], index) for index in range(first, len(HEAD))) for row in rows
    ]


def _cut(cell: str, width: int, column: int) -> str:
    if len(cell) <= width:
        return cell
    # What comes last of an image, its tag, is what changes.
    return f"…{cell[len(cell) - width + 1 :]}" if column == _IMAGE else f"{cell[: width - 1]}…"


@dataclass
class Node:
    """One object of a tree.

    Args:
        kind: its kind.
        name: its name.
        ready: whether it does what it is for; None if it is not known.
        message: why not.
        children: what it owns.
        hidden: the kinds of which nothing is known, for want of a right.
    """

    kind: str
    name: str
    ready: bool | None = None
    message: str = ""
    children: list["Node"] = field(default_factory=list)
    hidden: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """For `-o json`."""
        document = {
            "kind": self.kind,
            "name": self.name,
            "ready": self.ready,
            "message": self.message,
            "children": [each.to_dict() for each in self.children],
        }
        return document | ({"hidden": list(self.hidden)} if self.hidden else {})


def tree(shop: Object, owned: Iterable[Object], hidden: Sequence[str] = ()) -> Node:
    """The ShopService, what it owns, what that owns, and so on.

    Args:
        shop: the ShopService.
        owned: objects that may belong to it, in any order.
        hidden: kinds that may not be listed; those of them that the status knows are shown by it.
    """
    by_owner: dict[str, list[Object]] = {}
    for obj in owned:
        for owner in obj["metadata"].get("ownerReferences", ()):
            by_owner.setdefault(owner["uid"], []).append(obj)
    state = shop.get("status") or {}
    said = {(each["kind"], each["name"]): each for each in state.get("children", ())}
    ready: Object = next((each for each in state.get("conditions", ()) if each["type"] == "Ready"), {})
    root = Node(
        "ShopService", shop["metadata"]["name"], ready.get("status") == "True", ready.get("message", "")
    )
    root.children = _below(shop["metadata"]["uid"], by_owner, said)
    root.children += [
        Node(kind, name, each["ready"], each["message"])
        for (kind, name), each in said.items()
        if kind in hidden
    ]
    root.children.sort(key=lambda each: (each.kind, each.name))
    root.hidden = hidden
    if root.ready:
        root.message = ""
    return root


def _below(
    uid: str, by_owner: Mapping[str, Sequence[Object]], said: Mapping[tuple[str, str], Object]
) -> list[Node]:
    nodes = []
    for obj in sorted(by_owner.get(uid, ()), key=lambda each: (each["kind"], each["metadata"]["name"])):
        kind, name = obj["kind"], obj["metadata"]["name"]
        if kind == "ReplicaSet" and not (obj.get("spec") or {}).get("replicas"):
            continue
        known = said.get((kind, name))
        ready = known["ready"] if known else _pod_ready(obj)
        nodes.append(
            Node(
                kind,
                name,
                ready,
                known["message"] if known else "",
                _below(obj["metadata"]["uid"], by_owner, said),
            )
        )
    return nodes


def _pod_ready(obj: Object) -> bool | None:
    if obj["kind"] != "Pod":
        return None
    conditions = (obj.get("status") or {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def tree_lines(node: Node) -> Iterator[str]:
    """The tree as text, a line each."""
    yield _label(node)
    yield from _indented(node, "")
    if node.hidden:
        yield f"  (not allowed to list: {', '.join(node.hidden)})"


def _indented(node: Node, prefix: str) -> Iterator[str]:
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        yield f"{prefix}{'└─ ' if last else '├─ '}{_label(child)}"
        yield from _indented(child, f"{prefix}{'   ' if last else '│  '}")


def _label(node: Node) -> str:
    mark = {True: "✓ ", False: "✗ ", None: "  "}[node.ready]
    return f"{mark}{node.kind}/{node.name}" + (f"  {node.message}" if node.message else "")
