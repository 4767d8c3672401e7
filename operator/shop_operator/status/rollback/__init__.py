"""Automatic rollback: a release that fails is rejected and replaced by the last good one, as a whole.

A release is everything that makes pods (`release`). Fields that make no pods (replicas, autoscaling, routes, policies) always
follow the spec (`pod_fields`); so does the Service, whose named target port works with old and new pods. The status keeps the
last good release (`last_good`) and decides when a release is rejected (`rejection`). Afterwards, `choice` decides which of the two
is rendered. Ready shows the progress (`progress`).
"""

from shop_operator.status.rollback.choice import Chosen, chosen, in_place
from shop_operator.status.rollback.last_good import last_good, records, rolls_back
from shop_operator.status.rollback.pod_fields import mergeable, same_pods
from shop_operator.status.rollback.progress import not_rolled_back
from shop_operator.status.rollback.release import Release, release

__all__ = [
    "Chosen",
    "Release",
    "chosen",
    "in_place",
    "last_good",
    "mergeable",
    "not_rolled_back",
    "records",
    "release",
    "rolls_back",
    "same_pods",
]
