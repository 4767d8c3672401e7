"""The workloads of a ShopService, its web workload and its workers, and the pods of each. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from shop_operator.cli.errors import NotThere
from shop_operator.cli.hints import did_you_mean
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL
from shop_operator.render.labels import WEB, worker_component
from shop_operator.render.overlay import APP

Object = Mapping[str, Any]


def component(shop: Object, worker: str | None) -> str:
    """The component label of the pods of a worker, or of the web workload if None.

    Raises:
        NotThere: the ShopService has no worker of that name.
    """
    if worker is None:
        return WEB
    known = [each["name"] for each in (shop.get("spec") or {}).get("workers") or ()]
    if worker not in known:
        name = shop["metadata"]["name"]
        raise NotThere(f"{name} has no worker {worker}{did_you_mean(worker, known) or _listed(known)}")
    return worker_component(worker)


def title(worker: str | None) -> str:
    """The name of a workload in an output: web, or the name of a worker, which is worker/web if it is the same."""
    return WEB if worker is None else f"worker/{worker}" if worker == WEB else worker


def _listed(known: Iterable[str]) -> str:
    return f"; it has {', '.join(known)}" if known else "; spec.workers is empty"


def container(worker: str | None) -> str:
    """The container with the image in the pods of a worker, or of the web workload if None."""
    return worker or APP


def of_component(objects: Iterable[Object], wanted: str) -> list[Object]:
    """The objects with this component label."""
    return [each for each in objects if (each["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == wanted]


def controlled(objects: Iterable[Object], shop: Object) -> list[Object]:
    """The objects that the ShopService controls."""
    uid = shop["metadata"]["uid"]
    return [
        each
        for each in objects
        if any(
            owner.get("controller") and owner["uid"] == uid
            for owner in each["metadata"].get("ownerReferences") or ()
        )
    ]


def selector(name: str, wanted: str | None) -> str:
    """A label selector for the pods of a ShopService, or of one of its components."""
    return f"{NAME_LABEL}={name}" + (f",{COMPONENT_LABEL}={wanted}" if wanted else "")


def containers(pods: Iterable[Object]) -> int:
    """The number of containers in these pods, including init containers."""
    return sum(
        len(each["spec"].get("containers") or ()) + len(each["spec"].get("initContainers") or ())
        for each in pods
    )


def has_started(pod: Object) -> bool:
    """Whether a container or init container of a pod has ever started, so that it may have logs."""
    state = pod.get("status") or {}
    containers = [
        each for group in ("initContainerStatuses", "containerStatuses") for each in state.get(group) or ()
    ]
    # The kubelet may not have reported the containers of a running pod yet.
    return (not containers and state.get("phase") != "Pending") or any(
        set(each.get(when) or ()) & {"running", "terminated"}
        for each in containers
        for when in ("state", "lastState")
    )


def best(pods: Iterable[Object]) -> str | None:
    """The name of a running pod, preferably a ready one; None if none is running."""
    running = [
        each
        for each in pods
        if (each.get("status") or {}).get("phase") == "Running"
        and not each["metadata"].get("deletionTimestamp")
    ]
    running.sort(key=lambda each: (not is_ready(each), each["metadata"]["name"]))
    return str(running[0]["metadata"]["name"]) if running else None


def is_ready(pod: Object) -> bool:
    """Whether the condition Ready of a pod is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def has_ended(pod: Object) -> bool:
    """Whether all containers of a pod have ended for good, so that it uses nothing."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
