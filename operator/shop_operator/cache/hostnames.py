"""The holder of each discovery hostname of the cluster. Pure.

ExternalDNS merges the addresses of all Services with the same hostname, across namespaces, so clients of one ShopService would
send their requests to the pods of another. Therefore, a hostname has one holder:

- the ShopService that is registered under it, that is, whose headless Service has it, even while the ShopService is suspended
  or its spec is invalid, because the Service stays;
- among several of these, the first that was registered: the one that this process saw first or, at the start of a process, the
  one with the oldest Service;
- if none is registered, the oldest that requests it.

Age alone is not enough: the owner of an old ShopService could take any hostname from a younger one that uses it. The age of
the registration alone is not enough either: every user who can create Services can register a ShopService manually.
"""

from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

from shop_operator.objects.discovery import Wish, normalized

K = TypeVar("K", bound=Hashable)


class Claim(NamedTuple):
    """The claim of one ShopService to one hostname; the smallest wins.

    Attributes:
        unregistered: whether its headless Service lacks the hostname.
        unwanted: whether it requests no hostname, or another one.
        created: the creationTimestamp of that Service or, if it is unregistered, its own.
        uid: its own.
    """

    unregistered: bool
    unwanted: bool
    created: str
    uid: str


def claims(uid: str, wanted: Wish | None, live: str, since: str = "") -> dict[str, Claim]:
    """The claims of one ShopService by hostname.

    Args:
        uid: of the ShopService.
        wanted: the hostname that it requests.
        live: the hostname of its headless Service, empty for none.
        since: the creationTimestamp of that Service.
    """
    found = {live: Claim(unregistered=False, unwanted=True, created=since, uid=uid)} if live else {}
    if wanted is not None:
        missing = wanted.hostname != live
        found[wanted.hostname] = Claim(
            missing, unwanted=False, created=wanted.created if missing else since, uid=uid
        )
    return found


class Hostnames(Generic[K]):
    """The claims to every hostname, and its holder.

    Args:
        changed: receives the keys that have become or ceased to be the holder of a hostname.
        complete: whether all claims that existed at the start of the process are known, so that further ones are later.
    """

    def __init__(
        self,
        changed: Callable[[AbstractSet[K]], None] = lambda _: None,
        complete: Callable[[], bool] = lambda: False,
    ) -> None:
        self._changed = changed
        self._complete = complete
        self._by_key: dict[K, dict[str, Claim]] = {}
        self._by_hostname: dict[str, dict[K, Claim]] = {}
        self._holders: dict[str, K] = {}

    def holder(self, hostname: str) -> K | None:
        """The holder of a hostname, None if no ShopService requests it."""
        return self._holders.get(normalized(hostname))

    def put(self, key: K, found: dict[str, Claim]) -> None:
        """Replace the claims of one key; an empty dict removes them."""
        before = self._by_key.get(key, {})
        if before == found:
            return
        if found:
            self._by_key[key] = found
        else:
            del self._by_key[key]
        moved = set[K]()
        for hostname in before.keys() | found.keys():
            if before.get(hostname) != found.get(hostname):
                moved |= self._claim(hostname, key, found.get(hostname))
        if moved:
            self._changed(moved)

    def _claim(self, hostname: str, key: K, claim: Claim | None) -> set[K]:
        """Store one claim; returns the keys that have become or ceased to be the holder."""
        claimants = self._by_hostname.setdefault(hostname, {})
        holder = self._holders.get(hostname)
        if claim is None:
            claimants.pop(key, None)
        else:
            claimants[key] = claim
        if not claimants:
            del self._by_hostname[hostname]
            self._holders.pop(hostname, None)
            return set()
        held = claimants.get(holder) if holder is not None else None
        if holder is not None and held is not None and not held.unregistered and self._complete():
            new = holder
        elif holder is None or held is None or holder == key:
            new = min(claimants, key=claimants.__getitem__)
        else:
            # Only this one can have overtaken the holder.
            new = key if key in claimants and claimants[key] < held else holder
        self._holders[hostname] = new
        return set() if holder is None or new == holder else {holder, new}
