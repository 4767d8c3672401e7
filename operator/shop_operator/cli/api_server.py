"""Requests to the API server with the user's credentials, and the errors for its responses."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import quote

import kubernetes
import urllib3
from kubernetes.client import ApiException

from shop_operator.cli.bodies import bounded
from shop_operator.cli.errors import Forbidden, NotAllowed, NotReachable, NotThere, NotValid
from shop_operator.names import GROUP, KIND, PLURAL, VERSION
from shop_operator.objects.nesting import DEEPEST, cut
from shop_operator.render import ChildKind

Object = dict[str, Any]

SHOPS: Final = ChildKind(f"{GROUP}/{VERSION}", KIND, PLURAL)
TIMEOUT: Final = 15
"""Seconds to wait for a response."""
_LARGEST: Final = 256
"""MiB of the largest response of the API server, such as a list of all pods."""
LARGEST_TEXT: Final = 16
"""MiB of the largest response of a pod or Service behind its proxy."""
_LONGEST_REASON: Final = 1000


class ApiServer:
    """The API server of one cluster.

    Attributes:
        client: the official client, with the user's credentials.
    """

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self.client = client

    def items(self, kind: ChildKind, namespace: str | None, **query: str) -> list[Object]:
        """The objects of a kind.

        Args:
            kind: the kind.
            namespace: the namespace; None for all.
            query: parameters of the LIST.

        Raises:
            NotThere: the cluster does not serve the kind.
        """
        items = self.listing(kind, namespace, **query)["items"] or ()
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **each} for each in items]

    def listing(self, kind: ChildKind, namespace: str | None, **query: str) -> Any:
        """The response to a LIST; see items."""
        try:
            return self.call("GET", path_of(kind, namespace), query)
        except Missing:
            what = (
                "install the operator's chart, which contains it"
                if kind is SHOPS
                else "its CRD is not installed"
            )
            raise NotThere(f"the cluster does not serve the kind {kind.kind}; {what}") from None

    def call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The JSON object of a response.

        Args:
            method: GET or PATCH.
            path: path of the request.
            query: parameters of the request.
            body: merge patch to send.

        Raises:
            CliError: the API server did not respond, or refused the request; Missing for the status 404.
        """
        raw = self.text(method, path, query, body)
        try:
            found = _loaded(raw)
        except ValueError as error:
            raise self._no_api_server() from error
        if not isinstance(found, dict):
            raise self._no_api_server()
        return found

    def _no_api_server(self) -> NotReachable:
        host = self.client.configuration.host
        return NotReachable(f"{host} is not an API server; check the cluster with `kubectl version`")

    def text(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        longest: int = _LARGEST,
    ) -> str:
        """The body of a response of at most `longest` MiB; see call."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            request = self.client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self.client.call_api(*request, _request_timeout=TIMEOUT)
            raw = bounded(response.response, longest, f"{self.client.configuration.host} to {method} {path}")
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                refused(response.status, raw.decode(errors="replace"), f"{method} {path}")
        except ApiException as error:
            refused(error.status, str(error.body or error.reason), f"{method} {path}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            host = self.client.configuration.host
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


class Missing(NotThere):
    """The API server responded with 404."""


def refused(status: int, body: str, what: str) -> NoReturn:
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
        raise Missing(said)
    if status in {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST}:
        raise NotValid(said)
    if not status:
        raise NotReachable(f"the API server does not respond ({said}); check it with `kubectl version`")
    raise NotReachable(
        f"the API server responded with {status} ({said}); try again, and see `kubectl get --raw '/readyz?verbose'`"
    )


def path_of(kind: ChildKind, namespace: str | None, name: str | None = None) -> str:
    """The path of an object, or of all objects of a kind: in a namespace, or in all of them if it is None."""
    root = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{inside}/{kind.plural}" + (f"/{quote(name, safe='')}" if name is not None else "")
