"""The reasons of all conditions of a ShopService: their meaning, the cure, and a command.

The reference page and `kubectl shop explain` are generated from this table. A test fails if a reason is not in the table: add the
row in the change that adds the reason.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Reason:
    """A row of the table.

    Args:
        word: the reason, in CamelCase.
        conditions: types of the conditions that may have the reason.
        meaning: the cause, in one or more sentences.
        cure: the action to take, in sentences; empty if none is required.
        next: a command that shows details or applies the cure, with the placeholders {name}, {namespace}, {child}, {pod},
            {container} and {previous}; empty for none.
        warns: whether the operator reports the reason in a Warning Event.
    """

    word: str
    conditions: tuple[str, ...]
    meaning: str
    cure: str = ""
    next: str = ""
    warns: bool = False


CONDITIONS: Final[Mapping[str, str]] = {
    "Ready": (
        "All resources match the spec and are ready. Wait for this condition. Its message contains the whole cause; the"
        " other conditions refer to it."
    ),
    "Available": (
        "The web Deployment has minimum availability, and at least one available pod unless it is scaled to zero. True"
        " during a rolling update."
    ),
    "Progressing": "A Deployment is rolling out a new template or scaling.",
    "Reconciling": "Work is in progress that needs no intervention yet. kstatus reports InProgress.",
    "Stalled": "Manual intervention is required. kstatus reports Failed.",
    "DependenciesReady": (
        "Every ShopService of spec.dependsOn exists and is available. Present only with spec.dependsOn."
    ),
}
"""The types of conditions, with their meaning when True."""

_WAITING: Final = ("Ready", "Reconciling")
_ROLLING: Final = ("Ready", "Progressing", "Reconciling")
_PODS: Final = ("Ready", "Progressing", "Reconciling", "Stalled")
_STUCK: Final = ("Ready", "Stalled")
_EITHER: Final = ("Ready", "Reconciling", "Stalled")

_EDIT: Final = "kubectl edit shopservice {name} -n {namespace}"
_TREE: Final = "kubectl shop tree {name} -n {namespace}"
_DEPLOYMENTS: Final = "kubectl describe deployments -n {namespace} -l shopservice.dev/name={name}"
_POD: Final = "kubectl describe pod {pod} -n {namespace}"
_LOGS: Final = "kubectl logs {pod} -c {container}{previous} -n {namespace}"
_OPERATOR: Final = "kubectl get pods -A -l app.kubernetes.io/name=shop-operator"
_KEDA: Final = "helm upgrade --install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace"

ROWS: Final = (
    Reason(
        "Ready",
        ("Ready",),
        "All resources match the spec and are ready. The message names fields that an admission webhook keeps at other values.",
    ),
    Reason(
        "ScaledToZero",
        ("Ready", "Available"),
        "The web Deployment is scaled to zero, so no pods serve requests.",
        "Scale the ShopService up to serve requests again.",
        "kubectl scale shopservice {name} --replicas=1 -n {namespace}",
    ),
    Reason(
        "Suspended",
        ("Ready",),
        "spec.suspend is true: the operator changes nothing. Existing resources are ready; whether they match the spec is not checked.",
        "Resume reconciliation.",
        "kubectl shop resume {name} -n {namespace}",
    ),
    Reason(
        "NotObserved",
        ("Ready",),
        "The operator has not reconciled the ShopService yet. Every ShopService is created with this reason.",
        "If it persists, check that the operator is running and watches the namespace.",
        _OPERATOR,
    ),
    Reason("Creating", _ROLLING, "A Deployment does not exist yet; the operator is creating it."),
    Reason(
        "RollingOut",
        _ROLLING,
        "A Deployment is replacing its pods with pods of a new template.",
        "Wait. A rollout that makes no progress until spec.rollout.progressDeadlineSeconds becomes ProgressDeadlineExceeded.",
        _TREE,
    ),
    Reason(
        "Scaling",
        _ROLLING,
        "The desired number of pods has changed and has not been reached yet.",
        "Wait.",
        _TREE,
    ),
    Reason(
        "PodsUnavailable",
        _WAITING,
        "A Deployment that was rolled out has fewer available pods than desired, because a pod or its node was lost.",
        "Wait for the replacement. If it persists, inspect the pods.",
        _TREE,
    ),
    Reason(
        "RolloutPaused",
        _STUCK,
        "`kubectl rollout pause` has paused the rollout of a new template.",
        "Resume the rollout.",
        "kubectl rollout resume deployment/{child} -n {namespace}",
        warns=True,
    ),
    Reason(
        "ProgressDeadlineExceeded",
        _STUCK,
        "A rollout made no progress within spec.rollout.progressDeadlineSeconds, and no pod reports a cause.",
        "Inspect the events of the Deployment, then change the spec, or increase the deadline for pods that start slowly.",
        _DEPLOYMENTS,
    ),
    Reason(
        "FailedCreate",
        _PODS,
        "The cluster does not allow the pods to be created, due to a quota, Pod Security or another policy, or a missing ServiceAccount.",
        "Change what the message names, in the spec or in the namespace. The rollout then continues automatically.",
        _DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "FailedDelete",
        _PODS,
        "The cluster does not allow old pods to be deleted.",
        "Change the policy that the message names.",
        _DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "ReplicaSetCreateError",
        _PODS,
        "The cluster does not allow the ReplicaSet of a new template to be created, due to a quota or a policy. Earlier pods"
        " keep running. Stalled after spec.rollout.progressDeadlineSeconds.",
        "Change the quota or policy that the message names. The rollout then continues automatically.",
        _DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "ReplicaFailure",
        _PODS,
        "A ReplicaSet cannot create or delete pods.",
        "Change what the message names.",
        _DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "Terminating",
        _ROLLING,
        "A child object is being deleted, or an object with the name of one is; it is created again afterwards.",
        "Wait. If it persists, remove the finalizer that the message names, or fix its controller.",
        "kubectl get all -n {namespace} -l shopservice.dev/name={name}",
    ),
    # Pods, from the scheduler and the kubelet.
    Reason(
        "InvalidImageName",
        _PODS,
        "The image reference cannot be parsed.",
        "Correct spec.image.",
        _EDIT,
    ),
    Reason(
        "ImagePullBackOff",
        _PODS,
        "The image cannot be pulled.",
        "Correct spec.image, push the image, or reference its credentials in spec.imagePullSecrets.",
        _POD,
    ),
    Reason(
        "ErrImageNeverPull",
        _PODS,
        "The image is not on the node, and spec.imagePullPolicy is Never.",
        "Load the image onto the nodes, or set another spec.imagePullPolicy.",
        _EDIT,
    ),
    Reason(
        "ImageInspectError", _PODS, "The node cannot read the image.", "Pull or push the image again.", _POD
    ),
    Reason(
        "SignatureValidationFailed",
        _PODS,
        "The node's policy does not accept the signature of the image.",
        "Sign the image, or change the policy.",
        _POD,
    ),
    Reason(
        "CreateContainerConfigError",
        _PODS,
        "A ConfigMap, a Secret or a key that a variable refers to does not exist.",
        "Create it, or correct the reference in spec.env or spec.envFrom.",
        _POD,
    ),
    Reason(
        "CreateContainerError",
        _PODS,
        "The container runtime cannot create the container.",
        "Correct what the message names, such as spec.command or a volume.",
        _POD,
    ),
    Reason(
        "RunContainerError",
        _PODS,
        "The container runtime cannot start the container, often because its command does not exist in the image.",
        "Correct spec.command.",
        _POD,
    ),
    Reason(
        "PostStartHookError",
        _PODS,
        "The container's postStart hook fails.",
        "Correct the hook in spec.podTemplate.",
        _POD,
    ),
    Reason(
        "ContainerNotStarted",
        _PODS,
        "The kubelet cannot start a container, for the reason in the message.",
        "Inspect the pod's events.",
        _POD,
    ),
    Reason(
        "OOMKilled",
        _PODS,
        "A container exceeded its memory limit.",
        "Increase spec.resources.limits.memory, or spec.workers[].resources.limits.memory for a worker.",
        _EDIT,
    ),
    Reason(
        "CrashLoopBackOff",
        _PODS,
        "A container exits repeatedly, or is killed because its liveness probe fails.",
        "Read the last lines of its log.",
        _LOGS,
    ),
    Reason("Error", _PODS, "A container exited with an error.", "Read the last lines of its log.", _LOGS),
    Reason(
        "NotReady",
        _PODS,
        "A container is running, but its startup or readiness probe fails.",
        "Set spec.port to the port that the app listens on and spec.probes to paths that it serves, or read its log.",
        _LOGS,
    ),
    Reason(
        "Unschedulable",
        _PODS,
        "No node is eligible for a pod.",
        "Reduce spec.resources.requests, add nodes, or change the constraints that exclude them.",
        "kubectl describe nodes",
    ),
    Reason(
        "SchedulingGated",
        _PODS,
        "A pod is waiting for the removal of its scheduling gates.",
        "Check the controller that set the gates, such as a quota or batch queue.",
        _POD,
    ),
    Reason(
        "SchedulerError",
        _PODS,
        "The scheduler failed to process a pod.",
        "Inspect the pod's events and the scheduler.",
        _POD,
    ),
    Reason(
        "PodFailed",
        _PODS,
        "A pod has failed, for example because it was evicted.",
        "Reduce its resource usage, or increase its requests in spec.resources.",
        _POD,
    ),
    # Other children.
    Reason(
        "AutoscalerNotWorking",
        _EITHER,
        "A HorizontalPodAutoscaler or ScaledObject cannot scale: it has had no metrics for three minutes, or cannot measure a"
        " resource because the pods do not request it, or its controller has not processed it for three minutes.",
        "Set spec.resources.requests of the measured resource, install metrics-server, or correct the trigger. Check that"
        " kube-controller-manager is running; for a ScaledObject, that the KEDA operator is running and watches the namespace.",
        "kubectl describe hpa -n {namespace} -l shopservice.dev/name={name}",
        warns=True,
    ),
    Reason(
        "RouteNotAccepted",
        _WAITING,
        "The Gateway has not accepted an HTTPRoute, or has rejected it.",
        "Name an existing Gateway in spec.gateway (name and namespace) that allows routes from this namespace.",
        "kubectl get gateways,httproutes -A",
    ),
    # Dependencies.
    Reason(
        "WaitingForDependencies",
        _ROLLING,
        "The first pods are created once the dependencies are available, or after 120 seconds.",
        "Wait, or create missing dependencies.",
        "kubectl shop status -n {namespace}",
    ),
    Reason(
        "DependencyMissing",
        _EITHER,
        "A name in spec.dependsOn is not a ShopService of this namespace. The pods run, but the URL in their variable for the"
        " dependency does not resolve. Stalled after 120 seconds.",
        "Correct the name in spec.dependsOn, or create the ShopService.",
        _EDIT,
        warns=True,
    ),
    Reason(
        "DependencyCycle",
        _EITHER,
        "ShopServices have a circular dependency, so the start order is not enforced. The pods run. Stalled after 120"
        " seconds.",
        "Remove one of the names from spec.dependsOn.",
        _EDIT,
        warns=True,
    ),
    Reason("Available", ("DependenciesReady",), "All dependencies are available."),
    Reason(
        "Unavailable",
        ("DependenciesReady",),
        "A dependency exists but is not available. This ShopService stays Ready, since an unavailable ShopService does not"
        " make its dependants unavailable.",
        "Find out why the dependency is not available.",
        "kubectl shop status -n {namespace}",
    ),
    Reason(
        "Missing",
        ("DependenciesReady",),
        "A dependency does not exist; see DependencyMissing.",
        "Correct the name in spec.dependsOn, or create the ShopService.",
        _EDIT,
    ),
    Reason(
        "Cycle",
        ("DependenciesReady",),
        "The dependencies are circular; see DependencyCycle.",
        "Remove one of the names from spec.dependsOn.",
        _EDIT,
    ),
    # Errors of a pass.
    Reason(
        "InvalidSpec",
        _STUCK,
        "The API server accepted the spec, but it cannot be rendered.",
        "Correct the field that the message names. Existing pods keep running.",
        _EDIT,
    ),
    Reason(
        "Refused",
        _EITHER,
        "The API server, an admission policy or a quota rejected an object.",
        "Change the spec, or the policy or quota that the message names. If the message asks you to delete an object, delete it."
        " The operator retries after 15 seconds, then at increasing intervals of up to 5 minutes, and whenever the ShopService or"
        " one of its objects changes.",
        _EDIT,
    ),
    Reason(
        "Conflict",
        _STUCK,
        "An object with the name of a child exists and has another owner, or another ShopService uses the discovery hostname.",
        "Delete or rename that object, or rename the ShopService; choose another hostname.",
        "kubectl get all -n {namespace} --show-labels",
    ),
    Reason(
        "RolledBack",
        _STUCK,
        "The rollout of the release failed. The ShopService is being rolled back, or has been rolled back, to the last release that was available (spec.rollout.autoRollback).",
        "Set a new image or change what failed, accept the rollback with kubectl shop rollback, or retry the same release with kubectl shop retry.",
        "kubectl shop rollback {name} -n {namespace}",
    ),
    Reason(
        "RollbackFailed",
        _STUCK,
        "The rollout of the release failed, and the last release that was available cannot be restored with the current spec or in this namespace. Existing pods are left as they are.",
        "Correct the release that failed, or the field that the message names.",
        _EDIT,
    ),
    Reason(
        "Forbidden",
        _WAITING,
        "The operator lacks a permission.",
        "Check the roles of the operator.",
        "kubectl get clusterroles,roles -A -l app.kubernetes.io/name=shop-operator",
    ),
    Reason(
        "NotInstalled",
        _WAITING,
        "The cluster lacks a kind that the spec asks for, such as KEDA's ScaledObject for spec.autoscaling.queue.",
        "Install it, or remove the field from the spec.",
        _KEDA,
    ),
    Reason(
        "Contested",
        _WAITING,
        "Another manager keeps overwriting fields that the operator manages; the operator reverts them every two seconds.",
        "Configure the manager that the message names to ignore these fields.",
        "kubectl get shopservice {name} -n {namespace} -o jsonpath={{.status.drift}}",
    ),
    Reason(
        "ApiUnavailable",
        _WAITING,
        "The API server or an admission webhook does not respond.",
        "Wait; the operator retries. If it persists, check the webhook or the control plane.",
        "kubectl get --raw '/readyz?verbose'",
    ),
    Reason(
        "Throttled", _WAITING, "The API server limits the rate of requests.", "Wait; the operator retries."
    ),
    Reason("Stale", _WAITING, "An object changed while it was being written.", "Wait; the operator retries."),
    Reason(
        "Exists", _WAITING, "An object appeared while it was being created.", "Wait; the operator retries."
    ),
    Reason(
        "InternalError",
        _WAITING,
        "A bug in the operator: the reconciliation of this ShopService failed unexpectedly. Existing pods keep running.",
        "Report it with the traceback from the operator's log. The operator retries.",
        _OPERATOR,
    ),
    Reason("NotLeader", _WAITING, "Another replica of the operator has taken over.", "Wait.", _OPERATOR),
    # Reasons of conditions that require no action.
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
REASONS: Final[Mapping[str, Reason]] = {each.word: each for each in ROWS}
"""By word."""
IMMUTABLE: Final = "field is immutable"
"""Part of the API server's message for a change of an immutable field."""
_AGAIN: Final = "so that the operator can create it again"
_DELETE: Final = re.compile(
    rf"{IMMUTABLE}\b.*\. (?P<cure>Delete the (?P<kind>[A-Za-z]+) (?P<name>[a-z0-9][a-z0-9.-]*) {_AGAIN})"
)


def recreation(child: str) -> str:
    """The clause of a message that asks for the deletion of a child, so that the operator can create it again.

    Args:
        child: kind and name of the child.
    """
    return f"Delete the {child} {_AGAIN}"


def row(word: str, message: str) -> Reason | None:
    """The row of a reason, with the cure and the command for its message; None for an unknown reason.

    Args:
        word: the reason.
        message: message of the condition with that reason.
    """
    found = _DELETE.search(message) if word == "Refused" else None
    if found is None:
        return REASONS.get(word)
    command = f"kubectl delete {found['kind'].lower()} {found['name']} -n {{namespace}}"
    return replace(REASONS[word], cure=f"{found['cure']}.", next=command)
