"""Reasons of autoscalers, routes and dependencies."""

from typing import Final

from shop_operator.api.v1alpha1.reasons.reason import EDIT, EITHER, ROLLING, WAITING, Reason

ROWS: Final = (
    Reason(
        "AutoscalerNotWorking",
        EITHER,
        "A HorizontalPodAutoscaler or ScaledObject cannot scale: it has had no metrics for three minutes, or cannot measure a"
        " resource because the pods do not request it, or its controller has not processed it for three minutes, or KEDA cannot"
        " read the queue and uses the fallback.",
        "Set spec.resources.requests of the measured resource, install metrics-server or the adapter of the metric, or correct"
        " the trigger. Check that kube-controller-manager is running; for a ScaledObject, that the KEDA operator is running,"
        " watches the namespace, and may read the queue.",
        "kubectl describe hpa -n {namespace} -l shopservice.dev/name={name}",
        warns=True,
    ),
    Reason(
        "RouteNotAccepted",
        WAITING,
        "The Gateway has not accepted an HTTPRoute, or has rejected it.",
        "Name an existing Gateway in spec.gateway (name and namespace) that allows routes from this namespace.",
        "kubectl get gateways,httproutes -A",
    ),
    # Dependencies.
    Reason(
        "WaitingForDependencies",
        ROLLING,
        "The first pods are created once the dependencies are available, or after 120 seconds.",
        "Wait, or create missing dependencies.",
        "kubectl shop status -n {namespace}",
    ),
    Reason(
        "DependencyMissing",
        EITHER,
        "A name in spec.dependsOn is not a ShopService of this namespace. The pods run, but the URL in their variable for the"
        " dependency does not resolve. Stalled after 120 seconds.",
        "Correct the name in spec.dependsOn, or create the ShopService.",
        EDIT,
        warns=True,
    ),
    Reason(
        "DependencyCycle",
        EITHER,
        "ShopServices have a circular dependency, so the start order is not enforced. The pods run. Stalled after 120"
        " seconds.",
        "Remove one of the names from spec.dependsOn.",
        EDIT,
        warns=True,
    ),
    Reason("Available", ("DependenciesReady",), "All dependencies are available."),
    Reason(
        "Unavailable",
        ("DependenciesReady",),
        "A dependency exists but is not available. This ShopService stays Ready, since an unavailable ShopService does not"
        " make its dependents unavailable.",
        "Find out why the dependency is not available.",
        "kubectl shop status -n {namespace}",
    ),
    Reason(
        "Missing",
        ("DependenciesReady",),
        "A dependency does not exist; see DependencyMissing.",
        "Correct the name in spec.dependsOn, or create the ShopService.",
        EDIT,
    ),
    Reason(
        "Cycle",
        ("DependenciesReady",),
        "The dependencies are circular; see DependencyCycle.",
        "Remove one of the names from spec.dependsOn.",
        EDIT,
    ),
)
