"""The payment and the shipment of an order, read from their services over HTTP.

Only the details of an order need them: placing an order requires no other service. All resources are requested at once, with
the caller's own credentials, and share one deadline. A resource that is late, fails or is malformed is reported as missing,
and the other ones are returned.
"""

import contextvars
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import orjson

from services.common.aws.discovery import NoInstance, Resolver
from services.common.http import outgoing
from services.common.telemetry import logs
from services.order.ports import RelatedResource

log = logs.logger(__name__)

# Two resources for each request that the web server handles at once (services.common.http.gunicorn).
THREADS = 16


class HttpRelatedResources:
    """Related resources of an order, from the APIs of their services.

    Args:
        sources: resource -> resolver of its service, and the path before the ID of the order.
        timeout: seconds within which all resources must respond.
    """

    def __init__(self, sources: Mapping[str, tuple[Resolver, str]], timeout: float) -> None:
        self._sources = sources
        self._timeout = timeout
        self._http = outgoing.client(timeout)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="related-resources")

    def find(self, order_id: str, proof: Mapping[str, str]) -> Mapping[str, RelatedResource]:
        """As `ports.RelatedResources.find`."""
        requested: dict[str, Future[RelatedResource]] = {
            name: self._pool.submit(
                contextvars.copy_context().run, self._request, name, resolve, f"{path}/{order_id}", proof
            )
            for name, (resolve, path) in self._sources.items()
        }
        done, late = wait(requested.values(), self._timeout)
        for each in late:
            each.cancel()
        return {
            name: future.result()
            if future in done
            else RelatedResource(reason=f"no response within {self._timeout:g} s")
            for name, future in requested.items()
        }

    def _request(
        self, name: str, resolve: Resolver, path: str, headers: Mapping[str, str]
    ) -> RelatedResource:
        try:
            return self._response(resolve, path, headers)
        except Exception as error:  # noqa: BLE001 - the other resources are returned, whatever the error
            log.warning("related_resource_missing", resource=name, error=repr(error))
            return RelatedResource(reason=_reason(error))

    def _response(self, resolve: Resolver, path: str, headers: Mapping[str, str]) -> RelatedResource:
        url = resolve()
        try:
            status, body = self._get(f"{url}{path}", headers)
        except httpx.ConnectError:
            # The request was not sent, so another instance can be tried.
            resolve.refused(url)
            status, body = self._get(f"{resolve()}{path}", headers)
        if status == httpx.codes.NOT_FOUND:
            return RelatedResource()
        if status != httpx.codes.OK:
            return RelatedResource(reason=f"HTTP status {status}")
        document = orjson.loads(body)
        if not isinstance(document, dict):
            raise orjson.JSONDecodeError("not an object", "", 0)
        return RelatedResource(document)

    def _get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        received = outgoing.exchange(self._http, "GET", url, timeout=self._timeout, headers=headers)
        return received.status, received.body


def _reason(error: Exception) -> str:
    """Why a resource is missing, in words for a customer: without addresses."""
    known: Mapping[type[Exception], str] = {
        httpx.TimeoutException: "no response in time",
        httpx.TransportError: "it cannot be reached",
        NoInstance: "it cannot be found",
        orjson.JSONDecodeError: "its response cannot be read",
    }
    return next((reason for kind, reason in known.items() if isinstance(error, kind)), "it failed")
