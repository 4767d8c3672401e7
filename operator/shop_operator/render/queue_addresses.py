"""The addresses that autoscaling.queue may direct KEDA to. Pure.

Unless the spec names a TriggerAuthentication, KEDA signs its requests with its own AWS identity, and it sends them from its own
network. The author of a ShopService must not choose their destination freely.
"""

import re
from collections.abc import Sequence
from typing import Final

from shop_operator.api.v1alpha1.scaling import Queue
from shop_operator.errors import InvalidSpec

_AWS: Final = re.compile(
    r"https://"
    # The endpoints of a region, including PrivateLink and dual-stack. Legacy endpoints begin with the region.
    r"((vpce-[a-z0-9-]+\.)?sqs(-fips)?\.[a-z0-9-]+\.(vpce\.)?amazonaws\.com(\.cn)?"
    r"|sqs(-fips)?\.[a-z0-9-]+\.api\.(aws|amazonwebservices\.com\.cn)"
    r"|([a-z0-9-]+\.)?queue\.amazonaws\.com(\.cn)?)"
    r"(:443)?(/[A-Za-z0-9._-]*)*"
)
"""The endpoints of Amazon SQS. Other names below amazonaws.com are not allowed, because instances and load balancers of any account have them."""
PREFIX: Final = re.compile(
    r"https?://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?"
)
"""An allowed address: scheme, host in lower case, and optionally a port and the first segments of the path."""
_BELOW: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
"""The rest of the path, which may follow an allowed address."""


def check(queue: Queue, where: str, url: str | None, allowed: Sequence[str]) -> None:
    """Check that the addresses of a queue are those of AWS, or are allowed.

    Args:
        queue: the queue of one workload.
        where: the path of the queue in the ShopService.
        url: its URL; None if it is unknown.
        allowed: prefixes of allowed addresses, in the form of PREFIX.

    Raises:
        InvalidSpec: an address is not allowed.
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
    """Whether KEDA may send requests to an address."""
    if _AWS.fullmatch(address):
        return True
    for each in allowed:
        prefix = each.rstrip("/")
        if address.startswith(prefix) and _BELOW.fullmatch(address, len(prefix)):
            return True
    return False
