"""Reasons of errors of a reconcile."""

from typing import Final

from shop_operator.api.v1alpha1.reasons.reason import EDIT, EITHER, KEDA, OPERATOR, STUCK, WAITING, Reason

ROWS: Final = (
    Reason(
        "InvalidSpec",
        STUCK,
        "The API server accepted the spec, but it cannot be rendered.",
        "Correct the field that the message names. Existing pods keep running.",
        EDIT,
    ),
    Reason(
        "Refused",
        EITHER,
        "The API server, an admission policy or a quota rejected an object.",
        "Change the spec, or the policy or quota that the message names. If the message asks you to delete an object, delete it."
        " The operator retries after 15 seconds, then at increasing intervals of up to 5 minutes, and whenever the ShopService or"
        " one of its objects changes.",
        EDIT,
    ),
    Reason(
        "Conflict",
        STUCK,
        "An object with the name of a child exists and has another owner, or another ShopService uses the discovery hostname.",
        "Delete or rename that object, or rename the ShopService. If the hostname is in use, choose another one.",
        "kubectl get all -n {namespace} --show-labels",
    ),
    Reason(
        "RolledBack",
        STUCK,
        "The rollout of the release failed. The ShopService is being rolled back, or has been rolled back, to the last release that was available (spec.rollout.autoRollback).",
        "Set a new image or change what failed, accept the rollback with kubectl shop rollback, or retry the same release with kubectl shop retry.",
        "kubectl shop rollback {name} -n {namespace}",
    ),
    Reason(
        "RollbackFailed",
        STUCK,
        "The rollout of the release failed, and the last release that was available cannot be restored with the current spec or in this namespace. Existing pods are left as they are.",
        "Correct the release that failed, or the field that the message names.",
        EDIT,
    ),
    Reason(
        "Forbidden",
        WAITING,
        "The operator lacks a permission.",
        "Check the roles of the operator.",
        "kubectl get clusterroles,roles -A -l app.kubernetes.io/name=shop-operator",
    ),
    Reason(
        "NotInstalled",
        WAITING,
        "The cluster lacks a kind that the spec asks for, such as KEDA's ScaledObject for spec.autoscaling.queue. The message"
        " states what happens until it is installed.",
        "Install it, or remove the field from the spec.",
        KEDA,
    ),
    Reason(
        "Contested",
        WAITING,
        "Another client keeps overwriting fields that the operator manages, or deleting a child; the operator reverts this every two seconds.",
        "Configure the manager that the message names to ignore these fields, or stop the client that deletes the child.",
        "kubectl get shopservice {name} -n {namespace} -o jsonpath={{.status.drift}}",
    ),
    Reason(
        "ApiUnavailable",
        WAITING,
        "The API server or an admission webhook does not respond.",
        "Wait; the operator retries. If it persists, check the webhook or the control plane.",
        "kubectl get --raw '/readyz?verbose'",
    ),
    Reason(
        "Throttled", WAITING, "The API server limits the rate of requests.", "Wait; the operator retries."
    ),
    Reason("Stale", WAITING, "An object changed while it was being written.", "Wait; the operator retries."),
    Reason(
        "Exists", WAITING, "An object appeared while it was being created.", "Wait; the operator retries."
    ),
    Reason(
        "InternalError",
        WAITING,
        "A bug in the operator: the reconciliation of this ShopService failed unexpectedly. Existing pods keep running.",
        "Report it with the traceback from the operator's log. The operator retries.",
        OPERATOR,
    ),
    Reason("NotLeader", WAITING, "Another replica of the operator has taken over.", "Wait.", OPERATOR),
)
