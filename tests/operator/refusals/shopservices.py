"""Invalid names, dependencies, discovery and unknown fields."""

from shop_operator.api.v1alpha1 import canary, dependencies, discovery, shopservice
from tests.operator.refusals.refusal import DNS_LABEL, WORKER, Refusal

REFUSALS = (
    Refusal(
        "a dependency with an uppercase letter",
        {"dependsOn": ["Product"]},
        DNS_LABEL,
    ),
    Refusal(
        "65 dependencies",
        {"dependsOn": [f"d{number}" for number in range(65)]},
        "spec.dependsOn: Too many: 65: must have at most 64 items",
        "spec.dependsOn: must have at most 64 items",
    ),
    Refusal("a dependency on the ShopService itself", {"dependsOn": ["web"]}, dependencies.DEPENDS_ON_ITSELF),
    Refusal(
        "a duplicate dependency",
        {"dependsOn": ["a", "a"]},
        'spec.dependsOn[1]: Duplicate value: "a"',
        "spec.dependsOn: Duplicate value: a",
    ),
    Refusal(
        "an unknown field", {"replcas": 2}, 'unknown field "spec.replcas"', "spec.replcas: unknown field"
    ),
    Refusal(
        "a field name in snake case",
        {"image_pull_policy": "Always"},
        'unknown field "spec.image_pull_policy"',
        "spec.image_pull_policy: unknown field",
    ),
    Refusal(
        "an unknown field of a nested object",
        {"workers": [WORKER | {"autoscaling": {"maxReplica": 2}}]},
        'unknown field "spec.workers[0].autoscaling.maxReplica"',
        "spec.workers[0].autoscaling.maxReplica: unknown field",
    ),
    Refusal(
        "a string for an integer",
        {"port": "8080"},
        'spec.port in body must be of type integer: "string"',
        "spec.port: must be a whole number without quotes",
    ),
    Refusal(
        "a discovery hostname with a single label",
        {"discovery": {"hostname": "payment"}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal(
        "a discovery hostname with an uppercase letter",
        {"discovery": {"hostname": "Payment.shop.internal"}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal(
        "a discovery hostname with a trailing dot",
        {"discovery": {"hostname": "a.b."}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal(
        "a discovery hostname with a label of 64 characters",
        {"discovery": {"hostname": f"{'p' * 64}.internal"}},
        discovery.NOT_A_DNS_NAME,
    ),
    Refusal(
        "a discovery hostname of 254 characters",
        {"discovery": {"hostname": ".".join(["p" * 50] * 5)}},
        "spec.discovery.hostname: Too long",
        "spec.discovery.hostname: must have at most 253",
    ),
    Refusal(
        "discovery without a hostname",
        {"discovery": {}},
        "spec.discovery.hostname: Required value",
        "spec.discovery.hostname: is required",
    ),
    Refusal(
        "a name that is too long for the discovery Service",
        {"discovery": {"hostname": "payment.shop.internal"}},
        discovery.NAME_TOO_LONG_TO_DISCOVER,
        name="s" * 54,
    ),
    Refusal(
        "a name that is too long for the Services of a canary",
        {"rollout": {"canary": {"steps": [{"weight": 10}]}}},
        canary.NAME_TOO_LONG,
        name="s" * 57,
    ),
    Refusal("a name that begins with a digit", {}, shopservice.INVALID_NAME, name="1st"),
    Refusal("a name with a dot", {}, shopservice.INVALID_NAME, name="web.shop"),
)
