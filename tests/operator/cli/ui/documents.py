"""An HTTP server with prepared JSON documents, in place of the API of the shop and of Jaeger; and the documents of orders."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

ID: Final = "01890000-0000-7000-8000-000000000001"
EUR: Final = "EUR"
Documents = dict[str, tuple[int, Any]]


@contextmanager
def serving(documents: Documents, asked: list[tuple[str, str | None]]) -> Iterator[str]:
    """The URL of a server of these documents, by path without query. `asked` gets each path with its token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the document."""
            asked.append((self.path, self.headers.get("Authorization")))
            status, document = documents.get(
                self.path.partition("?")[0], (404, {"detail": "no such resource"})
            )
            body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            # A client stops reading a response that is too long.
            with suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def order(*states: str, cause: str = "because", total: int = 2500, **more: Any) -> dict[str, Any]:
    """An order that has reached these states after PENDING, one a minute."""
    reached = ("PENDING", *states)
    return {
        "id": ID,
        "state": reached[-1],
        "items": [{"sku": "A", "name": "Tea", "quantity": 2, "price": {"amount": 1250, "currency": EUR}}],
        "total": {"amount": total, "currency": EUR},
        "created_at": "2026-11-30T05:00:00Z",
        "timeline": [
            {"state": each, "at": f"2026-11-30T05:0{minute}:00Z", "cause": cause}
            for minute, each in enumerate(reached)
        ],
        "tracking_number": None,
        **more,
    }


def payment(state: str, charged: int = 0, refunded: int = 0, *outcomes: str) -> dict[str, Any]:
    """The payment of an order."""
    return {
        "order_id": ID,
        "state": state,
        "charged": {"amount": charged, "currency": EUR},
        "refunded": {"amount": refunded, "currency": EUR},
        "attempts": [
            {"at": "2026-11-30T05:01:30Z", "outcome": each, "cause": f"it was {each}"} for each in outcomes
        ],
    }


def shipment(state: str, tracking: str | None = None, cause: str | None = None) -> dict[str, Any]:
    """The shipment of an order."""
    booked = "2026-11-30T05:03:00Z" if tracking else None
    return {"order_id": ID, "state": state, "tracking_number": tracking, "booked_at": booked, "cause": cause}


def details(found: Any, paid: Any = None, shipped: Any = None, **missing: str) -> dict[str, Any]:
    """The response of GET /orders/{id}/details."""
    return {
        "order": found,
        "payment": paid,
        "shipment": shipped,
        "missing": [{"part": part, "reason": reason} for part, reason in missing.items()],
    }


def span(identity: str, name: str, start: int, duration: int, above: str = "", **tags: Any) -> dict[str, Any]:
    """A span as Jaeger's API returns it."""
    references = [{"refType": "CHILD_OF", "traceID": "t1", "spanID": above}] if above else []
    return {
        "traceID": "t1",
        "spanID": identity,
        "operationName": name,
        "references": references,
        "startTime": start,
        "duration": duration,
        "processID": "p1",
        "tags": [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()],
    }
