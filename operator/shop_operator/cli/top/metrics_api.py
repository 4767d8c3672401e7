"""The use of CPU and memory according to the metrics API, which metrics-server provides."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotReachable
from shop_operator.cli.top.rows import Resources, resources

PATH: Final = "/apis/metrics.k8s.io/v1beta1"


@dataclass(frozen=True)
class Use:
    """The use of a pod.

    Args:
        namespace: namespace of the pod.
        name: name of the pod.
        labels: labels of the pod.
        at: time of the measurement.
        containers: name and use of each container.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    at: str
    containers: tuple[tuple[str, Resources], ...]

    def of(self, container: str) -> Resources | None:
        """The use of a container; None if it was not measured."""
        return next((used for name, used in self.containers if name == container), None)

    @property
    def total(self) -> Resources:
        """The use of all containers."""
        return sum((used for _, used in self.containers), Resources())


def of_pods(cluster: Cluster, namespace: str | None, selector: str) -> list[Use]:
    """The use of pods.

    Args:
        cluster: the cluster.
        namespace: namespace of the pods; None for all.
        selector: label selector.

    Raises:
        NotThere: the cluster has no metrics API.
        NotReachable: it does not respond with such a list.
    """
    inside = f"/namespaces/{namespace}" if namespace is not None else ""
    answer = cluster.text(f"{PATH}{inside}/pods", {"labelSelector": selector})
    try:
        return [_use(each) for each in json.loads(answer)["items"]]
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise NotReachable(f"the metrics API returned an unexpected document ({error!r})") from error


def _use(found: Mapping[str, Any]) -> Use:
    metadata = found["metadata"]
    return Use(
        str(metadata["namespace"]),
        str(metadata["name"]),
        {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
        str(found.get("timestamp", "")),
        tuple((str(each.get("name", "")), resources(each["usage"])) for each in found["containers"]),
    )
