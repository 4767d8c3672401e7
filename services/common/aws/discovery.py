"""Service discovery: the current address of another service, so that a change of address requires no restart.

Inside the cluster, DNS resolves the name of a service: `http://payment` is used as it is. A Lambda function or a task outside
of the cluster uses AWS Cloud Map instead, with `cloudmap://payment.shop.internal:8080`. DiscoverInstances returns changes
seconds before DNS caches do, and returns all addresses. The addresses are cached for a few seconds, and for longer while
Cloud Map is unavailable.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import clients
from services.common.runtime.settings import ServiceSettings
from services.common.telemetry import logs

if TYPE_CHECKING:
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient

log = logs.logger(__name__)
Seconds = Callable[[], float]

SCHEME = "cloudmap"
KEPT_SECONDS = 5.0
# Longer than the time until Cloud Map learns that a pod has terminated.
REFUSED_SECONDS = 10.0
# AWS limit of DiscoverInstances. DNS returns at most 8.
MOST = 100


class NoInstance(Exception):
    """No address of the service is known. A later attempt may succeed."""


class Resolver(Protocol):
    """Resolves the address of a service."""

    def __call__(self) -> str:
        """A base URL such as "http://10.0.1.7:8080", for one request.

        Raises:
            NoInstance: no address is known.
        """

    def refused(self, url: str) -> None:
        """Reports that a connection to this base URL was refused. It is not returned for a short time."""


def resolver(url: str, settings: ServiceSettings) -> Resolver:
    """The resolver of a URL: `http://…` and `https://…` are fixed, `cloudmap://SERVICE.NAMESPACE[:PORT]` uses AWS Cloud Map.

    Raises:
        ValueError: the URL has another form.
    """
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return Fixed(url)
    service, _, namespace = (parts.hostname or "").partition(".")
    if parts.scheme != SCHEME or not service or not namespace:
        raise ValueError(f"{url!r} is neither http://HOST nor {SCHEME}://SERVICE.NAMESPACE:PORT")
    return CloudMap(clients.client("servicediscovery", settings), service, namespace, parts.port)


class Fixed:
    """A fixed URL, whose host DNS resolves.

    Args:
        url: base URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def __call__(self) -> str:
        """As `Resolver.__call__`."""
        return self._url

    def refused(self, url: str) -> None:
        """As `Resolver.refused`. Has no effect: there is no other address."""


class CloudMap:
    """Resolves a service by AWS Cloud Map. Safe to share between threads.

    Args:
        client: a Cloud Map client.
        service: name of the service in Cloud Map, such as "payment".
        namespace: namespace, such as "shop.internal".
        port: port of the instances; by default the registered one, otherwise 80.
        clock: monotonic clock, in seconds.
    """

    def __init__(
        self,
        client: "ServiceDiscoveryClient",
        service: str,
        namespace: str,
        port: int | None = None,
        clock: Seconds = time.monotonic,
    ) -> None:
        self._client = client
        self._service = service
        self._namespace = namespace
        self._port = port
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[str, ...] = ()
        self._asked_at: float | None = None
        self._turn = 0
        self._refused_at: dict[str, float] = {}

    def __call__(self) -> str:
        """As `Resolver.__call__`: returns the healthy instances in turn."""
        with self._lock:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= KEPT_SECONDS:
                self._ask(now)
            self._refused_at = {url: at for url, at in self._refused_at.items() if now - at < REFUSED_SECONDS}
            # If all instances refused a connection recently, they are tried again.
            choice = [url for url in self._known if url not in self._refused_at] or self._known
            if not choice:
                raise NoInstance(f"{self._service}.{self._namespace} has no address in AWS Cloud Map")
            self._turn += 1
            return choice[self._turn % len(choice)]

    def refused(self, url: str) -> None:
        """As `Resolver.refused`. The next call queries Cloud Map again."""
        with self._lock:
            self._refused_at[url] = self._clock()
            self._asked_at = None

    def _ask(self, now: float) -> None:
        try:
            answer = self._client.discover_instances(
                NamespaceName=self._namespace,
                ServiceName=self._service,
                MaxResults=MOST,
                # Ignored for a service without a health check, for which the cluster registers only ready pods.
                HealthStatus="HEALTHY",
            )
        except (BotoCoreError, ClientError) as error:
            log.warning(
                "discovery_failed", service_name=self._service, kept=len(self._known), error=str(error)
            )
        else:
            found = (self._url(instance["Attributes"]) for instance in answer["Instances"])
            self._known = tuple(sorted({url for url in found if url}))
        # Also after a failure, so that not every request queries an unavailable Cloud Map.
        self._asked_at = now

    def _url(self, attributes: Mapping[str, Any]) -> str | None:
        address = attributes.get("AWS_INSTANCE_IPV4")
        if address is None and (ipv6 := attributes.get("AWS_INSTANCE_IPV6")):
            address = f"[{ipv6}]"
        port = self._port or attributes.get("AWS_INSTANCE_PORT", 80)
        return f"http://{address}:{port}" if address else None
