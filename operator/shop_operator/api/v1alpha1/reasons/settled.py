"""Reasons of conditions that require no action."""

from typing import Final

from shop_operator.api.v1alpha1.reasons.reason import Reason

ROWS: Final = (
    Reason(
        "MinimumReplicasAvailable",
        ("Available",),
        "The web Deployment has minimum availability, and at least one available pod.",
    ),
    Reason(
        "MinimumReplicasUnavailable",
        ("Available",),
        "The web Deployment has too few available pods, or does not exist.",
        "See Ready.",
    ),
    Reason("RolledOut", ("Progressing",), "No rollout is in progress."),
    Reason("Settled", ("Reconciling",), "Reconciliation is complete, or stalled."),
    Reason("NotStalled", ("Stalled",), "No intervention is required, or it is not certain yet that one is."),
)
