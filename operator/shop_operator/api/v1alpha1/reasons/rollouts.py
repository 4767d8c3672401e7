"""Reasons of a ShopService as a whole, and of the rollouts of its Deployments."""

from typing import Final

from shop_operator.api.v1alpha1.reasons.reason import (
    DEPLOYMENTS,
    OPERATOR,
    PODS,
    ROLLING,
    STUCK,
    TREE,
    WAITING,
    Reason,
)

ROWS: Final = (
    Reason(
        "Ready",
        ("Ready",),
        "All resources match the spec and are ready. The message names fields that an admission webhook keeps at different values.",
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
        OPERATOR,
    ),
    Reason("Creating", ROLLING, "A Deployment does not exist yet; the operator is creating it."),
    Reason(
        "RollingOut",
        ROLLING,
        "A Deployment is replacing its pods with pods of a new template.",
        "Wait. A rollout that makes no progress until spec.rollout.progressDeadlineSeconds becomes ProgressDeadlineExceeded.",
        TREE,
    ),
    Reason(
        "Canary",
        ROLLING,
        "A canary release is in progress: the new version gets the share of the requests that the message states.",
        "Wait. Argo Rollouts continues after the pause of the step, and withdraws the new version if an analysis fails.",
        "kubectl describe rollout {child} -n {namespace}",
    ),
    Reason(
        "CanaryAborted",
        STUCK,
        "A canary release was withdrawn, because an analysis failed, its pods did not become ready in time, or a user aborted it. The"
        " previous version gets all requests.",
        "Correct the cause and change the release, or retry it with `kubectl argo rollouts retry rollout`. With"
        " spec.rollout.autoRollback, the pod template returns to the previous version as well.",
        "kubectl describe rollout {child} -n {namespace}",
        warns=True,
    ),
    Reason(
        "RolloutDegraded",
        STUCK,
        "Argo Rollouts cannot process a Rollout, or has stopped doing so, for the reason in the message.",
        "Check that Argo Rollouts is running and that its plugin for the Gateway API is configured, and read its log.",
        "kubectl describe rollout {child} -n {namespace}",
        warns=True,
    ),
    Reason(
        "Scaling",
        ROLLING,
        "The desired number of pods has changed and has not been reached yet.",
        "Wait.",
        TREE,
    ),
    Reason(
        "PodsUnavailable",
        WAITING,
        "A Deployment that was rolled out has fewer available pods than desired, because a pod or its node was lost.",
        "Wait for the replacement. If it persists, inspect the pods.",
        TREE,
    ),
    Reason(
        "RolloutPaused",
        STUCK,
        "`kubectl rollout pause` has paused the rollout of a new template.",
        "Resume the rollout.",
        "kubectl rollout resume deployment/{child} -n {namespace}",
        warns=True,
    ),
    Reason(
        "ProgressDeadlineExceeded",
        STUCK,
        "A rollout made no progress within spec.rollout.progressDeadlineSeconds, and no pod reports a cause.",
        "Inspect the events of the Deployment, then change the spec, or increase the deadline for pods that start slowly.",
        DEPLOYMENTS,
    ),
    Reason(
        "FailedCreate",
        PODS,
        "The cluster does not allow the pods to be created, due to a quota, Pod Security or another policy, or a missing ServiceAccount.",
        "Change what the message names, in the spec or in the namespace. The rollout then continues automatically.",
        DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "FailedDelete",
        PODS,
        "The cluster does not allow old pods to be deleted.",
        "Change the policy that the message names.",
        DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "ReplicaSetCreateError",
        PODS,
        "The cluster does not allow the ReplicaSet of a new template to be created, due to a quota or a policy. Earlier pods"
        " keep running. Stalled after spec.rollout.progressDeadlineSeconds.",
        "Change the quota or policy that the message names. The rollout then continues automatically.",
        DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "ReplicaFailure",
        PODS,
        "A ReplicaSet cannot create or delete pods.",
        "Change what the message names.",
        DEPLOYMENTS,
        warns=True,
    ),
    Reason(
        "Terminating",
        ROLLING,
        "A child object, or another object with its name, is being deleted; the child is created again afterwards.",
        "Wait. If it persists, remove the finalizer that the message names, or fix its controller.",
        "kubectl get all -n {namespace} -l shopservice.dev/name={name}",
    ),
)
