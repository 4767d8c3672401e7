"""State that the status writer keeps between passes, in one record per ShopService."""

from dataclasses import dataclass, field

from shop_operator.names import Key
from shop_operator.status.diagnosis import Diagnosis
from shop_operator.status.drift import Repair
from shop_operator.status.lasting import Lasting
from shop_operator.status.verdicts.rollout import Release


@dataclass(slots=True)
class StatusMemory:
    """The record of one ShopService.

    Attributes:
        written: the time of the last status write.
        repairs: reverted modifications that are not in the status yet.
        late: by Deployment, the time since which it has unavailable pods; None before the first pass of this process.
        looked: by Deployment, the time of the last inspection of its pods, and the diagnosis.
        words: by Deployment, the last line of a container's log, after the reason and the container for which it was read.
        overdue: the Deployments that report that their deadline is exceeded, with their generations.
        failed_autoscalers: the autoscalers that report that they do not work.
        uncreated: the Deployments whose newest ReplicaSet the cluster does not allow, with their generations.
        unobserved: the Rollouts that Argo Rollouts has not observed, with the generations of each and of its Deployment.
        releases: the canary releases in progress, as they were observed last.
        unmet: whether a dependency cannot be met.
        scaling: by Deployment, its wanted count, and whether that has not been reached yet.
    """

    written: float = float("-inf")
    repairs: list[Repair] = field(default_factory=list)
    late: dict[str, float] | None = None
    looked: dict[str, tuple[float, Diagnosis | None]] = field(default_factory=dict)
    words: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    overdue: Lasting[tuple[str, int]] = field(default_factory=Lasting)
    failed_autoscalers: Lasting[tuple[str, str]] = field(default_factory=Lasting)
    uncreated: Lasting[tuple[str, int]] = field(default_factory=Lasting)
    unobserved: Lasting[tuple[str, int, int]] = field(default_factory=Lasting)
    releases: Lasting[Release] = field(default_factory=Lasting)
    unmet: Lasting[str] = field(default_factory=Lasting)
    scaling: dict[str, tuple[int, bool]] = field(default_factory=dict)


class StatusMemories:
    """The records of all ShopServices."""

    def __init__(self) -> None:
        self._known: dict[Key, StatusMemory] = {}

    def of(self, key: Key) -> StatusMemory:
        """The record of a ShopService; a new one if none exists."""
        return self._known.setdefault(key, StatusMemory())

    def forget(self, key: Key) -> None:
        """Drop the record of a ShopService that is deleted."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Drop all records: another replica of the operator leads now."""
        self._known.clear()
