"""What other services know of an order, asked over HTTP for whoever asks for its details.

Reading only: placing an order needs nobody but this service. All parts are asked at once, by the caller's own right, and
all within one deadline: a part that is late, failing or absurd is missing, and the rest is answered.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import orjson

from services.common.aws.discovery import NoInstance, Resolver
from services.common.runtime import telemetry
from services.common.values import trace
from services.order.ports import Part

log = telemetry.logger(__name__)

# Two parts each of as many requests as the web server works on at once (services.common.http.gunicorn).
THREADS = 16
LARGEST_PART = 256 * 1024


class HttpParts:
    """Parts of an order at other services' APIs.

    Args:
        sources: part -> where its service answers, and the path before the order's id.
        timeout: seconds until which all parts have to be there.
    """

    def __init__(self, sources: Mapping[str, tuple[Resolver, str]], timeout: float) -> None:
        self._sources = sources
        self._timeout = timeout
        self._http = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="parts")

    def find(self, order_id: str, proof: Mapping[str, str]) -> Mapping[str, Part]:
        """As `ports.Parts.find`."""
        headers = {**proof, "traceparent": str(trace.current())}
        asked: dict[str, Future[Part]] = {
            part: self._pool.submit(self._ask, part, resolve, f"{path}/{order_id}", headers)
            for part, (resolve, path) in self._sources.items()
        }
        done, late = wait(asked.values(), self._timeout)
        for each in late:
            each.cancel()
        return {
            part: future.result()
            if future in done
            else Part(reason=f"no response within {self._timeout:g} s")
            for part, future in asked.items()
        }

    def _ask(self, part: str, resolve: Resolver, path: str, headers: Mapping[str, str]) -> Part:
        try:
            return self._answer(resolve, path, headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are answered
            log.warning("part_missing", part=part, error=repr(error))
            return Part(reason=_reason(error))

    def _answer(self, resolve: Resolver, path: str, headers: Mapping[str, str]) -> Part:
        url = resolve()
        try:
            status, body = self._get(f"{url}{path}", headers)
        except httpx.ConnectError:
            # Nobody took the request, so it can be sent to another instance.
            resolve.refused(url)
            status, body = self._get(f"{resolve()}{path}", headers)
        if status == httpx.codes.NOT_FOUND:
            return Part()
        if status != httpx.codes.OK:
            return Part(reason=f"it answered {status}")
        document = orjson.loads(body)
        if not isinstance(document, dict):
            raise orjson.JSONDecodeError("not an object", "", 0)
        return Part(document)

    def _get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        end = time.monotonic() + self._timeout
        with self._http.stream("GET", url, headers=headers) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if time.monotonic() > end:  # nobody waits any more for what comes drop by drop
                    raise httpx.ReadTimeout("the response takes too long")
                if len(body) > LARGEST_PART:
                    raise httpx.DecodingError("the response is too large")
            return answer.status_code, bytes(body)


def _reason(error: Exception) -> str:
    """Why a part is missing, for a customer: nothing of where it runs."""
    known: Mapping[type[Exception], str] = {
        httpx.TimeoutException: "no response in time",
        httpx.TransportError: "it cannot be reached",
        NoInstance: "it cannot be found",
        orjson.JSONDecodeError: "its response cannot be read",
    }
    return next((reason for kind, reason in known.items() if isinstance(error, kind)), "it failed")
