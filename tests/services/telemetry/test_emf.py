"""The metrics of Lambda functions as lines of the embedded metric format."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from services.common.telemetry import emf, metrics
from services.common.telemetry.emf import Reporter

# AWS limits: dimensions of a set, values of a metric.
MOST_DIMENSIONS: Final = 30
MOST_VALUES: Final = 100


@pytest.fixture
def reporter() -> Iterator[Reporter]:
    """A reporter that has reported everything so far."""
    made = Reporter("order")
    made.lines()
    yield made
    for line in made.lines():
        check(line)


def check(line: dict[str, Any]) -> None:
    """Fails if a line violates the specification of the format."""
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= MOST_DIMENSIONS
            assert all(isinstance(line[name], str) for name in dimensions)
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert isinstance(value, float) or 0 < len(value) <= MOST_VALUES
    assert orjson.loads(orjson.dumps(line)) == line


def request(route: str, seconds: float) -> None:
    metrics.HTTP_REQUESTS.labels("GET", route, 200).inc()
    metrics.HTTP_DURATION.labels("GET", route).observe(seconds)


def test_given_one_request_when_it_is_reported_then_one_line_contains_its_metrics(reporter: Reporter) -> None:
    request("/one", 0.25)

    (line,) = reporter.lines()

    check(line)
    assert line["http_requests_total"] == 1.0
    assert line["http_request_duration_seconds"] == [0.25]
    assert (line["service"], line["route"]) == ("order", "/one")
    by_name = {each["Metrics"][0]["Name"]: each for each in line["_aws"]["CloudWatchMetrics"]}
    assert by_name["http_request_duration_seconds"] == {
        "Namespace": "Shop",
        "Dimensions": [["service"], ["service", "method"], ["service", "method", "route"]],
        "Metrics": [{"Name": "http_request_duration_seconds", "Unit": "Seconds"}],
    }


def test_given_a_namespace_in_the_environment_then_the_metrics_are_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METRICS_NAMESPACE", "Shop/test")
    reporter = Reporter("order")
    request("/namespace", 0.25)

    found = [each for line in reporter.lines() for each in line["_aws"]["CloudWatchMetrics"]]

    assert {each["Namespace"] for each in found} == {"Shop/test"}


def test_given_an_invalid_namespace_then_the_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METRICS_NAMESPACE", "Shop${Prefix}")

    with pytest.raises(SystemExit, match="METRICS_NAMESPACE"):
        Reporter("order")


def test_given_nothing_new_when_it_is_reported_then_no_line_is_written(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    request("/again", 0.25)
    reporter.lines()
    metrics.OUTBOX_AGE.set(5)

    reporter.report()

    assert capsys.readouterr().out == ""


def test_given_two_routes_when_they_are_reported_then_each_has_a_line_of_its_own(reporter: Reporter) -> None:
    request("/a", 0.5)
    request("/b", 1.0)
    request("/b", 2.0)

    found = {line["route"]: line for line in reporter.lines()}

    assert found["/a"]["http_requests_total"] == 1.0
    assert found["/b"]["http_requests_total"] == 2.0
    assert found["/b"]["http_request_duration_seconds"] == [1.5, 1.5]


def test_given_a_label_that_is_no_dimension_when_it_is_reported_then_its_series_are_added(
    reporter: Reporter,
) -> None:
    metrics.HTTP_REQUESTS.labels("GET", "/sum", 200).inc()
    metrics.HTTP_REQUESTS.labels("GET", "/sum", 304).inc(2)

    (line,) = reporter.lines()

    assert line["http_requests_total"] == 3.0
    assert "status" not in line


def test_given_10000_observations_of_one_invocation_when_they_are_reported_then_the_line_stays_within_the_limits(
    reporter: Reporter,
) -> None:
    for _ in range(10_000):
        metrics.QUEUE_WAIT.labels("many").observe(1)

    (line,) = reporter.lines()

    check(line)


def test_given_a_handler_that_fails_when_it_is_invoked_then_its_metrics_are_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @emf.reported("order")
    def handler(_event: object, _context: object) -> None:
        metrics.UNREADABLE_ROWS.labels("emf").inc()
        raise RuntimeError("it failed")

    with pytest.raises(RuntimeError, match="it failed"):
        handler({}, None)

    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["unreadable_rows_total"] for line in lines if line.get("kind") == "emf"] == [1.0]
