"""An API server on this machine that keeps objects, watches as far as it is told to, and refuses when it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml

from shop_operator.render import KINDS

_PLURALS: Final = {each.plural: each.kind for each in KINDS} | {
    "shopservices": "ShopService",
    "pods": "Pod",
    "replicasets": "ReplicaSet",
    "events": "Event",
}
Query = dict[str, str]


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Server:
    """What it has, and what it says.

    Attributes:
        objects: what can be read and merge-patched.
        logs: by the name of the pod and whether it is that of the run before.
        happens: what the next watch shows; the one after it is refused.
        over: set unless that one is to wait.
        refusal: status and body of every answer, when it refuses.
        absent: plurals of kinds that it does not serve.
        requests: method, path and query of what it was asked.
    """

    objects: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[tuple[str, bool], str] = field(default_factory=dict)
    happens: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=_set)
    refusal: tuple[int, str] | None = None
    absent: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, Query]] = field(default_factory=list)

    def answer(self, method: str, url: str, body: str) -> tuple[int, str]:
        """Status and body."""
        split = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(split.query).items()}
        self.requests.append((method, split.path, query))
        if self.refusal is not None:
            return self.refusal
        if query.get("watch") and not self.happens:
            self.over.wait(20)
            return 403, json.dumps({"message": "nothing happens any more"})
        if query.get("watch"):
            shown, self.happens = self.happens, []
            return 200, "".join(f"{json.dumps(each)}\n" for each in shown)
        root, *rest = split.path.strip("/").split("/")
        inside = rest[1:] if root == "api" else rest[2:]
        if not inside:
            served = [{"kind": kind} for plural, kind in _PLURALS.items() if plural not in self.absent]
            return 200, json.dumps({"resources": served})
        namespace = None
        if inside[0] == "namespaces":
            _, namespace, *inside = inside
        plural, *name = inside
        return self._of(plural, name, namespace, query, json.loads(body or "{}"))

    def _of(
        self, plural: str, name: list[str], namespace: str | None, query: Query, patch: dict[str, Any]
    ) -> tuple[int, str]:
        if plural in self.absent:
            return 404, "404 page not found"
        if name and name[-1] == "log":
            return 200, self.logs.get((name[0], "previous" in query), "")
        found = [each for each in self.objects if _is(each, _PLURALS[plural], namespace, query)]
        if not name:
            return 200, json.dumps({"metadata": {"resourceVersion": "1"}, "items": found})
        named = next((each for each in found if each["metadata"]["name"] == name[0]), None)
        if named is None:
            return 404, json.dumps({"kind": "Status", "message": f"{plural} {name[0]!r} not found"})
        if "dryRun" not in query:
            named["spec"].update(patch.get("spec", {}))
        return 200, json.dumps(named)


def _is(obj: dict[str, Any], kind: str, namespace: str | None, query: Query) -> bool:
    key, _, value = query.get("labelSelector", "").partition("=")
    return (
        obj["kind"] == kind
        and namespace in {None, obj["metadata"]["namespace"]}
        and (not key or obj["metadata"].get("labels", {}).get(key) == value)
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
