"""Lines of a terminal as an SVG document that plays them once, at the times at which they were printed. Pure.

A reader who prefers no motion, and a program that does not play the animation, sees the last lines.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from rich.text import Span, Text

ROWS: Final = 28
COLUMNS: Final = 112
LONGEST_PAUSE: Final = 1.5
"""Seconds: a longer pause is shortened to this."""
_ROW: Final = 18
_COLUMN: Final = 7.83
_MARGIN: Final = 14
_BAR: Final = 30
_STYLE: Final = (
    ".ground { fill: #0d1117 }",
    ".bar { fill: #21262d }",
    ".dot { fill: #484f58 }",
    "text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #e6edf3; white-space: pre }",
    ".title { fill: #9198a1 }",
    ".bold { font-weight: 700 }",
)


class Line(NamedTuple):
    """One line of the output.

    Attributes:
        seconds: when it was complete, since the start of the command.
        text: its text, with the escape sequences of its colors.
    """

    seconds: float
    text: str


def shortened(lines: Sequence[Line]) -> list[Line]:
    """The same lines without long pauses: the first one is complete at the longest pause, or earlier."""
    pauses = (
        min(later.seconds - earlier.seconds, LONGEST_PAUSE)
        for earlier, later in pairwise((Line(0.0, ""), *lines))
    )
    now = 0.0
    shown = []
    for line, pause in zip(lines, pauses, strict=True):
        now += pause
        shown.append(Line(now, line.text))
    return shown


def document(title: str, lines: Sequence[Line]) -> str:
    """The document.

    Args:
        title: the command, as it is typed.
        lines: its output, in the order in which it was printed.
    """
    width = round(COLUMNS * _COLUMN + 2 * _MARGIN)
    window = ROWS * _ROW
    height = _BAR + window + 2 * _MARGIN
    top = _BAR + _MARGIN
    shown = shortened(lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">',
            f'  <title id="title">Recording of a terminal: {escape(title)}</title>',
            "  <style>",
            *(f"    {each}" for each in (*_STYLE, *_motion(shown))),
            "  </style>",
            f'  <rect class="ground" width="{width}" height="{height}" rx="8"/>',
            f'  <path class="bar" d="M0 {_BAR}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8V{_BAR}z"/>',
            *(f'  <circle class="dot" cx="{18 + 18 * each}" cy="{_BAR // 2}" r="5"/>' for each in range(3)),
            f'  <text class="title" x="{width // 2}" y="{_BAR // 2 + 4}" text-anchor="middle">{escape(title)}</text>',
            f'  <svg x="{_MARGIN}" y="{top}" width="{width - 2 * _MARGIN}" height="{window}">',
            '    <g class="output">',
            *_texts(shown),
            "    </g>",
            "  </svg>",
            "</svg>",
            "",
        ]
    )


def _motion(lines: Sequence[Line]) -> Iterator[str]:
    """Moves the output up when it no longer fits, and hides each line until it is printed."""
    ends = lines[-1].seconds if lines else 0.0
    last = max(0, len(lines) - ROWS)
    yield f".output {{ transform: translateY({-last * _ROW}px) }}"
    yield "@media (prefers-reduced-motion: no-preference) {"
    yield f"  .output {{ animation: scroll {ends:.1f}s step-end }}"
    yield "  .line { animation: appear 1ms step-end backwards }"
    yield "}"
    yield "@keyframes appear { from { visibility: hidden } }"
    yield "@keyframes scroll {"
    yield "  from { transform: translateY(0) }"
    for number, line in enumerate(lines[ROWS:], 1):
        yield f"  {100 * line.seconds / ends:.2f}% {{ transform: translateY({-number * _ROW}px) }}"
    yield "}"


def _texts(lines: Iterable[Line]) -> Iterator[str]:
    for number, (seconds, text) in enumerate(lines):
        spans = "".join(_spans(Text.from_ansi(text)))
        delay = f' style="animation-delay: {seconds:.1f}s"'
        yield f'      <text class="line" y="{(number + 1) * _ROW - 5}"{delay}>{spans}</text>'


def _spans(line: Text) -> Iterator[str]:
    """Its parts, bold or not. The commands of this project print no other style."""
    line.truncate(COLUMNS, overflow="ellipsis")
    bold = [each for each in line.spans if "bold" in str(each.style)]
    edges = sorted({0, len(line), *(edge for each in bold for edge in (each.start, each.end))})
    for start, end in pairwise(edges):
        shown = escape(line.plain[start:end])
        yield f'<tspan class="bold">{shown}</tspan>' if _covers(bold, start) else shown


def _covers(spans: Iterable[Span], position: int) -> bool:
    return any(each.start <= position < each.end for each in spans)
