"""Requests to the API server with the user's kubeconfig, including exec plugins such as that of EKS."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import quote

import kubernetes
import urllib3
import yaml
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

from shop_operator.cli.bodies import bounded
from shop_operator.cli.errors import CliError, Forbidden, NotAllowed, NotReachable, NotThere, NotValid
from shop_operator.cli.events import last_seen
from shop_operator.cli.hints import did_you_mean
from shop_operator.cli.naming import is_name, shown
from shop_operator.names import COMPONENT_LABEL, GROUP, KIND, NAME_LABEL, PLURAL, VERSION, Key
from shop_operator.objects.nesting import DEEPEST, cut
from shop_operator.render import KINDS, ChildKind
from shop_operator.render.labels import DISCOVERY

Object = dict[str, Any]

_SHOPS: Final = ChildKind(f"{GROUP}/{VERSION}", KIND, PLURAL)
_NAMESPACES: Final = ChildKind("v1", "Namespace", "namespaces")
_PODS: Final = ChildKind("v1", "Pod", "pods")
(_DEPLOYMENTS,) = (each for each in KINDS if each.kind == "Deployment")
(_SERVICES,) = (each for each in KINDS if each.kind == "Service")
_REPLICASETS: Final = ChildKind("apps/v1", "ReplicaSet", "replicasets")
_GATEWAYS: Final = ChildKind("gateway.networking.k8s.io/v1", "Gateway", "gateways")
_EVENTS: Final = ChildKind("events.k8s.io/v1", "Event", "events")
_OPERATOR: Final = "app.kubernetes.io/name=shop-operator"
_MANAGER: Final = "kubectl-shop"
_TIMEOUT: Final = 15
_WATCH: Final = 300
_PAUSE: Final = 1.0
_LARGEST: Final = 256
"""MiB of the largest response of the API server, such as a list of all pods."""
_LARGEST_TEXT: Final = 16
"""MiB of the largest response of a pod or Service behind its proxy."""
_LONGEST_REASON: Final = 1000


class Cluster:
    """One cluster.

    Args:
        kubeconfig: path of the file; None for that of KUBECONFIG or ~/.kube/config.
        context: context of the kubeconfig; None for the current one.

    Raises:
        NotReachable: the kubeconfig or the context does not exist, or cannot be read.
    """

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        try:
            configuration = kubernetes.client.Configuration()
            # No retries: if the API server does not respond, the user sees the error without further waiting.
            configuration.retries = 0
            kubernetes.config.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
            contexts, current = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
        except (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError) as error:
            said = " ".join(str(error).split()).rstrip(".")
            asked = did_you_mean(context, _contexts(kubeconfig)) if context else ""
            raise NotReachable(
                f"no cluster is configured ({said}); name one with --kubeconfig or --context, and see"
                f" `kubectl config view`{asked}"
            ) from error
        self._context = next((each for each in contexts if each["name"] == context), current)
        if not configuration.verify_ssl:
            # The kubeconfig sets insecure-skip-tls-verify. Like kubectl, do not warn about every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._client = kubernetes.client.ApiClient(configuration)

    @property
    def context(self) -> str:
        """The name of the context."""
        return str(self._context["name"])

    @property
    def namespace(self) -> str:
        """The namespace of the context.

        Raises:
            NotReachable: the name of the namespace is not valid.
        """
        found = self._context["context"].get("namespace") or "default"
        if not is_name(found):
            raise NotReachable(
                f"the namespace of context {self._context['name']} is {shown(found)}, which is not a valid name;"
                " name one with -n, or see `kubectl config set-context --help`"
            )
        return str(found)

    def shops(self, namespace: str | None) -> list[Object]:
        """The ShopServices of a namespace, or of all namespaces if None."""
        return self._list(_SHOPS, namespace)

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
            there = [each["metadata"]["name"] for each in self._list(_NAMESPACES, None)]
        except CliError:
            return otherwise
        if namespace in there:
            return otherwise
        return f", which does not exist{did_you_mean(namespace, there) or otherwise}"

    def find(self, namespace: str, name: str) -> Object | None:
        """One ShopService; None if it does not exist."""
        try:
            found: Object = self._call("GET", _path(_SHOPS, namespace, name))
        except _Missing:
            self._list(_SHOPS, namespace, limit="1")  # raises NotThere if the kind itself is missing
            return None
        return found

    def child(self, namespace: str, kind: str, name: str) -> Object | None:
        """An object of a child kind, regardless of its owner; None if it does not exist."""
        known = next(each for each in KINDS if each.kind == kind)
        try:
            found: Object = self._call("GET", _path(known, namespace, name))
        except _Missing:
            return None
        return found

    def namespace_object(self, namespace: str) -> Object | None:
        """A namespace; None if it does not exist or the user may not read it."""
        try:
            found: Object = self._call("GET", f"/api/v1/namespaces/{quote(namespace, safe='')}")
        except (_Missing, NotAllowed):
            return None
        return found

    def operators(self) -> list[Object]:
        """The Deployments of operators in all namespaces; empty if the user may not list them."""
        try:
            return self._list(_DEPLOYMENTS, None, labelSelector=_OPERATOR)
        except NotAllowed:
            return []

    def registered(self) -> list[Object] | None:
        """All ShopServices of the cluster and all Services with a discovery hostname; None if the user may not list them."""
        selector = f"{NAME_LABEL},{COMPONENT_LABEL}={DISCOVERY}"
        try:
            return [*self.shops(None), *self._list(_SERVICES, None, labelSelector=selector)]
        except NotAllowed:
            return None

    def patch(self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Merge-patch a ShopService."""
        query = {"fieldManager": _MANAGER} | ({"dryRun": "All"} if dry_run else {})
        try:
            patched: Object = self._call("PATCH", _path(_SHOPS, namespace, name), query, patch)
        except _Missing:
            self.shop(namespace, name)
            raise
        return patched

    def annotate_pods(
        self, namespace: str, deployment: str, annotations: Mapping[str, str], *, dry_run: bool = False
    ) -> None:
        """Set annotations of the pod template of a Deployment, which replaces its pods."""
        query = {"fieldManager": _MANAGER} | ({"dryRun": "All"} if dry_run else {})
        patch = {"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}
        self._call("PATCH", _path(_DEPLOYMENTS, namespace, deployment), query, patch)

    def children(self, namespace: str, name: str) -> dict[tuple[str, str], Object]:
        """All objects with the label of the ShopService, by (kind, name)."""
        found: dict[tuple[str, str], Object] = {}
        for kind in KINDS:
            try:
                items = self._list(kind, namespace, labelSelector=f"{NAME_LABEL}={name}")
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
                found += self._list(kind, namespace, labelSelector=f"{NAME_LABEL}={name}")
            except Forbidden:
                forbidden.append(kind.kind)
            except NotThere:
                if not kind.optional:
                    raise
        return found, forbidden

    def deployments(self, namespace: str, name: str) -> list[Object]:
        """The Deployments of a ShopService."""
        return self._list(_DEPLOYMENTS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def served(self) -> frozenset[str]:
        """The child kinds that the cluster serves."""
        kinds = set()
        for kind in KINDS:
            with contextlib.suppress(_Missing):
                group = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
                resources = self._call("GET", group)["resources"]
                kinds |= {each["kind"] for each in resources} & {kind.kind}
        return frozenset(kinds)

    def replicasets(self, namespace: str, name: str) -> list[Object]:
        """The ReplicaSets of a ShopService's Deployments."""
        return self._list(_REPLICASETS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def gateways(self) -> list[str]:
        """All Gateways of the cluster, as namespace/name.

        Raises:
            NotThere: the Gateway API is not installed.
        """
        found = (each["metadata"] for each in self._list(_GATEWAYS, None))
        return sorted(f"{each['namespace']}/{each['name']}" for each in found)

    def gateway(self, namespace: str, name: str) -> Object | None:
        """One Gateway; None if it does not exist or the user may not read it."""
        try:
            found: Object = self._call("GET", _path(_GATEWAYS, namespace, name))
        except (_Missing, NotAllowed):
            return None
        return found

    def pods(self, namespace: str, name: str) -> list[Object]:
        """The pods of a ShopService."""
        return self._list(_PODS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def warnings(self, namespace: str, uids: set[str]) -> list[str]:
        """The warnings in Events about these objects, newest first."""
        found = self.events(namespace, uids, fieldSelector="type=Warning")
        return [" ".join((each.get("note") or "").split()) for each in found]

    def events(self, namespace: str, uids: set[str], **query: str) -> list[Object]:
        """The Events about these objects, newest first."""
        found = [
            each
            for each in self._list(_EVENTS, namespace, **query)
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
        return self._list(known, namespace, **({"labelSelector": selector} if selector else {}))

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """The response to a GET request: of another API, or of a pod or Service behind the proxy of the API server."""
        return self._raw("GET", path, query, longest=_LARGEST_TEXT)

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
        return self._raw("GET", f"{_path(_PODS, namespace, pod)}/log", query)

    def watch(
        self, namespace: str | None, name: str | None = None, seconds: int = _WATCH
    ) -> Iterator[dict[Key, Object]]:
        """Yield all ShopServices at once, and again after every change, without end.

        Args:
            namespace: the namespace; None for all.
            name: name of the only ShopService to watch; None for all.
            seconds: after this time, all are listed again, which reveals an API server that no longer responds.

        Raises:
            NotReachable: the API server no longer responds.
        """
        query = {} if name is None else {"fieldSelector": f"metadata.name={name}"}
        while True:
            answer = self._listing(_SHOPS, namespace, **query)
            known = {_key(each): each for each in answer["items"]}
            yield known
            try:
                for event in self._events(namespace, answer["metadata"]["resourceVersion"], query, seconds):
                    known.pop(_key(event["object"]), None)
                    if event["type"] != "DELETED":
                        known[_key(event["object"])] = event["object"]
                    yield known
            except ApiException as error:
                if error.status != HTTPStatus.GONE:
                    _refused(error.status, str(error.body or error.reason), "watch ShopServices")
            except (urllib3.exceptions.HTTPError, RecursionError, ValueError):
                # The watch was interrupted, or an object cannot be read. The next LIST returns the current state.
                time.sleep(_PAUSE)

    def _events(
        self, namespace: str | None, version: str, query: Mapping[str, str], seconds: int
    ) -> Iterator[Any]:
        api = kubernetes.client.CustomObjectsApi(self._client)
        listed, where = (
            (api.list_cluster_custom_object, (GROUP, VERSION, PLURAL))
            if namespace is None
            else (api.list_namespaced_custom_object, (GROUP, VERSION, namespace, PLURAL))
        )
        chosen = {"field_selector": query["fieldSelector"]} if query else {}
        yield from kubernetes.watch.Watch().stream(
            listed,
            *where,
            resource_version=version,
            timeout_seconds=seconds,
            _request_timeout=(_TIMEOUT, seconds + _TIMEOUT),
            **chosen,
        )

    def _list(self, kind: ChildKind, namespace: str | None, **query: str) -> list[Object]:
        items = self._listing(kind, namespace, **query)["items"] or ()
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **each} for each in items]

    def _listing(self, kind: ChildKind, namespace: str | None, **query: str) -> Any:
        try:
            return self._call("GET", _path(kind, namespace), query)
        except _Missing:
            what = (
                "install the operator's chart, which contains it"
                if kind is _SHOPS
                else "its CRD is not installed"
            )
            raise NotThere(f"the cluster does not serve the kind {kind.kind}; {what}") from None

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        raw = self._raw(method, path, query, body)
        try:
            found = _loaded(raw)
        except ValueError as error:
            raise self._no_api_server() from error
        if not isinstance(found, dict):
            raise self._no_api_server()
        return found

    def _no_api_server(self) -> NotReachable:
        host = self._client.configuration.host
        return NotReachable(f"{host} is not an API server; check the cluster with `kubectl version`")

    def _raw(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        longest: int = _LARGEST,
    ) -> str:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*request, _request_timeout=_TIMEOUT)
            raw = bounded(response.response, longest, f"{self._client.configuration.host} to {method} {path}")
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                _refused(response.status, raw.decode(errors="replace"), f"{method} {path}")
        except ApiException as error:
            _refused(error.status, str(error.body or error.reason), f"{method} {path}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            host = self._client.configuration.host
            cause = getattr(error, "reason", None)
            if isinstance(cause, urllib3.exceptions.SSLError):
                said = " ".join(str(cause).split())
                raise NotReachable(
                    f"{host} is not trusted ({said}); check certificate-authority in the kubeconfig"
                ) from error
            raise NotReachable(f"{host} does not respond; check it with `kubectl version`") from error
        return raw.decode(errors="replace")


def _loaded(raw: str) -> Any:
    """The JSON of a response.

    An object that is nested too deeply is truncated, so that the others can be read. The operator reports the problem in the
    status of the object.
    """
    try:
        return json.loads(raw)
    except RecursionError:
        # The objects of a LIST are two levels below the top.
        return json.loads(cut(raw.encode(), DEEPEST + 2))


def _contexts(kubeconfig: str | None) -> list[str]:
    """The names of the contexts; empty if the kubeconfig cannot be read."""
    try:
        contexts, _ = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
    except (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError):
        return []
    return [str(each["name"]) for each in contexts]


class _Missing(NotThere):
    """The API server responded with 404."""


def _refused(status: int, body: str, what: str) -> NoReturn:
    """Raise the error for a response of the API server. The status 0 means that it did not respond."""
    try:
        said = json.loads(body).get("message", "")
    except (ValueError, AttributeError, RecursionError):
        said = body
    said = " ".join(str(said)[:_LONGEST_REASON].split()).rstrip(".") or f"{what}: {status}"
    if status == HTTPStatus.UNAUTHORIZED:
        raise NotAllowed(f"authentication failed ({said}); log in again, and see `kubectl auth whoami`")
    if status == HTTPStatus.FORBIDDEN:
        raise Forbidden(f"{said}; ask the cluster administrator for this permission")
    if status == HTTPStatus.NOT_FOUND:
        raise _Missing(said)
    if status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST}:
        raise NotValid(said)
    if not status:
        raise NotReachable(f"the API server does not respond ({said}); check it with `kubectl version`")
    raise NotReachable(
        f"the API server responded with {status} ({said}); try again, and see `kubectl get --raw '/readyz?verbose'`"
    )


def _path(kind: ChildKind, namespace: str | None, name: str | None = None) -> str:
    root = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{inside}/{kind.plural}" + (f"/{quote(name, safe='')}" if name is not None else "")


def _key(obj: Mapping[str, Any]) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
