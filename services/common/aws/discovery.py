"""Where another service answers, asked again and again, so that an address that changes needs no restart.

Inside the cluster a service has a name that DNS keeps up to date: `http://payment` is its own answer. A function of
AWS Lambda or a task outside of the cluster asks AWS Cloud Map instead, by `cloudmap://payment.shop.internal:8080`:
DiscoverInstances knows a change seconds before the caches of DNS do, and answers with every address at once. An answer
is kept for some seconds, and for longer while Cloud Map is away: an old address is better than none.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from services.common.aws import clients
from services.common.runtime import telemetry
from services.common.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient

log = telemetry.logger(__name__)
Seconds = Callable[[], float]

SCHEME = "cloudmap"
KEPT_SECONDS = 5.0
# Longer than Cloud Map takes to be told that a pod has ended.
REFUSED_SECONDS = 10.0
# AWS limit of one DiscoverInstances; DNS answers no more than 8.
MOST = 100


class NoInstance(Exception):
    """Cloud Map knows no address of the service, or did not answer and never has; it may later."""


class Resolver(Protocol):
    """Where a service answers."""

    def __call__(self) -> str:
        """A base URL such as "http://10.0.1.7:8080", for one request.

        Raises:
            NoInstance: when there is none.
        """

    def refused(self, url: str) -> None:
        """Tells that nobody took a connection at this base URL: it is passed over for a moment."""


def resolver(url: str, settings: ServiceSettings) -> Resolver:
    """Resolves `http://…` and `https://…` to themselves, `cloudmap://SERVICE.NAMESPACE[:PORT]` by AWS Cloud Map.

    Raises:
        ValueError: when the URL is neither.
    """
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return Fixed(url)
    service, _, namespace = (parts.hostname or "").partition(".")
    if parts.scheme != SCHEME or not service or not namespace:
        raise ValueError(f"{url!r} is neither http://HOST nor {SCHEME}://SERVICE.NAMESPACE:PORT")
    return CloudMap(clients.client("servicediscovery", settings), service, namespace, parts.port)


class Fixed:
    """A URL that DNS keeps up to date.

    Args:
        url: the base URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def __call__(self) -> str:
        """As `Resolver.__call__`."""
        return self._url

    def refused(self, url: str) -> None:
        """As `Resolver.refused`; there is no other address to turn to."""


class CloudMap:
    """A service as AWS Cloud Map knows it; safe to share between threads.

    Args:
        client: a Cloud Map client.
        service: its name there, such as "payment".
        namespace: such as "shop.internal".
        port: where its instances listen, if they do not say so themselves.
        clock: seconds that never go back.
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
        """As `Resolver.__call__`: each healthy instance in turn."""
        with self._lock:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= KEPT_SECONDS:
                self._ask(now)
            self._refused_at = {url: at for url, at in self._refused_at.items() if now - at < REFUSED_SECONDS}
            # With nobody left, one that refused a moment ago is the best guess.
            choice = [url for url in self._known if url not in self._refused_at] or self._known
            if not choice:
                raise NoInstance(f"{self._service}.{self._namespace} has no address in AWS Cloud Map")
            self._turn += 1
            return choice[self._turn % len(choice)]

    def refused(self, url: str) -> None:
        """As `Resolver.refused`; Cloud Map is asked again at once, for it may know better by now."""
        with self._lock:
            self._refused_at[url] = self._clock()
            self._asked_at = None

    def _ask(self, now: float) -> None:
        try:
            answer = self._client.discover_instances(
                NamespaceName=self._namespace,
                ServiceName=self._service,
                MaxResults=MOST,
                # Ignored for a service without a health check: then the cluster has registered ready pods only.
                HealthStatus="HEALTHY",
            )
        except (BotoCoreError, ClientError) as error:
            log.warning(
                "discovery_failed", service_name=self._service, kept=len(self._known), error=str(error)
            )
        else:
            found = (self._url(instance["Attributes"]) for instance in answer["Instances"])
            self._known = tuple(sorted({url for url in found if url}))
        # Also after a failure: a Cloud Map that is away is not asked by every request.
        self._asked_at = now

    def _url(self, attributes: Mapping[str, Any]) -> str | None:
        address = attributes.get("AWS_INSTANCE_IPV4")
        if address is None and (ipv6 := attributes.get("AWS_INSTANCE_IPV6")):
            address = f"[{ipv6}]"
        port = self._port or attributes.get("AWS_INSTANCE_PORT", 80)
        return f"http://{address}:{port}" if address else None
