"""The ShopServices of a cluster, and their changes."""

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import kubernetes
import urllib3
from kubernetes.client import ApiException

from shop_operator.cli.api_server import SHOPS, TIMEOUT, ApiServer, Object, refused
from shop_operator.names import GROUP, PLURAL, VERSION, Key

SECONDS: Final = 300
_PAUSE: Final = 1.0


def watch(
    server: ApiServer, namespace: str | None, name: str | None = None, seconds: int = SECONDS
) -> Iterator[dict[Key, Object]]:
    """Yield all ShopServices at once, and again after every change, without end.

    Args:
        server: the API server.
        namespace: the namespace; None for all.
        name: name of the only ShopService to watch; None for all.
        seconds: after this time, all are listed again, which reveals an API server that no longer responds.

    Raises:
        NotReachable: the API server no longer responds.
    """
    query = {} if name is None else {"fieldSelector": f"metadata.name={name}"}
    while True:
        answer = server.listing(SHOPS, namespace, **query)
        known = {_key(each): each for each in answer["items"]}
        yield known
        try:
            for event in _events(server, namespace, answer["metadata"]["resourceVersion"], query, seconds):
                known.pop(_key(event["object"]), None)
                if event["type"] != "DELETED":
                    known[_key(event["object"])] = event["object"]
                yield known
        except ApiException as error:
            if error.status != HTTPStatus.GONE:
                refused(error.status, str(error.body or error.reason), "watch ShopServices")
        except (urllib3.exceptions.HTTPError, RecursionError, ValueError):
            # The watch was interrupted, or an object cannot be read. The next LIST returns the current state.
            time.sleep(_PAUSE)


def _events(
    server: ApiServer, namespace: str | None, version: str, query: Mapping[str, str], seconds: int
) -> Iterator[Any]:
    api = kubernetes.client.CustomObjectsApi(server.client)
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
        _request_timeout=(TIMEOUT, seconds + TIMEOUT),
        **chosen,
    )


def _key(obj: Mapping[str, Any]) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
