"""The objects of a cluster that the commands read and change, with the permissions of the user."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from shop_operator.cli import watching
from shop_operator.cli.api_server import LARGEST_TEXT, SHOPS, ApiServer, Missing, Object, path_of
from shop_operator.cli.errors import CliError, Forbidden, NotAllowed, NotThere
from shop_operator.cli.events import last_seen
from shop_operator.cli.hints import did_you_mean
from shop_operator.cli.kubeconfig import Kubeconfig
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL, Key
from shop_operator.render import KINDS, ChildKind
from shop_operator.render.labels import DISCOVERY

_NAMESPACES: Final = ChildKind("v1", "Namespace", "namespaces")
_PODS: Final = ChildKind("v1", "Pod", "pods")
(_DEPLOYMENTS,) = (each for each in KINDS if each.kind == "Deployment")
(_SERVICES,) = (each for each in KINDS if each.kind == "Service")
_REPLICASETS: Final = ChildKind("apps/v1", "ReplicaSet", "replicasets")
_GATEWAYS: Final = ChildKind("gateway.networking.k8s.io/v1", "Gateway", "gateways")
_EVENTS: Final = ChildKind("events.k8s.io/v1", "Event", "events")
_OPERATOR: Final = "app.kubernetes.io/name=shop-operator"
_MANAGER: Final = "kubectl-shop"


class Cluster:
    """One cluster.

    Args:
        kubeconfig: path of the file; None for that of KUBECONFIG or ~/.kube/config.
        context: context of the kubeconfig; None for the current one.

    Raises:
        NotReachable: the kubeconfig or the context does not exist, or cannot be read.
    """

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        self._kubeconfig = Kubeconfig(kubeconfig, context)
        self._server = ApiServer(self._kubeconfig.client)

    @property
    def context(self) -> str:
        """The name of the context."""
        return self._kubeconfig.context

    @property
    def namespace(self) -> str:
        """The namespace of the context.

        Raises:
            NotReachable: the name of the namespace is not valid.
        """
        return self._kubeconfig.namespace

    def shops(self, namespace: str | None) -> list[Object]:
        """The ShopServices of a namespace, or of all namespaces if None."""
        return self._server.items(SHOPS, namespace)

    def shop(self, namespace: str, name: str) -> Object:
        """One ShopService.

        Raises:
            NotThere: it does not exist.
        """
        found = self.find(namespace, name)
        if found is None:
            there = list[str]()
            with contextlib.suppress(NotAllowed):
                there = [each["metadata"]["name"] for each in self.shops(namespace)]
            hint = did_you_mean(name, there) or self.meant(namespace, "; see `kubectl shop status -A`")
            raise NotThere(f"ShopService {name} not found in namespace {namespace}{hint}")
        return found

    def meant(self, namespace: str, otherwise: str = "") -> str:
        """The end of a sentence that suggests another namespace, if this one does not exist and the user may list namespaces."""
        try:
            there = [each["metadata"]["name"] for each in self._server.items(_NAMESPACES, None)]
        except CliError:
            return otherwise
        if namespace in there:
            return otherwise
        return f", which does not exist{did_you_mean(namespace, there) or otherwise}"

    def find(self, namespace: str, name: str) -> Object | None:
        """One ShopService; None if it does not exist."""
        try:
            found: Object = self._server.call("GET", path_of(SHOPS, namespace, name))
        except Missing:
            self._server.items(SHOPS, namespace, limit="1")  # raises NotThere if the kind itself is missing
            return None
        return found

    def child(self, namespace: str, kind: str, name: str) -> Object | None:
        """An object of a child kind, regardless of its owner; None if it does not exist."""
        known = next(each for each in KINDS if each.kind == kind)
        try:
            found: Object = self._server.call("GET", path_of(known, namespace, name))
        except Missing:
            return None
        return found

    def namespace_object(self, namespace: str) -> Object | None:
        """A namespace; None if it does not exist or the user may not read it."""
        try:
            found: Object = self._server.call("GET", f"/api/v1/namespaces/{quote(namespace, safe='')}")
        except (Missing, NotAllowed):
            return None
        return found

    def operators(self) -> list[Object]:
        """The Deployments of operators in all namespaces; empty if the user may not list them."""
        try:
            return self._server.items(_DEPLOYMENTS, None, labelSelector=_OPERATOR)
        except NotAllowed:
            return []

    def registered(self) -> list[Object] | None:
        """All ShopServices of the cluster and all Services with a discovery hostname; None if the user may not list them."""
        selector = f"{NAME_LABEL},{COMPONENT_LABEL}={DISCOVERY}"
        try:
            return [*self.shops(None), *self._server.items(_SERVICES, None, labelSelector=selector)]
        except NotAllowed:
            return None

    def patch(self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Merge-patch a ShopService."""
        query = {"fieldManager": _MANAGER} | ({"dryRun": "All"} if dry_run else {})
        try:
            patched: Object = self._server.call("PATCH", path_of(SHOPS, namespace, name), query, patch)
        except Missing:
            self.shop(namespace, name)
            raise
        return patched

    def annotate_pods(
        self, namespace: str, deployment: str, annotations: Mapping[str, str], *, dry_run: bool = False
    ) -> None:
        """Set annotations of the pod template of a Deployment, which replaces its pods."""
        query = {"fieldManager": _MANAGER} | ({"dryRun": "All"} if dry_run else {})
        patch = {"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}
        self._server.call("PATCH", path_of(_DEPLOYMENTS, namespace, deployment), query, patch)

    def children(self, namespace: str, name: str) -> dict[tuple[str, str], Object]:
        """All objects with the label of the ShopService, by (kind, name)."""
        found: dict[tuple[str, str], Object] = {}
        for kind in KINDS:
            try:
                items = self._server.items(kind, namespace, labelSelector=f"{NAME_LABEL}={name}")
            except NotThere:
                if not kind.optional:
                    raise
                continue
            found |= {(kind.kind, each["metadata"]["name"]): each for each in items}
        return found

    def owned(self, namespace: str, name: str) -> tuple[list[Object], list[str]]:
        """The objects with the label of the ShopService, including ReplicaSets and Pods; and the kinds that the user may not list."""
        found, forbidden = list[Object](), list[str]()
        for kind in (*KINDS, _REPLICASETS, _PODS):
            try:
                found += self._server.items(kind, namespace, labelSelector=f"{NAME_LABEL}={name}")
            except Forbidden:
                forbidden.append(kind.kind)
            except NotThere:
                if not kind.optional:
                    raise
        return found, forbidden

    def deployments(self, namespace: str, name: str) -> list[Object]:
        """The Deployments of a ShopService."""
        return self._server.items(_DEPLOYMENTS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def served(self) -> frozenset[str]:
        """The child kinds that the cluster serves."""
        kinds = set()
        for kind in KINDS:
            with contextlib.suppress(Missing):
                group = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
                resources = self._server.call("GET", group)["resources"]
                kinds |= {each["kind"] for each in resources} & {kind.kind}
        return frozenset(kinds)

    def replicasets(self, namespace: str, name: str) -> list[Object]:
        """The ReplicaSets of a ShopService's Deployments."""
        return self._server.items(_REPLICASETS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def gateways(self) -> list[str]:
        """All Gateways of the cluster, as namespace/name.

        Raises:
            NotThere: the Gateway API is not installed.
        """
        found = (each["metadata"] for each in self._server.items(_GATEWAYS, None))
        return sorted(f"{each['namespace']}/{each['name']}" for each in found)

    def gateway(self, namespace: str, name: str) -> Object | None:
        """One Gateway; None if it does not exist or the user may not read it."""
        try:
            found: Object = self._server.call("GET", path_of(_GATEWAYS, namespace, name))
        except (Missing, NotAllowed):
            return None
        return found

    def pods(self, namespace: str, name: str) -> list[Object]:
        """The pods of a ShopService."""
        return self._server.items(_PODS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def warnings(self, namespace: str, uids: set[str]) -> list[str]:
        """The warnings in Events about these objects, newest first."""
        found = self.events(namespace, uids, fieldSelector="type=Warning")
        return [" ".join((each.get("note") or "").split()) for each in found]

    def events(self, namespace: str, uids: set[str], **query: str) -> list[Object]:
        """The Events about these objects, newest first."""
        found = [
            each
            for each in self._server.items(_EVENTS, namespace, **query)
            if (each.get("regarding") or {}).get("uid") in uids
        ]
        return sorted(found, key=last_seen, reverse=True)

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of the log of a container or of its previous instance; empty if it has none."""
        try:
            return self.log_of(namespace, pod, container, previous=previous)
        except CliError:
            return ""

    def labelled(self, kind: str, namespace: str | None, selector: str = NAME_LABEL) -> list[Object]:
        """The objects of a kind with a label; by default, those of ShopServices.

        Args:
            kind: Deployment, HorizontalPodAutoscaler, Pod or Service.
            namespace: the namespace; None for all.
            selector: label selector; empty for all objects.
        """
        known = next(each for each in (*KINDS, _PODS) if each.kind == kind)
        return self._server.items(known, namespace, **({"labelSelector": selector} if selector else {}))

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """The response to a GET request: of another API, or of a pod or Service behind the proxy of the API server."""
        return self._server.text("GET", path, query, longest=LARGEST_TEXT)

    def log_of(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        lines: int = 10,
        longest: int = 4096,
    ) -> str:
        """The last lines of the log of a container or of its previous instance, at most `longest` bytes.

        Raises:
            NotThere: the pod does not exist.
            NotValid: the container does not exist, or has not started.
        """
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(longest)}
        if previous:
            query["previous"] = "true"
        return self._server.text("GET", f"{path_of(_PODS, namespace, pod)}/log", query)

    def watch(
        self, namespace: str | None, name: str | None = None, seconds: int = watching.SECONDS
    ) -> Iterator[dict[Key, Object]]:
        """Yield all ShopServices at once, and again after every change, without end; see watching.watch."""
        return watching.watch(self._server, namespace, name, seconds)
