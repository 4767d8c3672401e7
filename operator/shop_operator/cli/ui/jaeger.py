"""Traces from the API of Jaeger: at a URL, or at a Service of the cluster through the proxy of the API server."""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import NotReachable
from shop_operator.cli.ui import documents

Document = Mapping[str, Any]

NAMESPACE: Final = "observability"
SERVICE: Final = "jaeger"
PORT: Final = 16686
_PROXY: Final = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}:{PORT}/proxy"
ORDER_ID: Final = "shop.order.id"
"""The attribute of a span that contains the ID of its order."""
ORDERS: Final = "order"
"""The name of the service that accepts orders."""
PLACED: Final = "POST /orders"
CANCELLED: Final = "POST /orders/{order_id}/cancel"
RECENT: Final = 20
_LOOKBACK: Final = "2d"


class Source(Protocol):
    """Reads a JSON document of Jaeger's API."""

    def __call__(self, path: str, query: Mapping[str, str]) -> Any:
        """The document at a path."""


class Jaeger:
    """The traces of orders.

    Args:
        source: reads the documents.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def of_order(self, order_id: str) -> list[Document]:
        """The traces of the requests that placed and cancelled an order, the oldest first.

        Each read of an order is a trace with its ID as well. Jaeger returns the newest, so these would soon replace the others.

        Raises:
            CliError: Jaeger does not respond.
        """
        tags = json.dumps({ORDER_ID: order_id})
        found = {
            each["traceID"]: each
            for name in (PLACED, CANCELLED)
            for each in self._search(operation=name, tags=tags)
        }
        return sorted(found.values(), key=_began)

    def recent_orders(self) -> list[str]:
        """The IDs of the newest orders, newest first.

        Raises:
            CliError: Jaeger does not respond.
        """
        traces = sorted(self._search(operation=PLACED), key=_began, reverse=True)
        found = (str(tag.get("value")) for each in traces for tag in _tags(each) if tag["key"] == ORDER_ID)
        return list(dict.fromkeys(found))[:RECENT]

    def _search(self, **query: str) -> list[Document]:
        # A trace as Jaeger returns it contains its spans of all services.
        found = self._source(
            "/api/traces", {"service": ORDERS, "limit": str(RECENT), "lookback": _LOOKBACK, **query}
        )
        return list(documents.checked(documents.Traces, found, "Jaeger")["data"] or ())


def in_cluster(cluster: Cluster) -> Source:
    """Jaeger in the cluster, where `make demo OBSERVE=1` installs it."""

    def read(path: str, query: Mapping[str, str]) -> Any:
        try:
            return json.loads(cluster.text(f"{_PROXY}{path}", query))
        except (ValueError, RecursionError) as error:
            raise NotReachable(f"Service {NAMESPACE}/{SERVICE} did not return a JSON document") from error

    return read


def _tags(trace: Document) -> list[Document]:
    return [tag for span in trace.get("spans") or () for tag in span.get("tags") or ()]


def _began(trace: Document) -> int:
    return min((int(each["startTime"]) for each in trace.get("spans") or ()), default=0)
