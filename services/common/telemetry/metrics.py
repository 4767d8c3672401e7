"""The metrics of every service, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
HTTP_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival in the application to its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
MESSAGES = Counter("messages_processed_total", "Messages taken from a queue.", ["queue", "task", "result"])
MESSAGE_DURATION = Histogram(
    "message_duration_seconds",
    "Duration of handling a message.",
    ["queue", "task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OUTBOX_RELAYED = Counter("outbox_messages_relayed_total", "Outbox messages published.", ["kind", "result"])
UNREADABLE_ROWS = Counter("unreadable_rows_total", "Attempts to read a row that cannot be parsed.", ["kind"])
OUTBOX_AGE = Gauge("outbox_oldest_seconds", "Age of the oldest outbox record that has not been published.")
CALLS = Counter("guarded_calls_total", "Calls to external services, by outcome.", ["name", "result"])
CIRCUITS_OPEN = Gauge(
    "guarded_circuit_open",
    "Whether the circuit of an external service is open: 1 after repeated failures, until a call succeeds.",
    ["name"],
)
