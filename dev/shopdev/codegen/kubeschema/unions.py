"""Unions of the Kubernetes API ("one of these"), by type.

The schema of the API names two of them (x-kubernetes-unions); the others appear only in its validation and in descriptions of
fields. `CANDIDATES` matches such descriptions; the type of each match is in one of the tables below.
"""

import re
from typing import Any, Final

Union = dict[str, Any]


def one_of(*members: str | list[str], **discriminator: Any) -> Union:
    """At most one member; a list is one member of several fields."""
    return {"members": [[each] if isinstance(each, str) else each for each in members], **discriminator}


def told_by(field: str, **values: str) -> Union:
    """A member requires that the field has its value, and is forbidden with every other value."""
    return one_of(*values, discriminator=field, values=values)


_HANDLERS: Final = ("exec", "httpGet", "tcpSocket")

# Every field of a Volume except its name is a source.
ALL_BUT_NAME: Final[Union] = {"members": "all but name"}

UNIONS: Final[dict[str, list[Union]]] = {
    "ClusterTrustBundleProjection": [one_of("name", ["signerName", "labelSelector"])],
    "DeploymentStrategy": [told_by("type", rollingUpdate="RollingUpdate")],
    "EnvFromSource": [one_of("configMapRef", "secretRef")],
    # A variable with neither member is empty.
    "EnvVar": [one_of("value", "valueFrom", optional=True)],
    "EnvVarSource": [
        one_of("configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"),
    ],
    "FCVolumeSource": [one_of("wwids", ["targetWWNs", "lun"])],
    "FlockerVolumeSource": [one_of("datasetName", "datasetUUID")],
    "LifecycleHandler": [one_of(*_HANDLERS, "sleep")],
    "MetricSpec": [
        told_by(
            "type",
            containerResource="ContainerResource",
            external="External",
            object="Object",
            pods="Pods",
            resource="Resource",
        ),
    ],
    "MetricTarget": [
        told_by("type", averageUtilization="Utilization", averageValue="AverageValue", value="Value"),
    ],
    "NetworkPolicyPeer": [one_of("ipBlock", ["namespaceSelector", "podSelector"])],
    "PodDisruptionBudgetSpec": [one_of("maxUnavailable", "minAvailable")],
    "PodResourceClaim": [one_of("resourceClaimName", "resourceClaimTemplateName")],
    "Probe": [one_of(*_HANDLERS, "grpc")],
    # The timeout of a client IP applies to sessions with affinity to the client IP.
    "ServiceSpec": [told_by("sessionAffinity", sessionAffinityConfig="ClientIP")],
    "Volume": [ALL_BUT_NAME],
    "VolumeMount": [one_of("subPath", "subPathExpr")],
    "VolumeProjection": [
        one_of(
            "clusterTrustBundle",
            "configMap",
            "downwardAPI",
            "podCertificate",
            "secret",
            "serviceAccountToken",
        ),
    ],
    # Unions of x-kubernetes-unions, whose discriminator values are the names of the Go fields.
    "AppArmorProfile": [told_by("type", localhostProfile="Localhost")],
    "SeccompProfile": [told_by("type", localhostProfile="Localhost")],
}

CANDIDATES: Final = re.compile(
    r"one and only one of|exactly one of|only one \S+ (source|type)|mutually.exclusive|cannot be used if|but not both"
    r"|if and only if|present only if|must not be set for any other",
    re.IGNORECASE,
)
# Types whose descriptions match although they are not unions.
NO_UNIONS: Final[dict[str, str]] = {
    "ContainerResourceMetricSource": "speaks of its target, a MetricTarget",
    "ResourceMetricSource": "speaks of its target, a MetricTarget",
    "TopologySpreadConstraint": "speaks of when a constraint counts as met",
}
