"""A local API server that stores objects, serves the given watch events, and refuses requests on demand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml

from shop_operator.render import KINDS
from tests.operator.fake_api import merge_patched

_PLURALS: Final = {each.plural: each.kind for each in KINDS} | {
    "shopservices": "ShopService",
    "pods": "Pod",
    "replicasets": "ReplicaSet",
    "events": "Event",
    "gateways": "Gateway",
}
Query = dict[str, str]


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Server:
    """Stored objects and prepared answers.

    Attributes:
        objects: what can be read and merge-patched.
        logs: by the name of the pod and whether it is that of the run before.
        happens: what the next watch shows; the one after it is refused.
        over: set unless that one is to wait.
        refusal: status and body of every answer, when it refuses.
        absent: plurals of kinds that it does not serve.
        forbidden: plurals of kinds that may not be listed, nor logs read.
        narrow: plurals of kinds that may not be listed in all namespaces at once.
        protected: names of objects that may not be patched.
        namespaces: those that there are; None when they may not be listed.
        labels: of the namespaces that may be read, by name.
        prepared: by path, the bodies of answers of other APIs or behind its proxies, in turn; the last one stays.
        requests: method, path and query of what it was asked.
    """

    objects: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[tuple[str, bool], str] = field(default_factory=dict)
    happens: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=_set)
    refusal: tuple[int, str] | None = None
    absent: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    narrow: set[str] = field(default_factory=set)
    protected: set[str] = field(default_factory=set)
    namespaces: list[str] | None = None
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    prepared: dict[str, list[str]] = field(default_factory=dict)
    requests: list[tuple[str, str, Query]] = field(default_factory=list)

    def answer(self, method: str, url: str, body: str) -> tuple[int, str]:
        """Status and body."""
        split = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(split.query).items()}
        self.requests.append((method, split.path, query))
        if self.refusal is not None:
            return self.refusal
        if "/proxy/" in split.path or "metrics.k8s.io" in split.path:
            return self._elsewhere(split.path)
        if query.get("watch"):
            return self._watched()
        root, *rest = split.path.strip("/").split("/")
        inside = rest[1:] if root == "api" else rest[2:]
        if not inside:
            served = [{"kind": kind} for plural, kind in _PLURALS.items() if plural not in self.absent]
            return 200, json.dumps({"resources": served})
        namespace = None
        if inside[0] == "namespaces":
            _, *inside = inside
            if len(inside) < 2:
                return self._namespace(*inside)
            namespace, *inside = inside
        plural, *name = inside
        return self._of(plural, name, namespace, query, json.loads(body or "{}"))

    def _elsewhere(self, path: str) -> tuple[int, str]:
        if not (bodies := self.prepared.get(path)):
            return 404, "404 page not found"
        return 200, bodies.pop(0) if len(bodies) > 1 else bodies[0]

    def _watched(self) -> tuple[int, str]:
        if not self.happens:
            self.over.wait(20)
            return 403, json.dumps({"message": "nothing happens any more"})
        shown, self.happens = self.happens, []
        return 200, "".join(f"{json.dumps(each)}\n" for each in shown)

    def _namespaces(self) -> tuple[int, str]:
        if self.namespaces is None:
            return 403, json.dumps({"message": "namespaces is forbidden"})
        return 200, json.dumps({"items": [{"metadata": {"name": each}} for each in self.namespaces]})

    def _namespace(self, name: str | None = None) -> tuple[int, str]:
        if name is None:
            return self._namespaces()
        if name not in self.labels:
            return 403, json.dumps({"message": "namespaces is forbidden"})
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": self.labels[name]}
        return 200, json.dumps({"metadata": metadata})

    def _of(
        self, plural: str, name: list[str], namespace: str | None, query: Query, patch: dict[str, Any]
    ) -> tuple[int, str]:
        if plural in self.absent:
            return 404, "404 page not found"
        if (
            (namespace is None and plural in self.narrow)
            or (plural in self.forbidden and not name)
            or (patch and name[0] in self.protected)
        ):
            verb = "patch" if patch else "list"
            return 403, json.dumps({"message": f'{plural} is forbidden: User "me" cannot {verb}'})
        if name and name[-1] == "log":
            return 200, self.logs.get((name[0], "previous" in query), "")
        found = [each for each in self.objects if _is(each, _PLURALS[plural], namespace, query)]
        if not name:
            return 200, json.dumps({"metadata": {"resourceVersion": "1"}, "items": found})
        named = next((each for each in found if each["metadata"]["name"] == name[0]), None)
        if named is None:
            return 404, json.dumps({"kind": "Status", "message": f"{plural} {name[0]!r} not found"})
        if "dryRun" not in query:
            named.update(merge_patched(named, patch))
        return 200, json.dumps(named)


def _is(obj: dict[str, Any], kind: str, namespace: str | None, query: Query) -> bool:
    terms = [each.partition("=") for each in query.get("labelSelector", "").split(",") if each]
    labels = obj["metadata"].get("labels", {})
    return (
        obj["kind"] == kind
        and namespace in {None, obj["metadata"]["namespace"]}
        and all(labels.get(key) == value if equals else key in labels for key, equals, value in terms)
    )


@contextmanager
def serving(server: Server, kubeconfig: Path) -> Iterator[None]:
    """Have it listen, and a kubeconfig that names it."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, text = server.answer(self.command, self.path, self.rfile.read(length).decode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            # A client stops reading a response that is too long.
            with suppress(ConnectionError):
                self.wfile.write(text.encode())

        do_GET = do_PATCH = _handle  # noqa: N815  http.server looks for these names

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        kubeconfig.write_text(yaml.safe_dump(config(f"http://127.0.0.1:{listener.server_port}")))
        yield
    finally:
        server.over.set()
        listener.shutdown()
        thread.join()
        listener.server_close()


def config(url: str, **context: Any) -> dict[str, Any]:
    """A kubeconfig."""
    return {
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "shop", **context}}
        ],
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
