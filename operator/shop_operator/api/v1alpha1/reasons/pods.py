"""Reasons of pods, as reported by the scheduler and the kubelet."""

from typing import Final

from shop_operator.api.v1alpha1.reasons.reason import EDIT, LOGS, POD, PODS, Reason

ROWS: Final = (
    Reason(
        "InvalidImageName",
        PODS,
        "The image reference cannot be parsed.",
        "Correct spec.image.",
        EDIT,
    ),
    Reason(
        "ImagePullBackOff",
        PODS,
        "The image cannot be pulled.",
        "Correct spec.image, push the image, or reference its credentials in spec.imagePullSecrets.",
        POD,
    ),
    Reason(
        "ErrImageNeverPull",
        PODS,
        "The image is not on the node, and spec.imagePullPolicy is Never.",
        "Load the image onto the nodes, or set another spec.imagePullPolicy.",
        EDIT,
    ),
    Reason(
        "ImageInspectError", PODS, "The node cannot read the image.", "Pull or push the image again.", POD
    ),
    Reason(
        "SignatureValidationFailed",
        PODS,
        "The node's policy does not accept the signature of the image.",
        "Sign the image, or change the policy.",
        POD,
    ),
    Reason(
        "CreateContainerConfigError",
        PODS,
        "A variable refers to a ConfigMap, Secret or key that does not exist.",
        "Create it, or correct the reference in spec.env or spec.envFrom.",
        POD,
    ),
    Reason(
        "CreateContainerError",
        PODS,
        "The container runtime cannot create the container.",
        "Correct what the message names, such as spec.command or a volume.",
        POD,
    ),
    Reason(
        "RunContainerError",
        PODS,
        "The container runtime cannot start the container, often because its command does not exist in the image.",
        "Correct spec.command.",
        POD,
    ),
    Reason(
        "PostStartHookError",
        PODS,
        "The container's postStart hook fails.",
        "Correct the hook in spec.podTemplate.",
        POD,
    ),
    Reason(
        "ContainerNotStarted",
        PODS,
        "The kubelet cannot start a container, for the reason in the message.",
        "Inspect the pod's events.",
        POD,
    ),
    Reason(
        "OOMKilled",
        PODS,
        "A container exceeded its memory limit.",
        "Increase spec.resources.limits.memory, or spec.workers[].resources.limits.memory for a worker.",
        EDIT,
    ),
    Reason(
        "CrashLoopBackOff",
        PODS,
        "A container exits repeatedly, or is killed because its liveness probe fails.",
        "Read the last lines of its log.",
        LOGS,
    ),
    Reason("Error", PODS, "A container exited with an error.", "Read the last lines of its log.", LOGS),
    Reason(
        "NotReady",
        PODS,
        "A container is running, but its startup or readiness probe fails.",
        "Set spec.port to the port that the app listens on and spec.probes to paths that it serves, or read its log.",
        LOGS,
    ),
    Reason(
        "Unschedulable",
        PODS,
        "No node is eligible for a pod.",
        "Reduce spec.resources.requests, add nodes, or change the constraints that exclude them.",
        "kubectl describe nodes",
    ),
    Reason(
        "SchedulingGated",
        PODS,
        "A pod is waiting for the removal of its scheduling gates.",
        "Check the controller that set the gates, such as a quota or batch queue.",
        POD,
    ),
    Reason(
        "SchedulerError",
        PODS,
        "The scheduler failed to process a pod.",
        "Inspect the pod's events and the scheduler.",
        POD,
    ),
    Reason(
        "PodFailed",
        PODS,
        "A pod has failed, for example because it was evicted.",
        "Reduce its resource usage, or increase its requests in spec.resources.",
        POD,
    ),
)
