"""The API server as a person with a kubeconfig reaches it, exec plugins (such as EKS's) included."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn

import kubernetes
import urllib3
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

from shop_operator.cli.errors import CliError, NotAllowed, NotReachable, NotThere, NotValid
from shop_operator.render import KINDS, ChildKind
from shop_operator.spec import GROUP, KIND, PLURAL, VERSION
from shop_operator.store import NAME_LABEL

Object = dict[str, Any]

_SHOPS: Final = ChildKind(f"{GROUP}/{VERSION}", KIND, PLURAL)
_PODS: Final = ChildKind("v1", "Pod", "pods")
_REPLICASETS: Final = ChildKind("apps/v1", "ReplicaSet", "replicasets")
_EVENTS: Final = ChildKind("events.k8s.io/v1", "Event", "events")
_TIMEOUT: Final = 15


class Cluster:
    """One cluster.

    Args:
        kubeconfig: the file; that of KUBECONFIG or ~/.kube/config when None.
        context: its context; the current one when None.

    Raises:
        NotReachable: there is none, or it cannot be read.
    """

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        try:
            configuration = kubernetes.client.Configuration()
            # The first answer may be that there is none: a person does not wait for three.
            configuration.retries = 0
            kubernetes.config.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
            contexts, current = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
        except (ConfigException, OSError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise NotReachable(
                f"no cluster is configured ({said}); check it with `kubectl version`"
            ) from error
        chosen = next((each for each in contexts if each["name"] == context), current)
        self._client = kubernetes.client.ApiClient(configuration)
        self.namespace: str = chosen["context"].get("namespace") or "default"

    def shops(self, namespace: str | None) -> list[Object]:
        """Every ShopService of a namespace, or of all."""
        return self._list(_SHOPS, namespace)

    def shop(self, namespace: str, name: str) -> Object:
        """One ShopService.

        Raises:
            NotThere: there is none of that name.
        """
        found = self.find(namespace, name)
        if found is None:
            raise NotThere(
                f"there is no ShopService {name} in namespace {namespace}; see `kubectl shop status -A`"
            )
        return found

    def find(self, namespace: str, name: str) -> Object | None:
        """One ShopService, None when there is none."""
        try:
            found: Object = self._call("GET", _path(_SHOPS, namespace, name))
        except _Missing:
            self._list(_SHOPS, namespace, limit="1")  # says so when the kind itself is missing
            return None
        return found

    def patch(self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Merge-patch a ShopService."""
        query = {"fieldManager": "kubectl-shop"} | ({"dryRun": "All"} if dry_run else {})
        try:
            patched: Object = self._call("PATCH", _path(_SHOPS, namespace, name), query, patch)
        except _Missing:
            raise NotThere(f"there is no ShopService {name} in namespace {namespace}") from None
        return patched

    def children(self, namespace: str, name: str) -> dict[tuple[str, str], Object]:
        """Every object that carries the ShopService's label, by (kind, name)."""
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

    def served(self) -> frozenset[str]:
        """The kinds of children that there can be."""
        kinds = set()
        for kind in KINDS:
            with contextlib.suppress(_Missing):
                group = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
                resources = self._call("GET", group)["resources"]
                kinds |= {each["kind"] for each in resources} & {kind.kind}
        return frozenset(kinds)

    def replicasets(self, namespace: str, name: str) -> list[Object]:
        """Those of a ShopService's Deployments."""
        return self._list(_REPLICASETS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def pods(self, namespace: str, name: str) -> list[Object]:
        """Those of a ShopService."""
        return self._list(_PODS, namespace, labelSelector=f"{NAME_LABEL}={name}")

    def warnings(self, namespace: str, uids: set[str]) -> list[str]:
        """What Events warn of these objects, the newest first."""
        found = [
            each
            for each in self._list(_EVENTS, namespace, fieldSelector="type=Warning")
            if (each.get("regarding") or {}).get("uid") in uids
        ]
        found.sort(key=lambda each: each["metadata"]["creationTimestamp"], reverse=True)
        return [" ".join((each.get("note") or "").split()) for each in found]

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log, or of that of its predecessor; empty when there is none."""
        query = {"container": container, "tailLines": "10", "limitBytes": "4096"}
        if previous:
            query["previous"] = "true"
        try:
            return self._raw("GET", f"{_path(_PODS, namespace, pod)}/log", query)
        except CliError:
            return ""

    def changes(self, namespace: str | None) -> Iterator[Object]:
        """A word for each change of a ShopService, for ever."""
        api = kubernetes.client.CustomObjectsApi(self._client)
        while True:
            watch = kubernetes.watch.Watch()
            listed, arguments = (
                (api.list_cluster_custom_object, (GROUP, VERSION, PLURAL))
                if namespace is None
                else (api.list_namespaced_custom_object, (GROUP, VERSION, namespace, PLURAL))
            )
            try:
                for event in watch.stream(listed, *arguments, timeout_seconds=300):
                    yield event["object"]
            except ApiException as error:
                _refused(error.status, str(error.body or error.reason), "watch ShopServices")
            except urllib3.exceptions.HTTPError:
                continue

    def _list(self, kind: ChildKind, namespace: str | None, **query: str) -> list[Object]:
        try:
            answer = self._call("GET", _path(kind, namespace), query)
        except _Missing:
            what = "the operator's chart brings it" if kind is _SHOPS else "its CRD is not installed"
            raise NotThere(f"this cluster has no kind {kind.kind}: {what}") from None
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **each} for each in answer["items"] or ()]

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        return json.loads(self._raw(method, path, query, body))

    def _raw(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> str:
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
            raw: bytes = response.read()
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                _refused(response.status, raw.decode(errors="replace"), f"{method} {path}")
        except ApiException as error:
            _refused(error.status, str(error.body or error.reason), f"{method} {path}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            host = self._client.configuration.host
            raise NotReachable(f"{host} does not answer; check it with `kubectl version`") from error
        return raw.decode(errors="replace")


class _Missing(NotThere):
    """404."""


def _refused(status: int, body: str, what: str) -> NoReturn:
    """Raise what an answer of the API server stands for; status 0 is no answer."""
    try:
        said = json.loads(body).get("message", "")
    except (json.JSONDecodeError, AttributeError):
        said = body
    said = " ".join(str(said).split()).rstrip(".") or f"{what}: {status}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise NotAllowed(f"{said}; ask whoever runs the cluster for that right")
    if status == HTTPStatus.NOT_FOUND:
        raise _Missing(said)
    if status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST}:
        raise NotValid(said)
    if not status:
        raise NotReachable(f"the API server does not answer ({said}); check it with `kubectl version`")
    raise NotReachable(f"the API server answers {status}: {said}")


def _path(kind: ChildKind, namespace: str | None, name: str | None = None) -> str:
    root = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    inside = f"/namespaces/{namespace}" if namespace is not None else ""
    return f"{root}{inside}/{kind.plural}" + (f"/{name}" if name else "")
