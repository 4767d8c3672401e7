"""The operator dies at any moment, again and again, while everything changes: the next one goes on from what is."""

import random
import signal
from pathlib import Path

from tests.integration.cluster import Cluster
from tests.integration.faults.proxy import READS, WRITES, Fault, Proxy, Tell
from tests.integration.faults.traffic import Traffic
from tests.integration.faults.truth import settled
from tests.integration.operators import Operator, running
from tests.waiting import wait_for

KILLS = 50


def test_given_an_operator_that_is_killed_again_and_again_then_the_end_is_the_same(
    own_cluster: Cluster, here: str, proxy: Proxy, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311  repeatable, not secret
    traffic = Traffic(own_cluster, here, seed)
    traffic.populate()
    with traffic.flowing():
        for i in range(KILLS):
            operator = Operator(proxy.kubeconfig, tmp_path / f"operator-{i}.log", "--no-leader-elect")
            # One in four dies while it gets to know the cluster, the others at a write: before the API server
            # has it, or after that and before they know.
            methods = READS if chance.random() < 0.25 else WRITES
            tell = Tell(lambda o=operator: o.signal(signal.SIGKILL), before=chance.random() < 0.5)  # type: ignore[misc]  # bound per round
            with proxy.failing(Fault(tell, methods=methods, probability=0.2)):
                wait_for(operator.ended, deadline=30)
            operator.stop()
            assert not any(line["msg"] == "pass failed" for line in operator.lines())

    with running(proxy.kubeconfig, tmp_path / "operator.log", "--no-leader-elect") as last:
        settled(own_cluster, here, last)
