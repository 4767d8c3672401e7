"""Invalid workers."""

from shop_operator.api.v1alpha1 import lifecycle, worker
from tests.operator.refusals.refusal import DNS_LABEL, WORKER, Refusal, probe

REFUSALS = (
    Refusal(
        "two workers with the same name",
        {"workers": [WORKER, WORKER]},
        'spec.workers[1]: Duplicate value: {"name":"relay"}',
        "spec.workers: Duplicate value: relay",
    ),
    Refusal(
        "a worker without a command",
        {"workers": [{"name": "relay"}]},
        "spec.workers[0].command: Required value",
        "spec.workers[0].command: is required",
    ),
    Refusal(
        "a worker whose Deployment name would be too long",
        {"workers": [{"name": "w" * 40, "command": ["run"]}]},
        worker.NAME_TOO_LONG,
        name="s" * 23,
    ),
    Refusal(
        "a probe without a handler in a worker without a port",
        {"workers": [WORKER | probe(periodSeconds=5)]},
        worker.NO_PROBE_PORT,
    ),
    Refusal(
        "a probe of the port http in a worker without a port",
        {"workers": [WORKER | probe(httpGet={"port": "http"})]},
        worker.NO_PROBE_PORT,
    ),
    Refusal(
        "a sleep that is longer than the worker's grace period",
        {
            "workers": [
                WORKER
                | {
                    "terminationGracePeriodSeconds": 5,
                    "lifecycle": {"postStart": {"sleep": {"seconds": 6}}},
                }
            ]
        },
        lifecycle.SLEEP_TOO_LONG,
    ),
    Refusal(
        "a request to a worker without a port",
        {"workers": [WORKER | {"lifecycle": {"preStop": {"httpGet": {"port": "http"}}}}]},
        lifecycle.NO_HOOK_PORT,
    ),
    Refusal(
        "workers as a map",
        {"workers": {"relay": {"command": ["relay"]}}},
        'unknown field "spec.workers.relay"',
        "spec.workers: must be a list: begin each item with a hyphen",
    ),
    Refusal(
        "a worker name with an uppercase letter",
        {"workers": [{"name": "Relay", "command": ["relay"]}]},
        DNS_LABEL,
    ),
)
