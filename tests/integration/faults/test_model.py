"""After any sequence of events, the cluster matches the ShopServices, and nothing is left over."""

import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration.cluster import CHILD_KINDS, Cluster
from tests.integration.faults.traffic import EDITS, EXTRA, NAMES, UNLABEL, Traffic, spec
from tests.integration.faults.truth import (
    every_deployment_is_seen,
    has_nothing_to_do,
    no_wait_is_about_to_end,
    rendered,
    settled,
    silent_autoscalers,
)
from tests.integration.operators import Operator
from tests.waiting import wait_for

EXAMPLES, STEPS = 8, 20
# Hypothesis leaves out some kinds of change in each example, so eight examples may contain too few of one kind.
MOST_TURNS: Final = 3
# Of each kind of change so many must have hit something in the whole run, or it has shown nothing.
LEAST: Final = {"declare": 5, "delete": 2, "edit": 8, "delete child": 4, "end": 5}

Found = TypeVar("Found")

names = st.sampled_from(NAMES)
# Which of those that there are: what there is when a step is played again is not certain.
which = st.integers(0, 2**16)
chances = st.integers(0, 2**32)


class Restartable:
    """An operator that may be there or not."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._process: Operator | None = None
        self._started = 0

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None

    def start(self) -> Operator:
        """Start it if it is not there, and wait until it works."""
        if self._process is None:
            log = self._folder / f"operator-{self._started}.log"
            self._started += 1
            self._process = Operator(self._kubeconfig, log, "--no-leader-elect")
        wait_for(self._process.ready)
        return self._process

    def stop(self) -> None:
        """Ask it to end if it is there."""
        if self._process is not None:
            ending, self._process = self._process, None
            try:
                assert ending.stop() == 0
            finally:
                ending.show()

    def kill(self) -> None:
        """End it without a word if it is there."""
        if self._process is not None:
            ending, self._process = self._process, None
            ending.signal(signal.SIGKILL)
            ending.stop()
            ending.show()


class Model(RuleBasedStateMachine):
    """One namespace, from settled to empty."""

    cluster: ClassVar[Cluster]
    process: ClassVar[Restartable]
    done: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.namespace = self.cluster.namespace(f"m-{uuid.uuid4().hex[:10]}")
        self.traffic = Traffic(self.cluster, self.namespace, seed=0)

    @initialize(chance=chances)
    def populate(self, chance: int) -> None:
        """Every ShopService is there, and as rendered."""
        for i, name in enumerate(NAMES):
            self.traffic.declare(name, _spec(name, chance + i))
        self._settle()

    @rule(name=names, chance=chances)
    def declare(self, name: str, chance: int) -> None:
        """Create a ShopService, or change all of its spec."""
        self._count("declare", hit=self.traffic.declare(name, _spec(name, chance)))

    @rule(name=names)
    def delete(self, name: str) -> None:
        """Delete a ShopService."""
        self._count("delete", hit=self.traffic.delete(name))

    @rule(child=which, patch=which)
    def edit(self, child: int, patch: int) -> None:
        """Change a field of an existing child: one of the operator's, its label, or an unmanaged one."""
        self._edit(child, lambda kind: _one(patch, (*EDITS[kind], UNLABEL, EXTRA)))

    @rule(child=which)
    def delete_child(self, child: int) -> None:
        """Delete a child that is there."""
        found = self._children()
        if found:
            self._count("delete child", hit=self.traffic.delete_child(*_one(child, found)))

    @rule(child=which, other=which, patch=which)
    def edit_and_delete(self, child: int, other: int, patch: int) -> None:
        """Change a field of the operator's in one child that is there, and delete one that may be another."""
        self._edit(child, lambda kind: _one(patch, EDITS[kind]))
        self.delete_child(other)

    @rule()
    def settle(self) -> None:
        """Give the operator the time that it needs."""
        self._settle()

    @precondition(lambda self: self.process.running)
    @rule()
    def kill(self) -> None:
        """The operator dies."""
        self.process.kill()
        self._count("end", hit=True)

    @precondition(lambda self: self.process.running)
    @rule()
    def stop(self) -> None:
        """The operator ends in order."""
        self.process.stop()
        self._count("end", hit=True)

    @precondition(lambda self: not self.process.running)
    @rule()
    def start(self) -> None:
        """The operator is there again."""
        self.process.start()

    def _settle(self) -> None:
        self.process.start()
        rendered(self.cluster, self.namespace)

    def _edit(self, child: int, patch: Callable[[str], Mapping[str, Any]]) -> None:
        found = self._children()
        if found:
            kind, name = _one(child, found)
            self._count("edit", hit=self.traffic.edit(kind, name, patch(kind)))

    def _children(self) -> list[tuple[str, str]]:
        """Kind and name of every child that is there."""
        return [
            (kind, name)
            for kind in CHILD_KINDS
            if kind in EDITS
            for name in sorted(self.cluster.names(kind, self.namespace))
        ]

    def _count(self, what: str, *, hit: bool) -> None:
        self.done[what] += hit

    def teardown(self) -> None:
        """Assert the invariants that hold after any sequence of steps, also an empty one."""
        operator = self.process.start()
        settled(self.cluster, self.namespace, operator)
        no_wait_is_about_to_end(self.cluster, self.namespace)
        every_deployment_is_seen(self.cluster, self.namespace)
        settled(self.cluster, self.namespace, operator)
        self.process.stop()
        silent = silent_autoscalers(self.cluster, self.namespace)
        has_nothing_to_do(self.cluster, self.process.start(), besides=silent)
        for name in NAMES:
            self.traffic.delete(name)
        wait_for(lambda: not self.cluster.children(self.namespace), deadline=60, what="nothing left")


def _spec(name: str, chance: int) -> dict[str, Any]:
    return spec(name, random.Random(chance))  # noqa: S311  repeatable, not secret


def _one(number: int, found: Sequence[Found]) -> Found:
    return found[number % len(found)]


@pytest.mark.timeout(1800)
def test_given_any_sequence_of_changes_and_faults_then_the_children_match_the_shopservices(
    own_cluster: Cluster, own_kubeconfig: Path, seed: int, tmp_path: Path
) -> None:
    class Here(Model):
        cluster, process, done = own_cluster, Restartable(own_kubeconfig, tmp_path), Counter()

    try:
        for turn in range(MOST_TURNS):
            run_state_machine_as_test(
                hypothesis.seed(seed + turn)(Here),
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
            if all(Here.done[change] >= least for change, least in LEAST.items()):
                break
    finally:
        Here.process.stop()
    assert all(Here.done[change] >= least for change, least in LEAST.items()), Here.done
