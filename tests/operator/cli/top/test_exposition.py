"""The text format of Prometheus, read from real responses."""

import pytest

from shop_operator.cli.top.exposition import Sample, samples

NAMES = frozenset({"http_requests_total", "http_request_duration_seconds_bucket"})


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("http_requests_total 3", {}, 3),
        (
            'http_requests_total{method="GET",status="200"} 3.0 1764460800000',
            {"method": "GET", "status": "200"},
            3,
        ),
        ('http_requests_total{route="/a\\"b}c,d\\n",} 1e3', {"route": '/a"b}c,d\n'}, 1000),
        (
            'http_request_duration_seconds_bucket{le="+Inf"} 7 # {trace_id="4bf92f"} 0.5 1764460800.1',
            {"le": "+Inf"},
            7,
        ),
    ],
)
def test_given_a_sample_then_its_labels_and_its_value_are_read(
    line: str, labels: dict[str, str], value: float
) -> None:
    (found,) = samples(f"# HELP x {line}\n{line}\n", NAMES)

    assert found == Sample(line.partition("{")[0].partition(" ")[0], labels, value)


@pytest.mark.parametrize(
    "line", ["http_requests_total", "http_requests_total NaN", "http_requests_total{ 1", "other 1"]
)
def test_given_another_line_then_it_is_skipped(line: str) -> None:
    assert list(samples(line, NAMES)) == []
