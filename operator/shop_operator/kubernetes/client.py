"""All requests of the operator to the API server; returns objects, or raises the errors of errors.py.

Every write passes the fence: without the Lease nothing is sent, and a write is cancelled when the Lease may have expired. The
verbs, which the RBAC of the chart lists exactly:

| resource | verbs |
|---|---|
| the child kinds of render.KINDS | get, list, watch, create and patch (server-side apply), delete |
| shopservices | list, watch |
| shopservices/status | patch |
| leases | get, create, update |
| configmaps, secrets | get, list, watch (the lists and watches of metadata only) |
| secrets | create (of its own namespace: the key of configuration digests) |
| pods | list; pods/log get, only with the setting diagnose_logs |
| replicasets | list (metadata only) |
| events (events.k8s.io) | create, patch |
| customresourcedefinitions | list, watch (kopf: kinds that come and go) |
| namespaces | list, watch (of metadata only: the pod-security level; kopf watches them when namespaces are named) |
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from shop_operator.api.v1alpha1.reasons import IMMUTABLE, recreation
from shop_operator.errors import (
    ApiUnavailable,
    Exists,
    Forbidden,
    NotInstalled,
    NotLeader,
    OperatorError,
    Refused,
    Stale,
    Terminating,
    Throttled,
    Unreachable,
)
from shop_operator.kubernetes import wire
from shop_operator.kubernetes.connection import Connection, lines
from shop_operator.kubernetes.refusals import LONGEST
from shop_operator.names import (
    FIELD_MANAGER,
    GROUP,
    HANDOVER_MANAGER,
    KIND,
    NAME_LABEL,
    PLURAL,
    REPAIR_MANAGER,
    VERSION,
)
from shop_operator.objects.lenient import Unparsed
from shop_operator.render import KINDS, ChildKind

REQUEST_TIMEOUT: Final = 10.0
LIST_TIMEOUT: Final = 60.0
# Large enough for few requests, and small enough for little memory: Python never returns all of the memory of a parsed page.
LIST_PAGE: Final = 100
_PAGES_AT_ONCE: Final = 2
PAGE_BYTES: Final = 2 * 1024 * 1024
"""A larger page is requested again in smaller parts, because the process keeps the memory that a page needs while it is read."""
_SMALLER: Final = 4
# The API server ends a watch after a random time between these seconds, so that not all watches restart at once.
_WATCH_SECONDS: Final = (240, 480)

T = TypeVar("T")

_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"

# JSON is YAML if these characters are escaped: those that YAML rejects (DEL, most of C1, the noncharacters), strips (the byte
# order mark) or folds into a space (NEL and the Unicode separators). As UTF-8.
_NOT_IN_YAML: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")

# No object has this version, because the first write of etcd is revision 2. As a precondition: only if the object does not exist.
_NEVER: Final = "1"

# The messages with status 500 for an apply configuration that does not match the schema: an unknown field, a value of another
# type, an invalid quantity.
_SCHEMA_REFUSALS: Final = (
    "failed to create typed patch object",
    "failed to convert",
    "unable to convert",
    "quantities must match",
    "error decoding",
    "cannot unmarshal",
    "unable to parse quantity",
)
# The message for a missing permission. Every other 403 is from admission: a policy, a quota, a webhook.
_NO_RIGHT: Final = re.compile(r'\bcannot [\w-]+ (resource|path) "')
_NAMESPACE_ENDS: Final = "because it is being terminated"
# The messages of admission, with any status that the policy or the webhook chooses, including 404, 409 and 500.
_DENIED: Final = re.compile(
    r'admission webhook "[^"]*" denied the request|ValidatingAdmissionPolicy .* denied request', re.DOTALL
)
_AGAIN: Final = f"the operator retries at least every {LONGEST / 60:.0f} minutes"

# The field of an error about the selector of a Deployment, which cannot be changed.
_SELECTOR: Final = "spec.selector"

# The field of an error about an apply whose UID is not that of the live object.
_UID: Final = "metadata.uid"

Fence = Callable[[], float]
"""Seconds for which this process may still write; it may not if they are 0 or less."""

Body = Mapping[str, Any] | list[dict[str, Any]]

PARENT: Final = ChildKind(api_version=f"{GROUP}/{VERSION}", kind=KIND, plural=PLURAL)
_LEASES: Final = ChildKind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases")
_PODS: Final = ChildKind(api_version="v1", kind="Pod", plural="pods")
_REPLICASETS: Final = ChildKind(api_version="apps/v1", kind="ReplicaSet", plural="replicasets")
_EVENTS: Final = ChildKind(api_version="events.k8s.io/v1", kind="Event", plural="events")
# Only the metadata is watched; the data is read when a pass requires its digest.
_CONFIGS: Final = (
    ChildKind(api_version="v1", kind="ConfigMap", plural="configmaps"),
    ChildKind(api_version="v1", kind="Secret", plural="secrets"),
)
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Only the metadata is watched, for the labels.
_NAMESPACES: Final = ChildKind(api_version="v1", kind="Namespace", plural="namespaces")
_BY_KIND: Final[Mapping[str, ChildKind]] = {k.kind: k for k in (*KINDS, PARENT, *_CONFIGS, _NAMESPACES)}
_LABELLED: Final = frozenset(k.kind for k in KINDS)
_IDENTITY_ONLY: Final = frozenset(k.kind for k in _CONFIGS)
_METADATA_ONLY: Final = frozenset({*_IDENTITY_ONLY, _NAMESPACES.kind})


@dataclass(frozen=True)
class Page:
    """A part of a consistent LIST.

    Attributes:
        items: the objects, with apiVersion and kind; each is parsed when it is read, once.
        version: the resourceVersion of the LIST.
    """

    items: Iterable[dict[str, Any]]
    version: int


@dataclass(frozen=True, slots=True)
class _Request:
    """One HTTP request.

    Attributes:
        method: the HTTP method.
        path: the path, without the query.
        what: the purpose, for error messages.
        body: sent as JSON.
        content: the media type of the body.
        params: the query parameters.
        accept: the media type of the response.
        seconds: the timeout.
    """

    method: str
    path: str
    what: str
    body: Body | None = None
    content: str = _JSON
    params: Mapping[str, str] | None = None
    accept: str = _JSON
    seconds: float = REQUEST_TIMEOUT


class Kube:
    """A client of one API server.

    Args:
        connection: sends the requests.
        fence: limits the writes.
    """

    def __init__(self, connection: Connection, fence: Fence) -> None:
        self._connection = connection
        self._fence = fence
        self._answers = 0
        # At the start, all kinds are listed at once.
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)

    async def apply(
        self, configuration: Mapping[str, Any], *, uid: str | None, version: int | None = None
    ) -> dict[str, Any]:
        """Apply one child with force (server-side apply).

        Args:
            configuration: the apply configuration; it is not changed.
            uid: of the live object; None to create it.
            version: its resourceVersion, if no other client may have written it in the meantime.

        Returns:
            the object after the write.

        Raises:
            Exists: uid is None, but an object with that name exists; nothing was written.
            Stale: the object is deleted, or has another UID or version; nothing was written.
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
        """Become a second owner of fields that have exactly these values, as another manager.

        Returns:
            the object after the write.

        Raises:
            Stale: a field has another value, or the object has another UID; nothing was written.
            OperatorError: the others of errors.py.
        """
        return await self._apply(configuration, {"uid": uid}, {"fieldManager": HANDOVER_MANAGER})

    async def _apply(
        self, configuration: Mapping[str, Any], condition: Mapping[str, str], params: Mapping[str, str]
    ) -> dict[str, Any]:
        metadata = configuration["metadata"]
        kind, name = configuration["kind"], metadata["name"]
        return await self._write(
            _Request(
                "PATCH",
                _path(_BY_KIND[kind], metadata["namespace"], name),
                f"apply {kind} {name}",
                {**configuration, "metadata": {**metadata, **condition}},
                content=_APPLY,
                params=params,
            )
        )

    async def rewrite(
        self, kind: str, namespace: str, name: str, *, version: int, parts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace parts of a child as a whole, as a manager other than that of the applies (JSON patch, RFC 6902).

        Args:
            kind: of the child.
            namespace: of the child.
            name: of the child.
            version: its resourceVersion, on which the parts are based.
            parts: the new values by JSON pointer, such as `/spec`.

        Returns:
            the object after the write.

        Raises:
            Stale: it was written in the meantime, is deleted, or was recreated; nothing was written.
            OperatorError: the others of errors.py.
        """
        patch = [
            {"op": "replace", "path": path, "value": value}
            for path, value in {"/metadata/resourceVersion": str(version), **parts}.items()
        ]
        return await self._write(
            _Request(
                "PATCH",
                _path(_BY_KIND[kind], namespace, name),
                f"repair {kind} {name}",
                patch,
                content=_JSON_PATCH,
                params={"fieldManager": REPAIR_MANAGER},
            )
        )

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Read one object, None if it does not exist."""
        return await self._found(_path(_BY_KIND[kind], namespace, name), f"read {kind} {name}")

    async def _found(self, path: str, what: str) -> dict[str, Any] | None:
        try:
            return await self._object(_Request("GET", path, what))
        except Stale:
            return None

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this UID; succeeds as well if it is already deleted or was recreated."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._write(
                _Request("DELETE", _path(_BY_KIND[kind], namespace, name), f"delete {kind} {name}", body)
            )
        except Stale:
            return

    async def patch_status(
        self, namespace: str, name: str, *, version: int, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge-patch the status of a ShopService that has not been written in the meantime; returns the whole object.

        The status subresource does not check the UID, so the resourceVersion identifies the object.

        Raises:
            Stale: it was written in the meantime, is deleted, or was recreated.
            OperatorError: the others of errors.py.
        """
        return await self._write(
            _Request(
                "PATCH",
                _path(PARENT, namespace, name) + "/status",
                f"write the status of ShopService {name}",
                {"metadata": {"resourceVersion": str(version)}, "status": patch},
                content=_MERGE,
                params={"fieldManager": FIELD_MANAGER},
            )
        )

    async def pages(self, kind: str, namespace: str | None) -> AsyncGenerator[Page]:
        """List all ShopServices, all labeled children of one kind, or the metadata of all objects of another kind.

        Other LISTs may wait for the end of this one: exhaust it, or close it.

        Raises:
            NotInstalled: the API server does not serve the kind.
            OperatorError: the others of errors.py.
        """
        resource = _BY_KIND[kind]
        accept = METADATA_LIST if kind in _METADATA_ONLY else _JSON
        whole = _Request(
            "GET",
            _path(resource, namespace),
            f"list {resource.plural}",
            params=_selection(kind),
            accept=accept,
            seconds=LIST_TIMEOUT,
        )
        async with aclosing(self._listings(whole)) as listings:
            async for listed in listings:
                yield Page(_objects(listed, resource), listed.version)
                # Freed before the next one is read.
                del listed

    async def _listings(self, whole: _Request) -> AsyncGenerator[wire.Listed]:
        """The pages of a LIST, of at most PAGE_BYTES unless one object is larger; few of them are in memory at a time."""
        size, token = LIST_PAGE, ""
        while True:
            async with self._pages:
                raw = await self._page(whole, size, token)
                if raw is None:
                    size = max(1, size // _SMALLER)
                    continue
                if len(raw) < PAGE_BYTES // _SMALLER:
                    size = min(LIST_PAGE, size * 2)
                listed = _read(wire.Listed, raw, whole.what)
                del raw
                yield listed
                if listed.token is None:
                    return
                token = listed.token
                del listed

    async def watch(
        self, kind: str, namespace: str | None, version: int, known: wire.Known | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Watch the objects of `pages` from a version on: ADDED, MODIFIED, DELETED, BOOKMARK and ERROR events.

        The watch ends after some minutes, and can be continued from its last version. A known state of an object becomes a
        BOOKMARK.

        Raises:
            Stale: the API server does not have that version any more.
            NotInstalled: the API server does not serve the kind.
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
        accept = METADATA if kind in _METADATA_ONLY else _JSON
        url = self._connection.server + _path(_BY_KIND[kind], namespace)
        what = f"watch {_BY_KIND[kind].plural}"
        try:
            async with (
                asyncio.timeout(seconds + REQUEST_TIMEOUT),
                self._connection.session.get(url, params=params, headers={"Accept": accept}) as response,
            ):
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise _refusal(
                        response.status, await response.read(), response.headers.get("Retry-After"), what
                    )
                async for line in lines(response.content):
                    event = _read(
                        partial(wire.event, identity_only=kind in _IDENTITY_ONLY, known=known), line, what
                    )
                    del line
                    if event["type"] != "ERROR":
                        # Metadata does not contain the kind.
                        event["object"]["kind"] = kind
                    yield event
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(what, error) from error

    def pods(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """List the pods that match a label selector, without those that cannot be parsed.

        Other LISTs may wait for the end of this one: exhaust it, or close it.
        """
        return self._every(_pods(namespace, selector))

    async def first_pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """List at most LIST_PAGE pods that match a label selector, without those that cannot be parsed."""
        async with aclosing(self._listings(_pods(namespace, selector))) as listings:
            return [*_parsed(await anext(listings))]

    def replicasets(self, namespace: str, selector: str) -> AsyncGenerator[dict[str, Any]]:
        """List the metadata of the ReplicaSets that match a label selector, as `pods` does."""
        params = {"labelSelector": selector}
        path, accept = _path(_REPLICASETS, namespace), METADATA_LIST
        return self._every(_Request("GET", path, "list replicasets", params=params, accept=accept))

    def unlabeled(self, kind: str, namespace: str) -> AsyncGenerator[dict[str, Any]]:
        """List the metadata of the objects of a child kind that the watch does not show, as `pods` does."""
        params = {"labelSelector": f"!{NAME_LABEL}"}
        path, accept = _path(_BY_KIND[kind], namespace), METADATA_LIST
        return self._every(
            _Request("GET", path, f"list {_BY_KIND[kind].plural}", params=params, accept=accept)
        )

    async def _every(self, whole: _Request) -> AsyncGenerator[dict[str, Any]]:
        async with aclosing(self._listings(whole)) as listings:
            async for listed in listings:
                for each in _parsed(listed):
                    yield each
                # Freed before the next one is read.
                del listed

    async def _page(self, whole: _Request, size: int, token: str = "") -> bytes | None:
        """Read a page with so many objects, None if it is larger than PAGE_BYTES and has more than one object."""
        params = {"limit": str(size), **(whole.params or {})} | ({"continue": token} if token else {})
        return await self._answer(replace(whole, params=params), PAGE_BYTES if size > 1 else None)

    async def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """Read the end of the log of a container, or of its predecessor; empty if there is none."""
        params = {"container": container, "tailLines": "10", "limitBytes": "4096"}
        target = _target(
            f"{_path(_PODS, namespace, pod)}/log", params | ({"previous": "true"} if previous else {})
        )
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT),
                self._connection.exchange("GET", target, {}) as response,
            ):
                text = await response.content.read()
                return text.decode(errors="replace") if response.status == HTTPStatus.OK else ""
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(f"read the log of pod {pod}", error) from error

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Create an Event."""
        path = _path(_EVENTS, event["metadata"]["namespace"])
        await self._write(_Request("POST", path, "create an Event", event))

    async def patch_event(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        """Merge-patch an Event."""
        path = _path(_EVENTS, namespace, name)
        await self._write(_Request("PATCH", path, "count an Event", patch, content=_MERGE))

    async def create_secret(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Secret in the namespace that it names.

        Raises:
            Stale: it exists.
            OperatorError: the others of errors.py.
        """
        path = _path(_BY_KIND["Secret"], secret["metadata"]["namespace"])
        what = f"create Secret {secret['metadata']['name']}"
        return await self._write(_Request("POST", path, what, secret))

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Read the Lease, None if it does not exist."""
        return await self._found(_path(_LEASES, namespace, name), f"read Lease {name}")

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Create the Lease.

        Raises:
            Stale: another client has created it in the meantime.
            OperatorError: the others of errors.py.
        """
        return await self._object(_Request("POST", _path(_LEASES, namespace), "create the Lease", lease))

    async def update_lease(self, namespace: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the Lease if its resourceVersion has not changed.

        Raises:
            Stale: another client has written it in the meantime.
            OperatorError: the others of errors.py.
        """
        path = _path(_LEASES, namespace, lease["metadata"]["name"])
        return await self._object(_Request("PUT", path, "renew the Lease", lease))

    async def _write(self, request: _Request) -> dict[str, Any]:
        left = self._fence()
        if left <= 0:
            raise NotLeader(f"Did not {request.what}: this process does not hold the Lease any more.")
        return await self._object(request if left >= request.seconds else replace(request, seconds=left))

    async def _object(self, request: _Request) -> dict[str, Any]:
        return _read(wire.parsed, await self._answer(request) or b"", request.what)

    async def _answer(self, request: _Request, most: int | None = None) -> bytes | None:
        """The body of a response, None if it has more than `most` bytes; the rest is not read."""
        body, headers, answers = request.body, {"Accept": request.accept}, self._answers
        if body is not None:
            headers["Content-Type"] = request.content
        try:
            async with (
                asyncio.timeout(request.seconds),
                self._connection.exchange(
                    request.method,
                    _target(request.path, request.params),
                    headers,
                    b"" if body is None else encoded(body),
                ) as response,
            ):
                raw = await _limited(response.content, most if response.status == HTTPStatus.OK else None)
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and self._answers != answers:
                raise ApiUnavailable(
                    f"Could not {request.what}: the API server did not respond in time, although it answered other requests."
                    " An admission webhook may be slow."
                ) from error
            raise _unreachable(request.what, error) from error
        self._answers += 1
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(response.status, raw or b"", response.retry_after, request.what)
        return raw


async def _limited(content: aiohttp.StreamReader, most: int | None) -> bytes | None:
    if most is None:
        return await content.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _read(reader: Callable[[bytes], T], raw: bytes, what: str) -> T:
    try:
        return reader(raw)
    except wire.Malformed as error:
        raise Unreachable(f"Could not {what}: the response was truncated; retrying.") from error


def _objects(listed: wire.Listed, resource: ChildKind) -> Iterator[dict[str, Any]]:
    for item in listed.objects(identity_only=resource.kind in _IDENTITY_ONLY):
        item["apiVersion"], item["kind"] = resource.api_version, resource.kind
        yield item


def _parsed(listed: wire.Listed) -> Iterator[dict[str, Any]]:
    return (each for each in listed.objects() if not isinstance(each, Unparsed))


def _pods(namespace: str, selector: str) -> _Request:
    return _Request("GET", _path(_PODS, namespace), "list pods", params={"labelSelector": selector})


def _selection(kind: str) -> dict[str, str]:
    return {"labelSelector": NAME_LABEL} if kind in _LABELLED else {}


def _unreachable(what: str, error: Exception) -> Unreachable:
    detail = str(error) or type(error).__name__
    return Unreachable(f"Could not {what}: the API server did not respond ({detail}).")


def encoded(body: Body) -> bytes:
    """JSON that has the same meaning as YAML, because the API server reads an apply configuration as YAML."""
    raw = orjson.dumps(body)
    if raw.isascii() and b"\x7f" not in raw:
        return raw
    return _NOT_IN_YAML.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), raw)


def _target(path: str, params: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(params)}" if params else path


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
    """The kind of the collection in a request path, of one namespace or of all; None for any other path."""
    *_, plural = path.rsplit("/", 1)
    return next((k.kind for k in (*KINDS, PARENT, *_CONFIGS) if k.plural == plural), None)


def _refusal(status: int, raw: bytes, retry_after: str | None, what: str) -> OperatorError:
    """The error for an HTTP status of 400 or above."""
    said, is_status, fields = _said(raw)
    if _DENIED.search(said):
        return Refused(_denied(f"Could not {what}: {said}"))
    if status == HTTPStatus.NOT_FOUND and not is_status:
        # The response for an unknown object is a Status; for an unknown kind, it is plain text.
        return NotInstalled(f"Could not {what}: the API server does not serve this kind; install its CRD.")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE} or _UID in fields:
        return Stale(f"Could not {what}: {said}.")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(f"Could not {what}: the API server is busy.", retry_after=_seconds(retry_after))
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or any(each in said for each in _SCHEMA_REFUSALS):
        cure = "Change the ShopService accordingly"
        if _SELECTOR in fields and IMMUTABLE in said:
            # Another client has created it: the selector does not depend on the spec of the ShopService.
            cure = recreation(what.removeprefix("apply "))
        return _denial(status, f"Could not {what}: {said}", cure)
    return ApiUnavailable(
        f"Could not {what}: the API server answered {status} ({said}).", retry_after=_seconds(retry_after)
    )


def _denied(said: str) -> str:
    return f"{said}. Change the ShopService, or the policy or quota that denies it; {_AGAIN}."


def _denial(status: int, said: str, cure: str) -> OperatorError:
    """The error for a rejected request."""
    if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and _NO_RIGHT.search(said)):
        return Forbidden(f"{said}. Check the operator's RBAC.")
    if status == HTTPStatus.FORBIDDEN and _NAMESPACE_ENDS in said:
        return Terminating(f"{said}.")
    if status == HTTPStatus.FORBIDDEN:
        return Refused(_denied(said))
    return Refused(f"{said}. {cure}; {_AGAIN}.")


def _said(raw: bytes) -> tuple[str, bool, frozenset[str]]:
    """The message without its final period, whether the body is a Status, and the fields that it names."""
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
    """Retry-After in seconds; the API server does not send a date (RFC 9110 section 10.2.3)."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
