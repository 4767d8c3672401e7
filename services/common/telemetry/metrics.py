"""The metrics that every service has, and how a metric is defined: once, for Prometheus and for Amazon CloudWatch.

`counter`, `gauge` and `histogram` define a metric and record the definition in `DEFINITIONS`. The reference page and the
configuration with which the collector sends the metrics to CloudWatch are generated from these definitions, and `emf` writes
the metrics of AWS Lambda functions by them. Labels have few values: text of a client never becomes one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Final, Literal, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

Metric = TypeVar("Metric", Counter, Gauge, Histogram)
# A dimension set of CloudWatch: names of labels. The dimension `service` is part of every set.
DimensionSets = tuple[tuple[str, ...], ...]
BY_SERVICE: Final[DimensionSets] = ((),)

# The creation time of each series would add a third to their number. Prometheus detects a restart by the value itself.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client left it out

_FAST: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# From the fastest step of an order to the timeout of a paid order, six hours.
LONG: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 21600.0)


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a metric.

    Args:
        metric: metric of the Prometheus client.
        name: name of the metric in Prometheus and in CloudWatch.
        kind: counter, gauge or histogram.
        meaning: description, as a sentence.
        labels: names of its labels.
        dimensions: its dimension sets in CloudWatch; empty if it is not sent there.
    """

    metric: Counter | Gauge | Histogram
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...]
    dimensions: DimensionSets

    @property
    def unit(self) -> Literal["Seconds", "Count"]:
        """The unit in CloudWatch."""
        return "Seconds" if self.name.endswith("_seconds") else "Count"


DEFINITIONS: Final[list[Definition]] = []


def counter(
    name: str, meaning: str, labels: Sequence[str] = (), *, dimensions: DimensionSets = ()
) -> Counter:
    """Defines a counter, whose name ends in `_total`. See `Definition` for the arguments."""
    return _defined(Counter(name, meaning, labels), name, "counter", meaning, labels, dimensions)


def gauge(name: str, meaning: str, labels: Sequence[str] = (), *, dimensions: DimensionSets = ()) -> Gauge:
    """Defines a gauge. See `Definition` for the arguments."""
    return _defined(Gauge(name, meaning, labels), name, "gauge", meaning, labels, dimensions)


def histogram(
    name: str,
    meaning: str,
    labels: Sequence[str] = (),
    *,
    dimensions: DimensionSets = (),
    buckets: Sequence[float] = _FAST,
) -> Histogram:
    """Defines a histogram. `buckets` are upper bounds in its unit. See `Definition` for the other arguments."""
    made = Histogram(name, meaning, labels, buckets=buckets)
    return _defined(made, name, "histogram", meaning, labels, dimensions)


def _defined(
    metric: Metric,
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    meaning: str,
    labels: Sequence[str],
    dimensions: DimensionSets,
) -> Metric:
    DEFINITIONS.append(Definition(metric, name, kind, meaning, tuple(labels), dimensions))
    return metric


class Bounded:
    """Limits the number of values of a label whose values are data.

    Args:
        limit: number of different values. Further values become `other`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """The value, or `other`."""
        if value not in self._known:
            if len(self._known) >= self._limit:
                return "other"
            self._known.add(value)
        return value


_HTTP: Final[DimensionSets] = ((), ("method",), ("method", "route"))
# The objectives in manifests/slo.yaml.
SLOW_SECONDS: Final = {"GET": 0.25}
SLOW_OTHERWISE_SECONDS: Final = 0.5

HTTP_REQUESTS = counter(
    "http_requests_total",
    "HTTP requests answered. `route` is the template of the path, or `none` if no route matches.",
    ["method", "route", "status"],
    dimensions=_HTTP,
)
HTTP_ERRORS = counter(
    "http_server_errors_total",
    "HTTP requests answered with a status of 500 or more.",
    ["method", "route"],
    dimensions=_HTTP,
)
HTTP_SLOW = counter(
    "http_slow_requests_total",
    "HTTP requests answered too late for their objective: after 250 ms for GET, otherwise after 500 ms.",
    ["method", "route"],
    dimensions=_HTTP,
)
HTTP_DURATION = histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival in the application to its answer.",
    ["method", "route"],
    dimensions=_HTTP,
    buckets=_FAST[:-1],
)


class Route:
    """The metrics of the requests to a route.

    Args:
        method: method of the requests, one of a few.
        route: template of their path.
    """

    def __init__(self, method: str, route: str) -> None:
        self._statuses = cache(lambda status: HTTP_REQUESTS.labels(method, route, status))
        # A rate does not count the event with which a series begins, so these begin before the first error.
        for status in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE):
            self._statuses(status.value)
        self._errors = HTTP_ERRORS.labels(method, route)
        self._slow = HTTP_SLOW.labels(method, route)
        self._duration = HTTP_DURATION.labels(method, route)
        self._limit = SLOW_SECONDS.get(method, SLOW_OTHERWISE_SECONDS)

    def record(self, status: int, seconds: float, exemplar: dict[str, str] | None) -> None:
        """Counts an answered request, with its duration and the trace that is its example."""
        self._statuses(status).inc()
        self._errors.inc(int(status >= HTTPStatus.INTERNAL_SERVER_ERROR))
        self._slow.inc(int(seconds > self._limit))
        self._duration.observe(seconds, exemplar)


of_route: Final = cache(Route)
"""The metrics of a route, looked up once."""

MESSAGES = counter(
    "messages_processed_total",
    "Messages taken from a queue: `done`, or `failed` and delivered again later.",
    ["queue", "task", "result"],
    dimensions=(("queue", "result"),),
)
MESSAGE_DURATION = histogram(
    "message_duration_seconds",
    "Duration of handling a message.",
    ["queue", "task"],
    dimensions=(("queue",),),
)
QUEUE_WAIT = histogram(
    "queue_wait_seconds",
    "Time from the sending of a message to its first delivery.",
    ["queue"],
    dimensions=(("queue",),),
    buckets=LONG,
)
QUEUE_MESSAGES = gauge(
    "queue_messages",
    "Approximate number of messages in a queue, as each of its consumers last read it: `visible`, `in_flight` or `delayed`. "
    "CloudWatch has it as `ApproximateNumberOfMessagesVisible` and others, in AWS/SQS.",
    ["queue", "state"],
)
QUEUE_OLDEST = gauge(
    "queue_oldest_message_age_seconds",
    "Age of the oldest message that the process received and has not finished, including the time before it was received and "
    "between attempts; 0 if there is none, NaN if the process has not been able to read the queue for a minute. Messages that no "
    "process has received are not included: SQS reports the age of all messages only to CloudWatch, as "
    "`ApproximateAgeOfOldestMessage`, in AWS/SQS.",
    ["queue"],
)
DEAD_LETTERS_REDRIVEN = counter(
    "dead_letters_redriven_total",
    "Dead letters that staff redrove through the API.",
    ["queue"],
)
SAGA_STEPS = counter(
    "saga_steps_total",
    "Tasks of the workflow answered: `succeeded`, `refused`, or `discarded` because the workflow no longer waited.",
    ["step", "outcome"],
    dimensions=(("step", "outcome"),),
)
SAGA_STEP_DURATION = histogram(
    "saga_step_duration_seconds",
    "Time from the sending of a task by the workflow to its answer, including all retries.",
    ["step", "outcome"],
    dimensions=(("step",),),
    buckets=LONG,
)
OUTBOX_RELAYED = counter(
    "outbox_messages_relayed_total",
    "Outbox messages published.",
    ["kind", "result"],
    dimensions=(("kind", "result"),),
)
OUTBOX_DELAY = histogram(
    "outbox_delay_seconds",
    "Time from the commit of an outbox record to the sending of its messages.",
    dimensions=BY_SERVICE,
    buckets=LONG,
)
OUTBOX_AGE = gauge(
    "outbox_oldest_seconds",
    "Age of the oldest outbox record that has not been published; 0 if there is none.",
    dimensions=BY_SERVICE,
)
WRITE_CONFLICTS = counter(
    "write_conflicts_total",
    "Conditional writes that lost against a concurrent write: `retried`, or `given_up` after the last attempt.",
    ["result"],
    dimensions=(("result",),),
)
UNREADABLE_ROWS = counter(
    "unreadable_rows_total",
    "Attempts to read a row that cannot be parsed.",
    ["kind"],
    dimensions=(("kind",),),
)
CALLS = counter(
    "guarded_calls_total",
    "Calls to an external service: `done`, `failed`, or `circuit_open` if it was not called.",
    ["name", "result"],
    dimensions=(("name", "result"),),
)
CIRCUITS_OPEN = gauge(
    "guarded_circuit_open",
    "Whether the circuit of an external service is open: 1 after repeated failures, until a call succeeds.",
    ["name"],
    dimensions=(("name",),),
)
LOG_ERRORS = counter(
    "log_errors_total",
    "Log lines with the level `error` or `critical`. CloudWatch counts them by a metric filter of each log group.",
)
