"""The picture of the dashboard shows the recorded values with the queries of the dashboard itself."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest

from shopdev.bench import dashboard
from shopdev.bench.dashboard import Panel, Series
from shopdev.console import CommandError

STEPS = [("red", None), ("orange", 0.0), ("green", 0.25)]
PANELS = [
    Panel("Budget", "stat", "percentunit", (0, 0, 16, 8), STEPS, [Series("order/a<b", [(0, 0.9), (5, 0.1)])]),
    Panel(
        "Rate", "timeseries", "none", (0, 8, 24, 9), [("green", None)], [Series("b", [(0, 0.0), (60, 3.2)])]
    ),
    Panel("Alerts", "stat", "none", (16, 0, 8, 8), [("green", None)], []),
]


@pytest.fixture
def queries() -> list[str]:
    return []


@pytest.fixture
def prometheus(queries: list[str]) -> Iterator[str]:
    """A Prometheus that answers each query with one time series, of which one value is no number."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer the query."""
            query = parse_qs(urlsplit(self.path).query)
            queries.append(query["query"][0])
            start = float(query["start"][0])
            values = [[start, "0.5"], [start + 5, "NaN"], [start + 10, "1"]]
            series = {"metric": {"service": "order", "slo": "availability"}, "values": values}
            body = json.dumps({"status": "success", "data": {"result": [series]}}).encode()
            self.send_response(200 if "rejected" not in query["query"][0] else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_given_a_prometheus_when_it_is_recorded_then_each_panel_has_the_result_of_its_own_query(
    prometheus: str, queries: list[str]
) -> None:
    found = dashboard.record(prometheus, 60)

    panels = json.loads(dashboard.DASHBOARD.read_text())["panels"]
    assert [each.title for each in found] == [each["title"] for each in panels]
    assert found[0].series[0].name == "order/availability"
    assert [value for _, value in found[0].series[0].points] == [0.5, 1.0]
    assert len(queries) == len(panels)
    assert all('namespace="shop"' in each and "$" not in each for each in queries)


def test_given_a_query_that_is_rejected_when_it_is_recorded_then_the_error_names_it(
    prometheus: str, tmp_path: Path
) -> None:
    file = tmp_path / "dashboard.json"
    file.write_text(json.dumps({"panels": [{"targets": [{"expr": "rejected(", "legendFormat": ""}]}]}))

    with pytest.raises(CommandError, match=r"rejects the query rejected\("):
        dashboard.record(prometheus, 60, file)


def test_given_panels_when_they_are_stored_then_they_are_read_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "dashboard.json"

    dashboard.write(PANELS, file)

    assert dashboard.read(file) == PANELS
    with pytest.raises(CommandError, match="run `make pictures`"):
        dashboard.read(tmp_path / "missing.json")


def test_given_panels_then_the_picture_is_well_formed_and_has_the_last_values_and_names() -> None:
    root = ET.fromstring(dashboard.draw(PANELS))  # noqa: S314  made here

    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Budget", "10.0%", "order/a<b", "Rate", "b", "Alerts", "No data"} <= set(texts)
    (value,) = (each for each in root.iter("{http://www.w3.org/2000/svg}text") if each.text == "10.0%")
    assert value.get("class") == "orange title"


def test_given_more_series_than_fit_when_a_panel_is_drawn_then_it_counts_the_rest_and_cuts_long_names() -> (
    None
):
    many = [Series(f"order/{number:02}{'-a-long-name' * 9}", [(0, 0.5)]) for number in range(40)]
    budget = PANELS[0]._replace(series=many)

    root = ET.fromstring(dashboard.draw([budget]))  # noqa: S314  made here

    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    bottom = dashboard.HEAD + dashboard.ROW * 8
    assert all(float(each.get("y", "0")) < bottom for each in texts)
    (rest,) = (each.text or "" for each in texts if (each.text or "").endswith(" more"))
    names = [each.text or "" for each in texts if (each.text or "").startswith("order/")]
    assert rest == f"and {40 - len(names)} more"
    assert all(len(each) < 40 for each in names)
