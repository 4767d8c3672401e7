"""The cause of a failed image pull."""

import re
from typing import Final

from shop_operator.wording import clause, shortened

PULLING: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable"})
"""The reasons of a container that waits for its image. The kubelet alternates between the first two."""
PULL: Final = " cannot be pulled"
"""Between the image and the cause in the message of a diagnosis."""
_NO_VARIANT: Final = "the image has no variant for the node's platform"
_DENIED: Final = "access denied"
_NOT_FOUND: Final = "not found in the registry"
DEFINITE_PULL_FAILURES: Final = (_NO_VARIANT, _DENIED, _NOT_FOUND)
"""Parts of a message that mean that the registry does not have the image, or not for these pods."""
_CAUSES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"lookup (\S+?)(?: on \S+)?: no such host", r"no such host: \1"),
        (r"lookup (\S+?)(?: on \S+)?: .*", r"the name \1 cannot be resolved"),
        (r"dial tcp (\S+): (?:connect: )?connection refused", r"connection refused by \1"),
        (r"dial tcp (\S+): (?:connect: )?i/o timeout", r"timeout connecting to \1"),
        (r"x509: (.+)", r"the certificate of the registry is not trusted: \1"),
        (r"no match for platform in manifest", _NO_VARIANT),
        (r"toomanyrequests|429 Too Many Requests", "the registry limits the rate of pulls"),
        (
            r"pull access denied|insufficient_scope|401 Unauthorized|403 Forbidden|authorization failed|denied:",
            f"{_DENIED}: the repository does not exist, or spec.imagePullSecrets lacks its credentials",
        ),
        (r"(?:manifest unknown|: not found$|\bnot found\b)", _NOT_FOUND),
    )
)


def pull_failure(said: str) -> str:
    """The cause of a failed pull, then the message of the runtime; empty if it contains no cause."""
    flat = " ".join(said.split())
    # The kubelet writes its own action before the cause.
    flat = re.sub(r'^Back-off pulling image "[^"]*"(?:: )?', "", flat)
    flat = re.sub(r"^(?:ErrImagePull|ImagePullBackOff|RegistryUnavailable): ", "", flat)
    if not flat:
        return ""
    for pattern, words in _CAUSES:
        found = pattern.search(flat)
        if found is not None:
            cause = clause(found.expand(words))
            break
    else:
        cause = clause(flat.rpartition(": ")[2])
    rest = clause(flat)
    return (
        cause
        if rest.endswith(cause) and len(rest) - len(cause) < len("x: ")
        else f"{shortened(cause)} ({shortened(rest)})"
    )
