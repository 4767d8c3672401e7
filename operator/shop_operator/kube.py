"""The one module that talks to the API server: requests out, objects or errors of errors.py back.

Every write goes through the fence (the lease): without it nothing is sent, and no write may last longer than
the lease is sure to be ours. Verbs, so that the RBAC of the chart can list exactly these:

| resource | verbs |
|---|---|
| the child kinds of render.KINDS | get, list, watch, create and patch (server-side apply), delete |
| shopservices | list, watch |
| shopservices/status | patch |
| leases | get, create, update |
| configmaps, secrets | get, list, watch (the lists and watches of metadata only) |
| pods | list; pods/log get |
| events (events.k8s.io) | create, patch |
| customresourcedefinitions | list, watch (kopf: kinds that come and go) |
| namespaces | list, watch (kopf: only when namespaces are named) |
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from shop_operator.errors import (
    ApiUnavailable,
    Exists,
    Forbidden,
    NotInstalled,
    NotLeader,
    OperatorError,
    Refused,
    Stale,
    Throttled,
    Unreachable,
)
from shop_operator.render import KINDS, ChildKind
from shop_operator.spec import GROUP, PLURAL, VERSION
from shop_operator.store import FIELD_MANAGER, HANDOVER_MANAGER, NAME_LABEL, PARENT_KIND

REQUEST_TIMEOUT: Final = 10.0
LIST_TIMEOUT: Final = 60.0
# Large enough to cost few requests, small enough to cost little memory, which no page that was parsed ever gives back whole.
LIST_PAGE: Final = 100
_PAGES_AT_ONCE: Final = 2
# A watch is ended by the API server after so many seconds, at random in between, so that they do not all begin anew at once.
_WATCH_SECONDS: Final = (240, 480)

_APPLY: Final = "application/apply-patch+yaml"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"

# JSON is YAML if these are escaped: what YAML refuses (DEL, most of C1, the noncharacters), strips (a byte order mark) and
# folds into a space (NEL and the Unicode separators). As UTF-8.
_NOT_IN_YAML: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")

# Owns what a repair puts back until the apply that follows.
REPAIR_MANAGER: Final = "shop-operator-repair"

# No object has it: etcd's first write is revision 2. As a precondition it says "only if there is none".
_NEVER: Final = "1"

# How the API server says, with status 500, that an apply configuration has a field that the schema lacks.
_SCHEMA_REFUSAL: Final = "failed to create typed patch object"

# Where the API server complains when the UID of an apply is not the live object's.
_UID: Final = "metadata.uid"

Fence = Callable[[], float]
"""Seconds for which this process may still write; 0 or less: not at all."""

PARENT: Final = ChildKind(api_version=f"{GROUP}/{VERSION}", kind=PARENT_KIND, plural=PLURAL)
_LEASES: Final = ChildKind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases")
_PODS: Final = ChildKind(api_version="v1", kind="Pod", plural="pods")
_EVENTS: Final = ChildKind(api_version="events.k8s.io/v1", kind="Event", plural="events")
# Watched by their metadata: what they hold is nobody's business until a pass needs its hash.
_CONFIGS: Final = (
    ChildKind(api_version="v1", kind="ConfigMap", plural="configmaps"),
    ChildKind(api_version="v1", kind="Secret", plural="secrets"),
)
_METADATA: Final = "application/json;as={};g=meta.k8s.io;v=v1"
_BY_KIND: Final[Mapping[str, ChildKind]] = {k.kind: k for k in (*KINDS, PARENT, *_CONFIGS)}
_LABELLED: Final = frozenset(k.kind for k in KINDS)
_METADATA_ONLY: Final = frozenset(k.kind for k in _CONFIGS)


@dataclass(frozen=True)
class Page:
    """A part of a LIST; all parts are of one moment.

    Attributes:
        items: the objects, with apiVersion and kind filled in.
        version: the resourceVersion of that moment.
    """

    items: list[dict[str, Any]]
    version: int


class Kube:
    """The API of one server, over one session, as one field manager."""

    def __init__(self, session: aiohttp.ClientSession, server: str, fence: Fence) -> None:
        self._session = session
        self._server = server
        self._fence = fence
        # When it starts, everything is listed.
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Server-side apply, with force, of one child.

        Args:
            configuration: the apply configuration; it is not changed.
            uid: the object that is meant, as the cache knows it; None: there is none yet, create it.
            version: its resourceVersion, when nobody else may have written it in the meantime.

        Returns:
            the object as the API server has it now.

        Raises:
            Exists: uid is None and an object of that name is there; nothing was written.
            Stale: the object is another one than uid and version say, or gone; nothing was written.
            OperatorError: the others of errors.py.
        """
        if uid is None:
            condition = {"resourceVersion": _NEVER}
        else:
            condition = {"uid": uid} | ({"resourceVersion": str(version)} if version else {})
        try:
            return await self._apply(
                configuration, condition, {"fieldManager": FIELD_MANAGER, "force": "true"}
            )
        except Stale as error:
            if uid is None:
                raise Exists(
                    f"{configuration['kind']} {configuration['metadata']['name']} exists."
                ) from error
            raise

    async def share(self, configuration: Mapping[str, Any], *, uid: str) -> dict[str, Any]:
        """Become a second owner of fields, under another manager, where they have these very values.

        Returns:
            the object as the API server has it now.

        Raises:
            Stale: a field has another value by now, or the object is another one; nothing was written.
            OperatorError: the others of errors.py.
        """
        return await self._apply(configuration, {"uid": uid}, {"fieldManager": HANDOVER_MANAGER})

    async def _apply(
        self, configuration: Mapping[str, Any], condition: Mapping[str, str], params: Mapping[str, str]
    ) -> dict[str, Any]:
        metadata = configuration["metadata"]
        kind, name = configuration["kind"], metadata["name"]
        return await self._write(
            "PATCH",
            _path(_BY_KIND[kind], metadata["namespace"], name),
            {**configuration, "metadata": {**metadata, **condition}},
            content=_APPLY,
            params=params,
            what=f"apply {kind} {name}",
        )

    async def patch(
        self, kind: str, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Strategic-merge-patch exactly that object of a built-in kind.

        Raises:
            Stale: it is gone, or a new one has its name.
            OperatorError: the others of errors.py.
        """
        return await self._write(
            "PATCH",
            _path(_BY_KIND[kind], namespace, name),
            {**patch, "metadata": {"uid": uid}},
            content=_STRATEGIC,
            params={"fieldManager": REPAIR_MANAGER},
            what=f"repair {kind} {name}",
        )

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, None when there is none."""
        path = _path(_BY_KIND[kind], namespace, name)
        try:
            return await self._request("GET", path, what=f"read {kind} {name}")
        except Stale:
            return None

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete exactly that object; one that is gone or has a successor is success."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._write(
                "DELETE", _path(_BY_KIND[kind], namespace, name), body, what=f"delete {kind} {name}"
            )
        except Stale:
            return

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of a ShopService that nobody has written since; the answer is the whole object.

        The status subresource ignores a UID that is not the live one's, so the resourceVersion must tell.

        Raises:
            Stale: it was written, is gone, or a new one has its name.
            OperatorError: the others of errors.py.
        """
        return await self._write(
            "PATCH",
            _path(PARENT, namespace, name) + "/status",
            {"metadata": {"resourceVersion": str(version)}, "status": patch},
            content=_MERGE,
            params={"fieldManager": FIELD_MANAGER},
            what=f"write the status of ShopService {name}",
        )

    async def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        """Every ShopService, every child of one kind that carries our label, or every ConfigMap's or Secret's metadata.

        Other LISTs may wait until a page was used: close it, or go through it to its end.

        Raises:
            NotInstalled: the API server does not serve the kind.
            OperatorError: the others of errors.py.
        """
        params = {"limit": str(LIST_PAGE), **_selection(kind)}
        resource = _BY_KIND[kind]
        token: str | None = ""
        while token is not None:
            async with self._pages:
                answer = await self._request(
                    "GET",
                    _path(resource, namespace),
                    params=params | ({"continue": token} if token else {}),
                    what=f"list {kind}s",
                    accept=_METADATA.format("PartialObjectMetadataList") if kind in _METADATA_ONLY else _JSON,
                    timeout=LIST_TIMEOUT,
                )
                items = [
                    {**item, "apiVersion": resource.api_version, "kind": kind}
                    for item in answer["items"] or ()
                ]
                version = int(answer["metadata"]["resourceVersion"])
                token = answer["metadata"].get("continue") or None
                del answer
                yield Page(items, version)
                del items

    async def watch(self, kind: str, namespace: str | None, version: int) -> AsyncGenerator[dict[str, Any]]:
        """What happens to the objects of `pages` after a version: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR events.

        It ends after some minutes, and may be asked for again from the last version that it has shown.

        Raises:
            Stale: the API server has forgotten that version.
            NotInstalled: it does not serve the kind.
            OperatorError: the others of errors.py.
        """
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311  spread, not secrecy
        params = {
            "watch": "1",
            "allowWatchBookmarks": "1",
            "resourceVersion": str(version),
            "timeoutSeconds": str(seconds),
            **_selection(kind),
        }
        accept = _METADATA.format("PartialObjectMetadata") if kind in _METADATA_ONLY else _JSON
        url = self._server + _path(_BY_KIND[kind], namespace)
        what = f"watch {kind}s"
        try:
            async with (
                asyncio.timeout(seconds + REQUEST_TIMEOUT),
                self._session.get(url, params=params, headers={"Accept": accept}) as response,
            ):
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise _refusal(
                        response.status, await response.read(), response.headers.get("Retry-After"), what
                    )
                async for line in _lines(response.content):
                    event = orjson.loads(line)
                    if event["type"] != "ERROR":
                        # Metadata alone does not say what it is of.
                        event["object"]["kind"] = kind
                    yield event
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(what, error) from error
        except orjson.JSONDecodeError as error:
            raise Unreachable(f"Could not {what}: an event was cut short; trying again.") from error

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The pods that a label selector finds."""
        params = {"labelSelector": selector, "limit": str(LIST_PAGE)}
        answer = await self._request("GET", _path(_PODS, namespace), params=params, what="list pods")
        return answer["items"] or []

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log, or of that of its predecessor; empty when there is none."""
        url = f"{self._server}{_path(_PODS, namespace, pod)}/log"
        params = {"container": container, "tailLines": "10", "limitBytes": "4096"}
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT),
                self._session.get(
                    url, params=params | ({"previous": "true"} if previous else {})
                ) as response,
            ):
                return await response.text(errors="replace") if response.status == HTTPStatus.OK else ""
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(f"read the log of pod {pod}", error) from error

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Create an Event."""
        await self._write(
            "POST", _path(_EVENTS, event["metadata"]["namespace"]), event, what="create an Event"
        )

    async def patch_event(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge-patch an Event."""
        await self._write(
            "PATCH", _path(_EVENTS, namespace, name), patch, content=_MERGE, what="count an Event"
        )

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The lease, None when there is none."""
        try:
            return await self._request("GET", _path(_LEASES, namespace, name), what=f"read Lease {name}")
        except Stale:
            return None

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create the lease.

        Raises:
            Stale: somebody was faster.
            OperatorError: the others of errors.py.
        """
        return await self._request("POST", _path(_LEASES, namespace), lease, what="create the Lease")

    async def update_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the lease, if its resourceVersion is still the one given.

        Raises:
            Stale: somebody was faster.
            OperatorError: the others of errors.py.
        """
        path = _path(_LEASES, namespace, lease["metadata"]["name"])
        return await self._request("PUT", path, lease, what="renew the Lease")

    async def _write(  # the parts of one HTTP request
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        what: str,
        content: str = _JSON,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        left = self._fence()
        if left <= 0:
            raise NotLeader(f"Did not {what}: the lease is not held any more.")
        return await self._request(
            method,
            path,
            body,
            what=what,
            content=content,
            params=params,
            timeout=min(left, REQUEST_TIMEOUT),
        )

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        what: str,
        content: str = _JSON,
        params: Mapping[str, str] | None = None,
        accept: str = _JSON,
        timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109  # a property of the HTTP request, not of the coroutine
    ) -> dict[str, Any]:
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    method,
                    self._server + path,
                    params=params,
                    data=None if body is None else encoded(body),
                    headers={"Accept": accept} | ({"Content-Type": content} if body is not None else {}),
                ) as response,
            ):
                raw = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(what, error) from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(response.status, raw, response.headers.get("Retry-After"), what)
        try:
            answer: dict[str, Any] = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Unreachable(f"Could not {what}: the answer was cut short; trying again.") from error
        return answer


def _selection(kind: str) -> dict[str, str]:
    return {"labelSelector": NAME_LABEL} if kind in _LABELLED else {}


def _unreachable(what: str, error: Exception) -> Unreachable:
    detail = str(error) or type(error).__name__
    return Unreachable(f"Could not {what}: the API server did not answer ({detail}).")


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The lines of a stream, however long; what comes after the last line feed was cut short."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON that is the same when it is read as YAML, as the API server reads an apply configuration."""
    return _NOT_IN_YAML.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), orjson.dumps(body))


def _path(resource: ChildKind, namespace: str | None, name: str | None = None) -> str:
    api = resource.api_version
    parts = ["api" if api == "v1" else "apis", *api.split("/")]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/" + "/".join(parts)


def collection(path: str) -> str | None:
    """The kind whose collection (of all namespaces or of one) a request path names, None for any other."""
    *_, plural = path.rsplit("/", 1)
    return next((k.kind for k in _BY_KIND.values() if k.plural == plural), None)


def _refusal(status: int, raw: bytes, retry_after: str | None, what: str) -> OperatorError:
    """The error that an HTTP status of 400 or above stands for."""
    said, is_status, fields = _said(raw)
    if status == HTTPStatus.NOT_FOUND and not is_status:
        # An unknown object is answered with a Status; an unknown kind with the words of the mux.
        return NotInstalled(f"Could not {what}: the API server does not serve this kind; install its CRD.")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE} or _UID in fields:
        return Stale(f"Could not {what}: {said}.")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(f"Could not {what}: the API server is busy.", retry_after=_seconds(retry_after))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Forbidden(f"Could not {what}: {said}. Check the operator's RBAC and the namespace's quotas.")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or _SCHEMA_REFUSAL in said:
        return Refused(f"Could not {what}: {said}. Change the ShopService accordingly.")
    return ApiUnavailable(
        f"Could not {what}: the API server answered {status} ({said}).", retry_after=_seconds(retry_after)
    )


def _said(raw: bytes) -> tuple[str, bool, frozenset[str]]:
    """The server's own words without a final full stop, whether they came as a Status, the fields it names."""
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict) or answer.get("kind") != "Status":
        return raw.decode(errors="replace").strip()[:300].rstrip("."), False, frozenset()
    causes = (answer.get("details") or {}).get("causes") or ()
    return (
        str(answer.get("message", "")).rstrip("."),
        True,
        frozenset(cause.get("field", "") for cause in causes),
    )


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; the API server never sends the date form (RFC 9110 section 10.2.3)."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
