"""One invalid ShopService, and the fragments of a spec that several modules share."""

from typing import Any, NamedTuple


class Refusal(NamedTuple):
    """An invalid ShopService, and the message that rejects it.

    Args:
        given: the mistake, as a noun phrase.
        spec: fields of the spec, in addition to an image.
        server: part of the API server's message.
        model: part of the models' message, if it differs.
        name: name of the ShopService.
    """

    given: str
    spec: dict[str, Any]
    server: str
    model: str | None = None
    name: str = "web"


WORKER = {"name": "relay", "command": ["relay"]}
PUBLIC = {"name": "public"}
DNS_LABEL = "must consist of lowercase letters, digits and '-', begin with a letter and end with a letter or digit, such as order-api"


def probe(**probe: Any) -> dict[str, Any]:
    """A liveness probe."""
    return {"probes": {"liveness": probe}}
