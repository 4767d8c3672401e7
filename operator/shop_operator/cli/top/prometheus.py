"""The traffic and the use of resources according to a Prometheus server. Pure, except that it asks through a function."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from shop_operator.cli.errors import CliError, NotValid
from shop_operator.cli.naming import is_name
from shop_operator.cli.top.exposition import Sample
from shop_operator.cli.top.traffic import Family

Ask = Callable[[str, Mapping[str, str]], str]
"""Sends a GET request with a path such as /api/v1/query and a query, and returns the body of the response."""
Pod = tuple[str, str]
"""Namespace and name of a pod."""
QUEUE_DEPTH: Final = "queue_messages"
QUEUE_AGE: Final = "queue_oldest_message_age_seconds"
LABEL: Final = "app.kubernetes.io/name=prometheus"
"""The label of the Services of a Prometheus."""
_PORT: Final = 9090
_SERVICE: Final = re.compile(r"([^/:]+)/([^/:]+)(?::([1-9][0-9]{0,4}))?")

option = click.option(
    "--prometheus",
    metavar="URL|NAMESPACE/SERVICE[:PORT]",
    help=f"Prometheus to query: a URL, or a Service, which is queried through the API server. Defaults to the Service with the"
    f" label {LABEL}, if you may list it.",
)
"""The option of every command that queries a Prometheus."""


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


def vector(ask: Ask, query: str) -> list[tuple[Mapping[str, str], float]]:
    """The labels and values of an instant query. Values that are not a number are skipped.

    Raises:
        NoAnswer: the response is not one of Prometheus, or reports an error.
    """
    with _parsing():
        return [
            (_labels(each), value)
            for each in _result(ask, "/api/v1/query", {"query": query})
            if not math.isnan(value := float(each["value"][1]))
        ]


def matrix(
    ask: Ask, query: str, start: float, end: float, step: float
) -> list[tuple[Mapping[str, str], list[tuple[float, float]]]]:
    """The labels of a range query, and the times and values of each time series.

    Args:
        ask: sends a request to the Prometheus.
        query: the query.
        start: first time, in seconds since the epoch.
        end: last time.
        step: seconds between two values.

    Raises:
        NoAnswer: the response is not one of Prometheus, or reports an error.
    """
    asked = {"query": query, "start": f"{start:.0f}", "end": f"{end:.0f}", "step": f"{step:.0f}"}
    with _parsing():
        return [
            (_labels(each), [(float(at), float(value)) for at, value in each["values"]])
            for each in _result(ask, "/api/v1/query_range", asked)
        ]


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise NoAnswer("the response is not one of Prometheus; check the URL") from error


def _result(ask: Ask, path: str, query: Mapping[str, str]) -> Any:
    answer = json.loads(ask(path, query))
    if answer["status"] != "success":
        raise NoAnswer(f"Prometheus rejected the query ({answer.get('error', 'no reason')})")
    return answer["data"]["result"]


def _labels(series: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in series["metric"].items()}


def by_pod(found: Iterable[tuple[Mapping[str, str], float]]) -> dict[Pod, list[Sample]]:
    """The rates of `rates_query` as samples, by pod."""
    pods: dict[Pod, list[Sample]] = {}
    for labels, value in found:
        sample = Sample(labels.get("metric", ""), labels, value)
        pods.setdefault((labels.get("namespace", ""), labels.get("pod", "")), []).append(sample)
    return pods


def address(services: Iterable[Mapping[str, Any]], namespace: str | None = None) -> str | None:
    """The path of a Prometheus behind the service proxy of the API server; None if there is none.

    Args:
        services: Services with the label of a Prometheus.
        namespace: namespace whose own Prometheus precedes those of other namespaces.

    Raises:
        NotValid: there are several.
    """
    with_port = sorted(
        (each["metadata"]["namespace"], each["metadata"]["name"], port)
        for each in services
        if (port := _port((each.get("spec") or {}).get("ports") or ())) is not None
    )
    own = [each for each in with_port if each[0] == namespace]
    chosen = own or with_port
    if len(chosen) > 1:
        named = [f"{where}/{name}:{port}" for where, name, port in chosen]
        raise NotValid(
            f"the label {LABEL} is set on several Services ({', '.join(named)}); choose one with --prometheus, such as"
            f" --prometheus {named[0]}"
        )
    return proxy(*chosen[0]) if chosen else None


def proxy(namespace: str, name: str, port: int) -> str:
    """The path of a Service behind the proxy of the API server."""
    return f"/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy"


def service(named: str) -> str:
    """The path of a Service that the user has named as NAMESPACE/SERVICE[:PORT].

    Raises:
        NotValid: it is not such a name.
    """
    found = _SERVICE.fullmatch(named)
    if found is None or not is_name(found[1]) or not is_name(found[2]):
        raise NotValid(
            f"{named} is neither the URL of a Prometheus, such as http://127.0.0.1:9090, nor a Service, such as"
            " monitoring/prometheus:9090"
        )
    return proxy(found[1], found[2], int(found[3] or _PORT))


def _port(ports: Iterable[Mapping[str, Any]]) -> int | None:
    """The port of the web API: that with the usual name or number, or otherwise the first."""
    ranked = sorted(
        ports,
        key=lambda each: (
            each.get("name") not in {"web", "http-web", "http"},
            each["port"] != _PORT,
        ),
    )
    return int(ranked[0]["port"]) if ranked else None
