"""Jaeger: receives spans by OTLP over HTTP, keeps the latest traces in memory, and answers queries over HTTP.

The program has no web page, because the module of Jaeger contains a placeholder for it.
"""

from shopdev.demo import addons
from shopdev.demo.target import Target

RECEIVER = f"http://jaeger.{addons.OBSERVABILITY}.svc.cluster.local:4318"
"""The endpoint to which pods send spans: the value `tracing.endpoint` of the charts."""
QUERY_PORT = 16686


def install(target: Target) -> str:
    """Install Jaeger, and return the URL of its query API on this machine, such as `<url>/api/traces/<trace id>`."""
    image = addons.deliver(target, "jaeger")
    addons.apply(target, "jaeger", addons.OBSERVABILITY, image=image)
    return addons.expose("jaeger", addons.OBSERVABILITY, QUERY_PORT)
