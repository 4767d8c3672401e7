"""Whatever happens in whatever order, in the end the cluster is what the ShopServices say, and nothing is left over."""

import random
import signal
import uuid
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.integration.cluster import Cluster
from tests.integration.faults.traffic import EDITS, EXTRA, NAMES, UNLABEL, Traffic, spec
from tests.integration.faults.truth import differences, settled
from tests.integration.operators import Operator
from tests.waiting import wait_for

EXAMPLES, STEPS = 15, 15

names = st.sampled_from(NAMES)
kinds = st.sampled_from(sorted(EDITS))


class Restartable:
    """An operator that may be there or not."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._running: Operator | None = None
        self._started = 0

    def start(self) -> Operator:
        """Start it if it is not there, and wait until it works."""
        if self._running is None:
            log = self._folder / f"operator-{self._started}.log"
            self._started += 1
            self._running = Operator(self._kubeconfig, log, "--no-leader-elect")
            wait_for(self._running.ready)
        return self._running

    def stop(self) -> None:
        """Ask it to end if it is there."""
        if self._running is not None:
            assert self._running.stop() == 0
            self._running = None

    def kill(self) -> None:
        """End it without a word if it is there."""
        if self._running is not None:
            self._running.signal(signal.SIGKILL)
            self._running.stop()
            self._running = None


class Model(RuleBasedStateMachine):
    """One namespace, from empty to empty."""

    cluster: ClassVar[Cluster]
    process: ClassVar[Restartable]

    def __init__(self) -> None:
        super().__init__()
        self.namespace = self.cluster.namespace(f"m-{uuid.uuid4().hex[:10]}")
        self.traffic = Traffic(self.cluster, self.namespace, seed=0)

    @rule(name=names, chance=st.integers(0, 2**32))
    def declare(self, name: str, chance: int) -> None:
        """Create a ShopService, or change all of its spec."""
        self.traffic.declare(name, spec(name, random.Random(chance)))  # noqa: S311  repeatable, not secret

    @rule(name=names)
    def delete(self, name: str) -> None:
        """Delete a ShopService."""
        self.traffic.delete(name)

    @rule(kind=kinds, name=names, data=st.data())
    def edit(self, kind: str, name: str, data: st.DataObject) -> None:
        """Change a field of a child: one of the operator's, its label, or one of nobody's."""
        patch: dict[str, Any] = data.draw(st.sampled_from((*EDITS[kind], UNLABEL, EXTRA)))
        self.traffic.edit(kind, name, patch)

    @rule(kind=kinds, name=names)
    def delete_child(self, kind: str, name: str) -> None:
        """Delete a child."""
        self.traffic.delete_child(kind, name)

    @rule()
    def settle(self) -> None:
        """Give the operator the time that it needs."""
        self.process.start()
        wait_for(
            lambda: not differences(self.cluster, self.namespace),
            deadline=60,
            what=f"{self.namespace} as rendered",
        )

    @rule()
    def kill(self) -> None:
        """The operator dies."""
        self.process.kill()

    @rule()
    def stop(self) -> None:
        """The operator ends in order."""
        self.process.stop()

    @rule()
    def start(self) -> None:
        """The operator is there."""
        self.process.start()

    def teardown(self) -> None:
        """What must be true in the end, of all and of none."""
        settled(self.cluster, self.namespace, self.process.start())
        for name in NAMES:
            self.traffic.delete(name)
        wait_for(lambda: not self.cluster.children(self.namespace), deadline=60, what="nothing left")


def test_given_anything_in_any_order_then_the_end_is_what_the_shopservices_say(
    own_cluster: Cluster, own_kubeconfig: Path, seed: int, tmp_path: Path
) -> None:
    @hypothesis.seed(seed)
    class Here(Model):
        cluster, process = own_cluster, Restartable(own_kubeconfig, tmp_path)

    try:
        run_state_machine_as_test(
            Here,
            settings=hypothesis.settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                # To find a smaller example takes as many clusters again; the seed plays this one again.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        Here.process.stop()
