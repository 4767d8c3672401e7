"""The sources of `kubectl shop top`: the metrics API, a Prometheus or the pods themselves, and the objects of the cluster."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from urllib3.util import parse_url

from shop_operator.api.v1alpha1.spec import DEFAULT_PORT
from shop_operator.cli import workloads
from shop_operator.cli.bodies import bounded
from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import CliError, NotReachable, NotThere, NotValid
from shop_operator.cli.top import metrics_api, prometheus
from shop_operator.cli.top.exposition import Sample, samples
from shop_operator.cli.top.prometheus import QUEUE_AGE, QUEUE_DEPTH, Ask
from shop_operator.cli.top.rows import Known, Object, Pod, Queue, Resources
from shop_operator.cli.top.traffic import FAMILIES, NAMES, Family, Traffic
from shop_operator.names import COMPONENT_LABEL, NAME_LABEL
from shop_operator.render.labels import WEB, worker_component

_QUEUES: Final = frozenset({QUEUE_DEPTH, QUEUE_AGE})
_AT_ONCE: Final = 8
MOST_PODS: Final = 100
"""Pods to scrape in one call; a Prometheus has no such limit."""
_SECONDS: Final = 15.0
_LARGEST: Final = 16
"""MiB of the largest response of a Prometheus."""


@dataclass
class Missing:
    """The sources that could not be read, each with its reason, in the order in which they failed."""

    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, error: object) -> None:
        """Record a source; the first reason is kept."""
        self.reasons.setdefault(what, str(error).rstrip("."))

    def __str__(self) -> str:
        return "; ".join(f"{what}: {why}" for what, why in self.reasons.items())


@dataclass(frozen=True)
class Scraped:
    """One scrape of the pods.

    Args:
        at: monotonic time in seconds at which each pod answered, because one that does not delays the end of the scrape.
        pods: the samples of each pod that answered.
    """

    at: Mapping[Pod, float]
    pods: Mapping[Pod, Sequence[Sample]]


def known(
    cluster: Cluster, namespace: str | None, missing: Missing, read: Callable[[Sequence[Object]], Known]
) -> Known:
    """The state of the cluster. Parts that cannot be read are noted in `missing` and left empty.

    Args:
        cluster: the cluster.
        namespace: namespace of the ShopServices; None for all.
        missing: receives the parts that cannot be read.
        read: returns the traffic and the queues of pods.
    """

    def objects(kind: str, what: str, selector: str = NAME_LABEL) -> list[Any]:
        try:
            return cluster.labelled(kind, namespace, selector)
        except CliError as error:
            missing.note(what, error)
            return []

    pods = objects("Pod", "pods")
    measured = read(pods)
    return Known(
        objects("Deployment", "replicas"),
        pods,
        # The autoscalers of KEDA do not have the label.
        objects("HorizontalPodAutoscaler", "queues of autoscalers", ""),
        measured.traffic,
        measured.queues,
        usage(cluster, namespace, missing),
    )


def usage(cluster: Cluster, namespace: str | None, missing: Missing) -> dict[Pod, Resources]:
    """The use of resources by pod, from the metrics API."""
    try:
        found = metrics_api.of_pods(cluster, namespace, NAME_LABEL)
    except NotThere:
        missing.note("CPU and memory", "the cluster has no metrics API; install metrics-server")
        return {}
    except CliError as error:
        missing.note("CPU and memory", error)
        return {}
    return {(each.namespace, each.name): each.total for each in found}


def prometheus_of(cluster: Cluster, namespace: str | None, chosen: str | None) -> Ask | None:
    """A function that asks a Prometheus: that of the option, or the one in the cluster; None if there is none.

    Args:
        cluster: the cluster.
        namespace: namespace whose Prometheus precedes others, and to search if the user may not list the Services of all
            namespaces.
        chosen: value of the option.

    Raises:
        NotValid: the value is not valid, or the cluster has several.
    """
    if chosen is not None:
        return _direct(chosen) if "://" in chosen else _proxied(cluster, prometheus.service(chosen))
    for where in (None, namespace):
        try:
            services = cluster.labelled("Service", where, prometheus.LABEL)
        except CliError:
            continue
        path = prometheus.address(services, namespace)
        return None if path is None else _proxied(cluster, path)
    return None


def _proxied(cluster: Cluster, proxy: str) -> Ask:
    return lambda path, query: cluster.text(proxy + path, query)


def _direct(url: str) -> Ask:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotValid(f"{url} is not the URL of a Prometheus, such as http://127.0.0.1:9090")
    pool = urllib3.PoolManager(timeout=_SECONDS, retries=False)

    def ask(path: str, query: Mapping[str, str]) -> str:
        try:
            answer = pool.request("GET", url.rstrip("/") + path, fields=dict(query), preload_content=False)
            return bounded(answer, _LARGEST, url).decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            raise NotReachable(f"{url} does not respond") from error

    return ask


def from_prometheus(ask: Ask, namespace: str | None, window: str, missing: Missing) -> Known:
    """The traffic and the queues according to a Prometheus."""
    traffic: dict[Pod, dict[Family, Traffic]] = {}
    queues: dict[Pod, dict[str, Queue]] = {}
    try:
        for family in FAMILIES:
            found = prometheus.vector(ask, prometheus.rates_query(family, namespace, window))
            for pod, rates in prometheus.by_pod(found).items():
                if (rate := Traffic.of(rates, family)) is not None:
                    traffic.setdefault(pod, {})[family] = rate
        chosen = prometheus.selector(namespace)
        query = " or ".join(f"{name}{chosen}" for name in sorted(_QUEUES))
        named = (
            ({**labels, "metric": labels.get("__name__", "")}, value)
            for labels, value in prometheus.vector(ask, query)
        )
        queues = {pod: of_queues(found) for pod, found in prometheus.by_pod(named).items()}
    except CliError as error:
        missing.note("requests and queues", error)
    return Known(traffic=traffic, queues=queues)


def scrape(cluster: Cluster, shops: Iterable[Object], pods: Sequence[Object], missing: Missing) -> Scraped:
    """Ask each pod with a port for its metrics, through the proxy of the API server."""
    targets = [(each, path) for each, path in _targets(shops, pods)]
    if len(targets) > MOST_PODS:
        missing.note(
            "requests of some pods", f"only {MOST_PODS} of {len(targets)} pods are asked; use --prometheus"
        )

    at: dict[Pod, float] = {}

    def ask(target: tuple[Pod, str]) -> tuple[Pod, list[Sample] | CliError]:
        pod, path = target
        try:
            text = cluster.text(path)
        except CliError as error:
            return pod, error
        at[pod] = time.monotonic()
        return pod, list(samples(text, NAMES | _QUEUES))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(ask, targets[:MOST_PODS]))
    failed = [(pod, answer) for pod, answer in answers if isinstance(answer, CliError)]
    if failed:
        (_, name), error = failed[0]
        more = f" and of {len(failed) - 1} other pods" if len(failed) > 1 else ""
        missing.note(f"metrics of {name}{more}", error)
    return Scraped(at, {pod: answer for pod, answer in answers if not isinstance(answer, CliError)})


def between(before: Scraped, after: Scraped) -> Known:
    """The traffic between two scrapes, and the queues of the later one. New pods have no traffic yet."""
    traffic: dict[Pod, dict[Family, Traffic]] = {}
    for pod, now in after.pods.items():
        for family in FAMILIES:
            count, then = Traffic.of(now, family), Traffic.of(before.pods.get(pod, ()), family)
            if count is not None and pod in before.pods:
                rate = count.since(then or Traffic(), max(after.at[pod] - before.at[pod], 1e-3))
                traffic.setdefault(pod, {})[family] = rate
    return Known(traffic=traffic, queues={pod: of_queues(found) for pod, found in after.pods.items()})


def of_queues(found: Iterable[Sample]) -> dict[str, Queue]:
    """The queues in the samples of a pod: the messages in all states, and the age of the oldest."""
    messages: dict[str, float] = {}
    ages: dict[str, float] = {}
    for each in found:
        name = each.labels.get("queue", "")
        if each.name == QUEUE_DEPTH:
            messages[name] = messages.get(name, 0.0) + each.value
        elif each.name == QUEUE_AGE:
            ages[name] = each.value
    return {name: Queue(messages.get(name), ages.get(name)) for name in messages.keys() | ages.keys()}


def _targets(shops: Iterable[Object], pods: Iterable[Object]) -> Iterable[tuple[Pod, str]]:
    """The pods whose application has a port, and the paths of their metrics behind the proxy."""
    ports = {
        (shop["metadata"]["namespace"], shop["metadata"]["name"], component): (port, path)
        for shop in shops
        for component, port, path in _ports(shop.get("spec") or {})
    }
    for pod in pods:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        labels = pod["metadata"].get("labels") or {}
        found = ports.get((namespace, labels.get(NAME_LABEL, ""), labels.get(COMPONENT_LABEL, "")))
        if found and workloads.is_ready(pod):
            port, path = found
            # Dots in the path must not lead out of the proxy: the client resolves them in the whole path.
            path = parse_url(f"http://{name}{path}").request_uri
            yield (namespace, name), f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}"


def _ports(spec: Object) -> Iterable[tuple[str, int, str]]:
    path = (spec.get("monitoring") or {}).get("path") or "/metrics"
    yield WEB, spec.get("port", DEFAULT_PORT), path
    for worker in spec.get("workers") or ():
        if worker.get("port") is not None:
            yield worker_component(worker["name"]), worker["port"], path
