"""Which addresses KEDA may be pointed at by autoscaling.queue. Pure.

KEDA signs its requests with its own AWS identity unless a TriggerAuthentication is named, and sends them from its own network:
an author of ShopServices must not choose where to.
"""

import re
from collections.abc import Sequence
from typing import Final

from shop_operator.api.v1alpha1.scaling import Queue
from shop_operator.errors import InvalidSpec

_AWS: Final = re.compile(
    r"https://"
    # The endpoint of a region, also by PrivateLink and dual-stack; the endpoints of before 2010 had the region in front.
    r"((vpce-[a-z0-9-]+\.)?sqs(-fips)?\.[a-z0-9-]+\.(vpce\.)?amazonaws\.com(\.cn)?"
    r"|sqs(-fips)?\.[a-z0-9-]+\.api\.(aws|amazonwebservices\.com\.cn)"
    r"|([a-z0-9-]+\.)?queue\.amazonaws\.com(\.cn)?)"
    r"(:443)?(/[A-Za-z0-9._-]*)*"
)
"""SQS of AWS, and no other name below amazonaws.com: instances and load balancers of any account have such names too."""
PREFIX: Final = re.compile(
    r"https?://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?"
)
"""An allowed address: scheme, host in lower case, and optionally a port and the beginning of the path, in whole segments."""
_BELOW: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
"""What may follow it."""


def check(queue: Queue, where: str, url: str | None, allowed: Sequence[str]) -> None:
    """Pass only a queue whose addresses are those of AWS, or allowed.

    Args:
        queue: the queue of one workload.
        where: the path of the queue in the ShopService.
        url: its URL, None when it is not known.
        allowed: the beginnings of allowed addresses, each as PREFIX.

    Raises:
        InvalidSpec: it has another address.
    """
    shown = {
        f"{where}.endpoint": queue.endpoint,
        f"{where}.url" if queue.url else f"{where}.urlFrom ({queue.url_from})": url,
    }
    refused = [
        f"{field}: {value}" for field, value in shown.items() if value and not permitted(value, allowed)
    ]
    if refused:
        raise InvalidSpec(
            f"{', '.join(refused)} is not an address of Amazon SQS such as https://sqs.eu-west-1.amazonaws.com, nor allowed by"
            " allowedQueueEndpoints of the operator's chart; use one of these, or ask the cluster administrator to allow it."
        )


def permitted(address: str, allowed: Sequence[str]) -> bool:
    """Whether KEDA may be pointed at an address."""
    if _AWS.fullmatch(address):
        return True
    for each in allowed:
        prefix = each.rstrip("/")
        if address.startswith(prefix) and _BELOW.fullmatch(address, len(prefix)):
            return True
    return False
