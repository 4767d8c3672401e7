"""The dashboard of objectives, drawn from the Prometheus of `make demo OBSERVE=1` without Grafana.

Each panel of charts/shop/dashboards/slo.json is drawn with its own query, title and thresholds. The recorded values are in
docs/pictures/dashboard.json, from which docs/pictures/dashboard.svg is drawn. `tests/e2e/test_dashboard.py` records them.
"""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import httpx

from shopdev.bench import drawing
from shopdev.bench.drawing import Area
from shopdev.checkout import ROOT
from shopdev.console import CommandError

DASHBOARD: Final = ROOT / "charts" / "shop" / "dashboards" / "slo.json"
RECORDED: Final = ROOT / "docs" / "pictures" / "dashboard.json"
PICTURE: Final = RECORDED.with_suffix(".svg")
VARIABLES: Final = {"namespace": "shop", "service": ".+", "slo": ".+"}
"""The chosen values of the variables of the dashboard."""
STEP: Final = 5
"""Seconds between two values of a time series, as Prometheus scrapes in the demo."""
_SECONDS: Final = 10.0


class Series(NamedTuple):
    """A time series.

    Attributes:
        name: its name in the legend.
        points: seconds since the start of the recording, each with its value.
    """

    name: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """A panel and its data.

    Attributes:
        title: its title.
        kind: stat or timeseries.
        unit: unit of the values, such as percentunit.
        place: column, row, width and height in the grid of Grafana, which has 24 columns.
        steps: colors, each with the value from which it applies; the first one applies below the second.
        series: its time series.
    """

    title: str
    kind: str
    unit: str
    place: tuple[int, int, int, int]
    steps: Sequence[tuple[str, float | None]]
    series: Sequence[Series]

    @classmethod
    def of(cls, panel: Mapping[str, Any], series: Sequence[Series]) -> Self:
        """The panel of a dashboard, with data."""
        place, defaults = panel["gridPos"], panel["fieldConfig"]["defaults"]
        steps = [(each["color"], each["value"]) for each in defaults["thresholds"]["steps"]]
        return cls(
            panel["title"],
            panel["type"],
            defaults["unit"],
            (place["x"], place["y"], place["w"], place["h"]),
            steps,
            series,
        )


def record(url: str, seconds: float, dashboard: Path = DASHBOARD) -> list[Panel]:
    """The panels with the data of a Prometheus.

    Args:
        url: its URL.
        seconds: length of the time that is shown.
        dashboard: the file of the dashboard.

    Raises:
        CommandError: the Prometheus rejects a query.
    """
    end = time.time()
    found = json.loads(dashboard.read_text())["panels"]
    return [Panel.of(each, list(_series(url, each["targets"][0], end - seconds, end))) for each in found]


def _series(url: str, target: Mapping[str, Any], start: float, end: float) -> Iterator[Series]:
    query = re.sub(r"\$(\w+)", lambda name: VARIABLES[name[1]], target["expr"])
    asked = {"query": query, "start": f"{start:.0f}", "end": f"{end:.0f}", "step": str(STEP)}
    answer = httpx.get(f"{url}/api/v1/query_range", params=asked, timeout=_SECONDS)
    if answer.status_code != httpx.codes.OK:
        raise CommandError(f"Prometheus rejects the query {query}: {answer.text}")
    for each in answer.json()["data"]["result"]:
        points = [(round(at - start, 1), float(value)) for at, value in each["values"]]
        finite = [(at, round(value, 6)) for at, value in points if math.isfinite(value)]
        if finite:
            yield Series(_named(target["legendFormat"], each["metric"]), finite)


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), legend)


def write(panels: Sequence[Panel], path: Path = RECORDED) -> None:
    """Store the panels with their data, a time series a line."""
    lines = [
        json.dumps({**each._asdict(), "series": []})[:-2]
        + "".join(f"\n  {json.dumps(one)}{',' if one is not each.series[-1] else ''}" for one in each.series)
        + "]}"
        for each in panels
    ]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def read(path: Path = RECORDED) -> list[Panel]:
    """The stored panels.

    Raises:
        CommandError: there are none.
    """
    if not path.is_file():
        raise CommandError(f"{path} is missing: run `make pictures`")
    return [
        Panel(
            each["title"],
            each["kind"],
            each["unit"],
            tuple(each["place"]),
            [(color, value) for color, value in each["steps"]],
            [Series(name, [(at, value) for at, value in points]) for name, points in each["series"]],
        )
        for each in json.loads(path.read_text())
    ]


COLUMN, ROW, GAP = 40, 36, 8
WIDTH: Final = 24 * COLUMN
HEAD: Final = 40
_COLORS: Final = (
    ("#0969da", "#58a6ff"),
    ("#cf222e", "#ff7b72"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#bc8cff"),
    ("#9a6700", "#d29922"),
    ("#bf3989", "#f778ba"),
)
_DASHES: Final = ("none", "6 3", "2 2")
_THRESHOLDS: Final = {
    "green": ("#1a7f37", "#3fb950"),
    "orange": ("#9a6700", "#d29922"),
    "red": ("#cf222e", "#ff7b72"),
}
_LEGEND_ROW: Final = 18
_STAT_ROW: Final = 24
_LETTER: Final = 7.5
"""Width of a letter, on average, in a font of 13 pixels."""


def draw(panels: Sequence[Panel]) -> str:
    """The picture of the panels as an SVG document."""
    height = HEAD + ROW * max(y + h for _, y, _, h in (each.place for each in panels))
    parts = [drawing.text("16", "26", "Service level objectives of the namespace shop", ' class="title"')]
    parts += [part for each in panels for part in _panel(each)]
    title = "Panels of the dashboard of objectives, drawn from the Prometheus of the demo"
    return drawing.document((WIDTH, height), title, *_styles(), parts)


def _styles() -> tuple[list[str], list[str]]:
    """The rules of light and of dark colors."""
    common = [
        ".title { font-weight: bold }",
        ".frame { fill: none; stroke: #d0d7de }",
        *(
            f".line{number} {{ stroke-dasharray: {_DASHES[number // len(_COLORS) % len(_DASHES)]} }}"
            for number in range(len(_COLORS) * len(_DASHES))
        ),
    ]
    modes = []
    for mode in (0, 1):
        lines = [
            f".line{number} {{ stroke: {_COLORS[number % len(_COLORS)][mode]} }}"
            for number in range(len(_COLORS) * len(_DASHES))
        ]
        modes.append([*lines, *(f".{name} {{ fill: {both[mode]} }}" for name, both in _THRESHOLDS.items())])
    return [*common, *modes[0]], [".frame { stroke: #30363d }", *modes[1]]


def _panel(panel: Panel) -> Iterator[str]:
    x, y, w, h = panel.place
    left, top = x * COLUMN + GAP / 2, HEAD + y * ROW + GAP / 2
    width, height = w * COLUMN - GAP, h * ROW - GAP
    yield f'  <rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="4"/>'
    yield drawing.text(f"{left + 12:g}", f"{top + 22:g}", panel.title, ' class="title"')
    if not panel.series:
        yield drawing.text(f"{left + 12:g}", f"{top + 50:g}", "No data")
    elif panel.kind == "stat":
        yield from _stat(panel, left, top, width, height)
    else:
        yield from _lines(panel, left, top, width, height)


def _stat(panel: Panel, left: float, top: float, width: float, height: float) -> Iterator[str]:
    """The last value of each time series, in the color of its threshold, as far as they fit."""
    columns = max(int(width // 300), 1)
    places = [
        (left + 12 + column * (width / columns), top + 50 + row * _STAT_ROW)
        for row in range(int((height - 50) // _STAT_ROW) + 1)
        for column in range(columns)
    ]
    series = sorted(panel.series)
    shown = series if len(series) <= len(places) else series[: len(places) - 1]
    for each, (across, down) in zip(shown, places, strict=False):
        last = each.points[-1][1]
        more = f' class="{_color(panel.steps, last)} title"'
        yield drawing.text(f"{across:.0f}", f"{down:g}", _shown(last, panel.unit), more)
        yield drawing.text(f"{across + 64:.0f}", f"{down:g}", _cut(each.name, width / columns - 76))
    if len(shown) < len(series):
        across, down = places[-1]
        yield drawing.text(f"{across:.0f}", f"{down:g}", f"and {len(series) - len(shown)} more")


def _cut(name: str, width: float) -> str:
    """The beginning of a name that fits into a width."""
    longest = int(width / _LETTER)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _color(steps: Sequence[tuple[str, float | None]], value: float) -> str:
    return [color for color, least in steps if least is None or value >= least][-1]


def _shown(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == "percentunit" else f"{value:.3g}"


def _lines(panel: Panel, left: float, top: float, width: float, height: float) -> Iterator[str]:
    """The lines of the time series over time, and their legend."""
    series = sorted(panel.series)
    columns = max(int(width // 220), 1)
    rows = math.ceil(len(series) / columns)
    last = max(at for each in series for at, _ in each.points)
    most = _rounded(max(value for each in series for _, value in each.points))
    bottom = top + height - 32 - rows * _LEGEND_ROW
    area = Area(left + 60, left + width - 24, top + 36, bottom, max(last, 1), most)
    yield from drawing.scale(
        area, ((share * most, _shown(share * most, panel.unit)) for share in (0.0, 0.5, 1.0))
    )
    yield from drawing.minutes(area, 1 if width > WIDTH / 2 else 2)
    for number, each in enumerate(series):
        name = f"line{number % (len(_COLORS) * len(_DASHES))}"
        yield drawing.line(area, name, each.points)
        across = left + 12 + number % columns * (width / columns)
        shown = _cut(each.name, width / columns - 44)
        yield from drawing.legend(across, bottom + 38 + number // columns * _LEGEND_ROW, name, shown)


def _rounded(most: float) -> float:
    """The next number with one digit, for the upper end of a scale."""
    if most <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most))
    return math.ceil(most / size) * size
