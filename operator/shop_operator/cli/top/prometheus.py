"""The traffic and the use of resources according to a Prometheus server. Pure, except that it asks through a function."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from shop_operator.cli.errors import CliError
from shop_operator.cli.top.exposition import Sample
from shop_operator.cli.top.traffic import Family

Ask = Callable[[str, Mapping[str, str]], str]
"""Sends a GET request with a path such as /api/v1/query and a query, and returns the body of the response."""
Pod = tuple[str, str]
"""Namespace and name of a pod."""
QUEUE_DEPTH: Final = "queue_messages"
QUEUE_AGE: Final = "queue_oldest_message_age_seconds"


class NoAnswer(CliError):
    """The response is not one of Prometheus."""


def rates_query(family: Family, namespace: str | None, window: str) -> str:
    """A query for the rates of a family by pod: its counter by outcome, and its buckets by bound.

    Args:
        family: the metrics.
        namespace: namespace of the pods; None for all.
        window: duration in the language of Prometheus, such as 2m.
    """
    chosen = selector(namespace)

    def rate(metric: str, label: str) -> str:
        inner = f"sum by (namespace, pod, {label}) (rate({metric}{chosen}[{window}]))"
        return f'label_replace({inner}, "metric", "{metric}", "", "")'

    return f"{rate(family.counter, family.outcome)} or {rate(family.bucket, 'le')}"


def selector(namespace: str | None) -> str:
    """The selector of the series of a namespace, or of all pods."""
    if namespace is None:
        return '{pod!=""}'
    return f'{{namespace="{namespace}", pod!=""}}'


def vector(ask: Ask, query: str) -> Iterator[tuple[Mapping[str, str], float]]:
    """The labels and values of an instant query.

    Raises:
        NoAnswer: the response is not one of Prometheus, or reports an error.
    """
    for each in result(ask, "/api/v1/query", {"query": query}):
        yield each["metric"], float(each["value"][1])


def result(ask: Ask, path: str, query: Mapping[str, str]) -> list[Any]:
    """The `data.result` of a response.

    Raises:
        NoAnswer: the response is not one of Prometheus, or reports an error.
    """
    try:
        answer = json.loads(ask(path, query))
        if answer["status"] != "success":
            raise NoAnswer(f"Prometheus rejected the query ({answer.get('error', 'no reason')})")
        found = answer["data"]["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer("the response is not one of Prometheus; check the URL") from error
    return list(found)


def by_pod(found: Iterable[tuple[Mapping[str, str], float]]) -> dict[Pod, list[Sample]]:
    """The rates of `rates_query` as samples, by pod."""
    pods: dict[Pod, list[Sample]] = {}
    for labels, value in found:
        sample = Sample(labels.get("metric", ""), labels, value)
        pods.setdefault((labels.get("namespace", ""), labels.get("pod", "")), []).append(sample)
    return pods


def address(services: Iterable[Mapping[str, Any]]) -> str | None:
    """The path of a Prometheus behind the service proxy of the API server; None if there is none.

    Args:
        services: Services with the label app.kubernetes.io/name=prometheus.
    """
    with_port = [
        (each["metadata"]["namespace"], each["metadata"]["name"], port)
        for each in services
        if (port := _port((each.get("spec") or {}).get("ports") or ())) is not None
    ]
    if not with_port:
        return None
    namespace, name, port = min(with_port)
    return f"/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy"


def _port(ports: Iterable[Mapping[str, Any]]) -> int | None:
    """The port of the web API: that with the usual name or number, or otherwise the first."""
    ranked = sorted(
        ports,
        key=lambda each: (
            each.get("name") not in {"web", "http-web", "http"},
            each["port"] != 9090,  # noqa: PLR2004 - the port of Prometheus
        ),
    )
    return int(ranked[0]["port"]) if ranked else None
