"""Invalid rollouts and disruptions."""

from shop_operator.api.v1alpha1 import canary, disruption, rollout, shares, spec
from tests.operator.refusals.refusal import Refusal

REFUSALS = (
    Refusal("no bound of a disruption", {"disruption": {}}, disruption.ONE_BOUND),
    Refusal(
        "both bounds of a disruption",
        {"disruption": {"minAvailable": 1, "maxUnavailable": 1}},
        disruption.ONE_BOUND,
    ),
    Refusal("maxUnavailable 0", {"disruption": {"maxUnavailable": 0}}, disruption.NO_EVICTIONS),
    Refusal("maxUnavailable 0%", {"disruption": {"maxUnavailable": "0%"}}, disruption.NO_EVICTIONS),
    Refusal("minAvailable 100%", {"disruption": {"minAvailable": "100%"}}, disruption.NO_EVICTIONS),
    Refusal(
        "a maxUnavailable that is neither a number nor a percentage",
        {"disruption": {"maxUnavailable": "many"}},
        shares.INVALID_SHARE,
    ),
    Refusal("maxSurge 0 without maxUnavailable", {"rollout": {"maxSurge": 0}}, rollout.NO_PROGRESS),
    Refusal(
        "maxSurge 0% and maxUnavailable 0",
        {"rollout": {"maxSurge": "0%", "maxUnavailable": 0}},
        rollout.NO_PROGRESS,
    ),
    Refusal(
        "a progress deadline of 9 seconds",
        {"rollout": {"progressDeadlineSeconds": 9}},
        "spec.rollout.progressDeadlineSeconds in body should be greater than or equal to 10",
        "spec.rollout.progressDeadlineSeconds: must be greater than or equal to 10",
    ),
    Refusal(
        "maxSurge with the strategy Recreate",
        {"rollout": {"type": "Recreate", "maxSurge": 1}},
        rollout.SURGE_WITH_RECREATE,
    ),
    Refusal(
        "maxUnavailable with the strategy Recreate",
        {"rollout": {"type": "Recreate", "maxUnavailable": 1}},
        rollout.SURGE_WITH_RECREATE,
    ),
    Refusal(
        "an unknown strategy",
        {"rollout": {"type": "Canary"}},
        'spec.rollout.type: Unsupported value: "Canary"',
        "spec.rollout.type: must be 'RollingUpdate' or 'Recreate'",
    ),
    Refusal(
        "minReadySeconds equal to the default deadline",
        {"rollout": {"minReadySeconds": 300}},
        rollout.DEADLINE_TOO_SHORT,
    ),
    Refusal(
        "minReadySeconds equal to the deadline",
        {"rollout": {"minReadySeconds": 20, "progressDeadlineSeconds": 20}},
        rollout.DEADLINE_TOO_SHORT,
    ),
    *(
        Refusal(f"the share {share!r}", {"rollout": {"maxSurge": share}}, shares.INVALID_SHARE)
        for share in ("25", "101%", "-1%", "")
    ),
    Refusal(
        "a canary with the strategy Recreate",
        {"rollout": {"type": "Recreate", "canary": {"steps": [{"weight": 10}]}}},
        rollout.CANARY_WITH_RECREATE,
    ),
    Refusal(
        "a canary whose weights fall",
        {"rollout": {"canary": {"steps": [{"weight": 20}, {"weight": 10}]}}},
        canary.FALLING_WEIGHTS,
    ),
    Refusal(
        "an analysis without a limit",
        {"rollout": {"canary": {"steps": [{"weight": 10}], "analysis": {}}}},
        canary.NO_LIMIT,
    ),
    Refusal(
        "an analysis of an objective that does not exist",
        {
            "rollout": {"canary": {"steps": [{"weight": 10}], "analysis": {"slos": ["fast"]}}},
            "monitoring": {},
        },
        spec.UNKNOWN_SLO,
    ),
    Refusal(
        "an analysis without monitoring",
        {"rollout": {"canary": {"steps": [{"weight": 10}], "analysis": {"maxErrorRate": "1%"}}}},
        spec.UNMEASURED,
    ),
    *(
        Refusal(
            f"a canary scaled by a queue whose address is {where}",
            {
                "rollout": {"canary": {"steps": [{"weight": 10}]}},
                "autoscaling": {"maxReplicas": 9, "queue": {"urlFrom": "QUEUE", "region": "eu-west-1"}},
                **variables,
            },
            spec.UNREADABLE_QUEUE,
        )
        for where, variables in (
            ("in envFrom", {"envFrom": [{"secretRef": {"name": "queues"}}]}),
            (
                "in a Secret",
                {"env": [{"name": "QUEUE", "valueFrom": {"secretKeyRef": {"name": "queues", "key": "url"}}}]},
            ),
        )
    ),
    Refusal(
        "a pause without a unit",
        {"rollout": {"canary": {"steps": [{"weight": 10, "pause": "30"}]}}},
        canary.INVALID_PAUSE,
    ),
    Refusal(
        "an error rate that is not a percentage",
        {"rollout": {"canary": {"steps": [{"weight": 10}], "analysis": {"maxErrorRate": "0.01"}}}},
        canary.INVALID_RATE,
    ),
    Refusal(
        "a canary without steps",
        {"rollout": {"canary": {"steps": []}}},
        "spec.rollout.canary.steps in body should have at least 1 items",
        "spec.rollout.canary.steps: must have at least 1 item",
    ),
    Refusal(
        "a minAvailable that is neither a number nor a percentage",
        {"replicas": 3, "disruption": {"minAvailable": "most"}},
        shares.INVALID_SHARE,
    ),
)
