"""Probes that fail: the probe in the words of the spec, and the answer that it received."""

import re
from collections.abc import Mapping
from typing import Any, Final

from shop_operator.wording import clause, shortened


def failing_probe(container: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """The probe that a running container fails, and what to check."""
    kind = "startup" if spec.get("startupProbe") and container.get("started") is False else "readiness"
    probe = spec.get(f"{kind}Probe") or {}
    http: Mapping[str, Any] = probe.get("httpGet") or probe.get("grpc") or probe.get("tcpSocket") or {}
    if "httpGet" in probe:
        what = f"its {kind} probe fails (GET {http.get('path', '/')} on port {_port(http, spec)})"
        return (
            f"{what}; does the app listen on that port (spec.port) and serve that path (spec.probes.{kind})?"
        )
    if http:
        what = "gRPC health check" if "grpc" in probe else "TCP connection"
        return f"its {kind} probe fails ({what} on port {_port(http, spec)}); does the app listen on that port (spec.port)?"
    if "exec" in probe:
        command = shortened(" ".join((probe["exec"] or {}).get("command") or ()), 80)
        return f"its {kind} probe fails (command {command})"
    return "not ready"


def _port(handler: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    named = handler.get("port")
    return next((p["containerPort"] for p in spec.get("ports") or () if p.get("name") == named), named)


_PROBES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"connect: connection refused", "connection refused"),
        (r"HTTP probe failed with statuscode: (\d+)", r"HTTP status \1"),
        (r"context deadline exceeded|Client\.Timeout|i/o timeout", "timed out"),
        (r"probe failed: (.+)", r"\1"),
    )
)


def probe_answer(event: str) -> str:
    """The answer that a probe received, from the note of a pod's Event; empty if the Event is not about a probe."""
    if "probe failed" not in event and "probe errored" not in event:
        return ""
    found = next((each for each in ((p.search(event), words) for p, words in _PROBES) if each[0]), None)
    return clause(shortened(found[0].expand(found[1]))) if found and found[0] else ""
