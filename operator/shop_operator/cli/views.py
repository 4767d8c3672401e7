"""ShopServices as table rows, and their objects as trees. Pure."""

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
    """One row of `status`, in the order of HEAD."""
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


def canary(shop: Object) -> str:
    """A line about a canary release that is in progress or was withdrawn: its weight, and what it waits for; empty for none."""
    state, metadata = shop.get("status") or {}, shop["metadata"]
    said = [
        each["message"] for each in state.get("children", ()) if each["kind"] == "Rollout" and each["message"]
    ]
    return f"{metadata['namespace']}/{metadata['name']}: {said[0]}." if said else ""


def as_document(cells: Row) -> dict[str, str]:
    """A row for `-o json`."""
    return dict(zip((each.lower() for each in HEAD), cells, strict=True))


def news(before: Mapping[Any, Row], after: Mapping[Any, Row]) -> Iterator[Row]:
    """The new and changed rows. A deleted ShopService has the reason Deleted."""
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            namespace, name, *_, image = before[key]
            yield (namespace, name, "", "False", "Deleted", image)
        elif after[key] != before.get(key):
            yield after[key]


def aligned(rows: Sequence[Row], columns: int | None, first: int = 0) -> Iterator[str]:
    """Rows as lines with aligned cells, without trailing spaces.

    Args:
        rows: rows in the order of HEAD, which may be one of them.
        columns: width of the terminal; None to keep cells whole.
        first: index of the first cell to show.
    """
    shown = [row[first:] for row in rows] if columns is None else fitted(rows, columns, first)
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def fitted(rows: Sequence[Row], columns: int, first: int = 0) -> list[Row]:
    """Rows that fit into the width of the terminal: the longest cells are truncated, images at the start.

    Args:
        rows: rows in the order of HEAD, which may be one of them.
        columns: width of the terminal.
        first: index of the first cell to show.
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
    # The tag at the end of an image is the part that changes.
    return f"…{cell[len(cell) - width + 1 :]}" if column == _IMAGE else f"{cell[: width - 1]}…"


@dataclass
class Node:
    """An object in a tree.

    Args:
        kind: kind of the object.
        name: name of the object.
        ready: whether the object is ready; None if unknown.
        message: the cause if it is not ready.
        children: the objects that it owns.
        hidden: kinds that the user may not list.
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
    """The tree of a ShopService and the objects that it owns, directly and indirectly.

    Args:
        shop: the ShopService.
        owned: objects that may belong to it, in any order.
        hidden: kinds that the user may not list; objects of these kinds come from the status.
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
    """The tree as lines of text."""
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
