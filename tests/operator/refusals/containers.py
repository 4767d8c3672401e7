"""Invalid images, variables, resources, probes and lifecycle hooks."""

from shop_operator.api.v1alpha1 import environment, lifecycle, probes
from tests.operator.refusals.refusal import Refusal, probe

REFUSALS = (
    Refusal("no image", {"image": None}, "spec.image: Required value", "spec.image: is required"),
    Refusal(
        "an image with a space",
        {"image": "web: 1"},
        "must be the name of an image without spaces, such as registry.example.com/web:1.2",
    ),
    Refusal("two handlers in a probe", probe(httpGet={}, exec={"command": ["true"]}), probes.ONE_HANDLER),
    Refusal("a successThreshold of 2 in a liveness probe", probe(successThreshold=2), probes.ONE_SUCCESS),
    Refusal(
        "a probe of an unknown port name",
        probe(tcpSocket={"port": "admin"}),
        "must be a number from 1 to 65535, or http for the container's own port",
    ),
    Refusal(
        "a duplicate variable",
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        'spec.env[1]: Duplicate value: {"name":"A"}',
        "spec.env: Duplicate value: A",
    ),
    Refusal(
        "a variable with both value and valueFrom",
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        environment.ONE_VALUE,
    ),
    Refusal("an empty valueFrom", {"env": [{"name": "A", "valueFrom": {}}]}, environment.ONE_SOURCE),
    Refusal("an item of envFrom without a source", {"envFrom": [{"prefix": "A_"}]}, environment.ONE_ORIGIN),
    Refusal(
        "a memory divisor for a CPU limit",
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Mi"}},
                }
            ]
        },
        environment.DIVISOR,
    ),
    Refusal(
        "an unknown pod field",
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.color"}}}]},
        "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'],"
        " spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs",
    ),
    Refusal(
        "a variable name with an equals sign",
        {"env": [{"name": "A=B"}]},
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "a memory limit that is not a quantity",
        {"resources": {"limits": {"memory": "much"}}},
        "spec.resources.limits.memory in body should match '^(?<quantity_such_as_100m_or_0_5_or_128Mi>",
        'spec.resources.limits.memory: must be a quantity such as 100m, "0.5" or 128Mi',
    ),
    Refusal(
        "a quantity with a space",
        {"resources": {"limits": {"cpu": "100 m"}}},
        "spec.resources.limits.cpu in body should match",
        "spec.resources.limits.cpu: must be a quantity",
    ),
    Refusal(
        "two handlers in a lifecycle hook",
        {"lifecycle": {"preStop": {"sleep": {"seconds": 1}, "exec": {"command": ["drain"]}}}},
        lifecycle.ONE_HOOK,
    ),
    Refusal(
        "a sleep that is longer than the grace period",
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        lifecycle.SLEEP_TOO_LONG,
    ),
    Refusal(
        "variables as a map",
        {"env": {"A": "b"}},
        'unknown field "spec.env.A"',
        "spec.env: must be a list, such as [{name: GREETING, value: hello}]",
    ),
    Refusal(
        "a variable prefix with an equals sign",
        {"envFrom": [{"prefix": "A=", "secretRef": {"name": "a"}}]},
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
    Refusal(
        "a key of a Secret with a slash",
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "a/b"}}}]},
        "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.', such as app.yaml",
    ),
    Refusal(
        "an unknown resource",
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]},
        "must be limits or requests, a dot, and cpu, memory or ephemeral-storage, such as limits.memory",
    ),
    Refusal(
        "a probe header with a colon in its name",
        probe(httpGet={"httpHeaders": [{"name": "Host:", "value": "a"}]}),
        "must be the name of an HTTP header: letters, digits and '-', such as X-Request-Id",
    ),
    Refusal(
        "a probe path without a leading slash",
        probe(httpGet={"path": "healthz"}),
        "path must begin with /",
    ),
    Refusal(
        "a hook path without a leading slash",
        {"lifecycle": {"preStop": {"httpGet": {"path": "drain"}}}},
        "path must begin with /",
    ),
)
