"""The response of /metrics."""

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.openmetrics import exposition

_OPENMETRICS = "application/openmetrics-text"


def scrape(accept: str) -> tuple[str, bytes]:
    """The content type and the body of a scrape.

    Args:
        accept: header Accept of the request. Prometheus asks for OpenMetrics, the only format with exemplars.
    """
    types = {entry.partition(";")[0].strip().lower() for entry in accept.split(",")}
    if _OPENMETRICS in types:
        return exposition.CONTENT_TYPE_LATEST, exposition.generate_latest(REGISTRY)  # type: ignore[no-untyped-call]  # prometheus_client left it out
    return CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
