"""Lines over time as SVG documents with standard text, in light and dark colors. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_COMMON: Final = (
    "text { font: 13px sans-serif; fill: #1f2328 }",
    ".grid { stroke: #d0d7de; stroke-width: 1 }",
)
_LINE: Final = ".line { fill: none; stroke-width: 2.5 }"
_DARK: Final = ("text { fill: #e6edf3 }", ".grid { stroke: #30363d }")


class Area(NamedTuple):
    """A rectangle in which values are drawn over time.

    Attributes:
        left: its left edge.
        right: its right edge.
        top: its upper edge.
        bottom: its lower edge.
        last: seconds at the right edge; 0 is at the left edge.
        most: value at the upper edge; 0 is at the lower edge.
    """

    left: float
    right: float
    top: float
    bottom: float
    last: float
    most: float

    def x(self, seconds: float) -> float:
        """The position of a time."""
        return self.left + (self.right - self.left) * seconds / self.last

    def y(self, value: float) -> float:
        """The position of a value."""
        return self.bottom - (self.bottom - self.top) * value / self.most


def document(
    size: tuple[int, int], title: str, light: Iterable[str], dark: Iterable[str], parts: Iterable[str]
) -> str:
    """The document.

    Args:
        size: width and height.
        title: its title, which screen readers read.
        light: rules of its style sheet, such as `.default { stroke: #0969da }`.
        dark: rules that apply in addition in dark colors.
        parts: its elements.
    """
    width, height = size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">',
        f'  <title id="title">{escape(title)}</title>',
        "  <style>",
        *(f"    {each}" for each in (*_COMMON, _LINE, *light, ".ground { fill: #ffffff }")),
        "    @media (prefers-color-scheme: dark) {",
        *(f"      {each}" for each in (*_DARK, *dark, ".ground { fill: #0d1117 }")),
        "    }",
        "  </style>",
        f'  <rect class="ground" width="{width}" height="{height}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(x: str, y: str, shown: str, more: str = "") -> str:
    """A text, with further attributes."""
    return f'  <text x="{x}" y="{y}"{more}>{escape(shown)}</text>'


def scale(area: Area, values: Iterable[tuple[float, str]]) -> list[str]:
    """Horizontal grid lines, each with its value."""
    return [
        part
        for value, shown in values
        for part in (
            f'  <path class="grid" d="M{area.left:g} {area.y(value):.1f}H{area.right:g}"/>',
            text(f"{area.left - 8:g}", f"{area.y(value) + 4:.1f}", shown, ' text-anchor="end"'),
        )
    ]


def minutes(area: Area, step: int) -> list[str]:
    """The minutes below the area."""
    return [
        text(f"{area.x(minute * 60):.1f}", f"{area.bottom + 20:g}", f"{minute} min", ' text-anchor="middle"')
        for minute in range(0, int(area.last // 60) + 1, step)
    ]


def legend(left: float, top: float, name: str, shown: str) -> list[str]:
    """A sample of a line, and what it stands for."""
    return [
        f'  <path class="line {name}" d="M{left:g} {top:g}h24"/>',
        text(f"{left + 32:g}", f"{top + 4:g}", shown),
    ]


def line(area: Area, name: str, samples: Sequence[tuple[float, float]], *, steps: bool = False) -> str:
    """A line through times and values; with steps, a value lasts until the next one."""
    (left, top), *rest = [(area.x(seconds), area.y(value)) for seconds, value in samples]
    path = [f"M{left:.1f} {top:.1f}"]
    for across, down in rest:
        path.append(f"H{across:.1f}V{down:.1f}" if steps else f"L{across:.1f} {down:.1f}")
    return f'  <path class="line {name}" d="{"".join(path)}"/>'
