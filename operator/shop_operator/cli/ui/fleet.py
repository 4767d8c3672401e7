"""The ShopServices, watched by one thread, so that pages neither request them nor miss a change."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from shop_operator.cli.cluster import Cluster
from shop_operator.cli.errors import CliError, NotAllowed
from shop_operator.names import Key

Object = dict[str, Any]

WATCH_SECONDS: Final = 30
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 8.0
_POLL: Final = 5.0


@dataclass(frozen=True)
class Snapshot:
    """The known state.

    Args:
        shops: the ShopServices.
        at: time at which the cluster last responded; None if it never did.
        trouble: why they are not up to date; empty if they are.
        version: grows with every change of the other fields.
    """

    shops: Mapping[Key, Object] = field(default_factory=dict)
    at: datetime | None = None
    trouble: str = ""
    version: int = 0


class Fleet:
    """The ShopServices of a namespace, or of all namespaces if None.

    Args:
        cluster: cluster to watch.
        namespace: the namespace.
        pause: seconds before the first retry; each further one takes twice as long.
    """

    def __init__(self, cluster: Cluster, namespace: str | None, pause: float = _PAUSE) -> None:
        self.namespace = namespace
        self._cluster = cluster
        self._pause = pause
        self._known = Snapshot()
        self._changed = threading.Condition()
        self._over = threading.Event()

    def start(self) -> None:
        """Watch until `stop`."""
        threading.Thread(target=self._follow, name="fleet", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer, and let every waiting thread continue."""
        self._over.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether `stop` was called."""
        return self._over.is_set()

    def snapshot(self) -> Snapshot:
        """The state that is known now."""
        with self._changed:
            return self._known

    def wait(self, seen: int, seconds: float) -> int:
        """The current version, as soon as it differs from `seen`, at the latest after this time."""
        with self._changed:
            self._changed.wait_for(lambda: self._known.version != seen or self.is_over, seconds)
            return self._known.version

    def _follow(self) -> None:
        pause = self._pause
        while not self.is_over:
            listed = False
            try:
                for shops in self._cluster.watch(self.namespace, seconds=WATCH_SECONDS):
                    self._see(dict(shops))
                    listed, pause = True, self._pause
                    if self.is_over:
                        return
            except CliError as error:
                if listed and isinstance(error, NotAllowed):
                    # The user may list ShopServices and not watch them.
                    self._over.wait(_POLL)
                    continue
                self._lose(str(error))
            except Exception as error:  # noqa: BLE001  such as an object without metadata: the thread must not end
                self._lose(f"the ShopServices cannot be read ({error!r}); trying again")
            self._over.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _see(self, shops: Mapping[Key, Object]) -> None:
        with self._changed:
            before = self._known
            self._known = replace(before, shops=shops, at=datetime.now(UTC), trouble="")
            if before.trouble or before.at is None or _versions(before.shops) != _versions(shops):
                self._announce()

    def _lose(self, trouble: str) -> None:
        with self._changed:
            if self._known.trouble != trouble:
                self._known = replace(self._known, trouble=trouble)
                self._announce()

    def _announce(self) -> None:
        self._known = replace(self._known, version=self._known.version + 1)
        self._changed.notify_all()


def _versions(shops: Mapping[Key, Object]) -> dict[Key, str]:
    return {key: str(each["metadata"].get("resourceVersion")) for key, each in shops.items()}
