"""Invalid rollouts and disruptions."""

from shop_operator.api.v1alpha1 import disruption, rollout, shares
from tests.operator.refusals.refusal import Refusal

REFUSALS = (
    Refusal("no bound of a disruption", {"disruption": {}}, disruption.ONE_BOUND),
    Refusal(
        "both bounds of a disruption",
        {"disruption": {"minAvailable": 1, "maxUnavailable": 1}},
        disruption.ONE_BOUND,
    ),
    Refusal("maxUnavailable 0", {"disruption": {"maxUnavailable": 0}}, disruption.NEVER_DISRUPTED),
    Refusal("maxUnavailable 0%", {"disruption": {"maxUnavailable": "0%"}}, disruption.NEVER_DISRUPTED),
    Refusal("minAvailable 100%", {"disruption": {"minAvailable": "100%"}}, disruption.NEVER_DISRUPTED),
    Refusal(
        "a maxUnavailable that is neither a number nor a percentage",
        {"disruption": {"maxUnavailable": "many"}},
        shares.NO_SHARE,
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
        rollout.NO_SURGE,
    ),
    Refusal(
        "maxUnavailable with the strategy Recreate",
        {"rollout": {"type": "Recreate", "maxUnavailable": 1}},
        rollout.NO_SURGE,
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
        rollout.TOO_SHORT_A_DEADLINE,
    ),
    Refusal(
        "minReadySeconds equal to the deadline",
        {"rollout": {"minReadySeconds": 20, "progressDeadlineSeconds": 20}},
        rollout.TOO_SHORT_A_DEADLINE,
    ),
    *(
        Refusal(f"the share {share!r}", {"rollout": {"maxSurge": share}}, shares.NO_SHARE)
        for share in ("25", "101%", "-1%", "")
    ),
    Refusal(
        "a minAvailable that is neither a number nor a percentage",
        {"replicas": 3, "disruption": {"minAvailable": "most"}},
        shares.NO_SHARE,
    ),
)
