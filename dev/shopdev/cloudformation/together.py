"""Work on several stacks at once: told of while it takes long, ended in order, and let go of when somebody interrupts it."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from shopdev.cloudformation.awscli import AwsCli, AwsError

AT_ONCE = 2
HEARTBEAT_SECONDS = 15.0
Say = Callable[[str], object]
Outcome = str | AwsError
"""What became of a stack: how it went, or why it did not."""


class Interrupted(Exception):
    """Somebody pressed Ctrl-C; CloudFormation goes on with what it was told.

    Args:
        names: of the stacks that were being worked on.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def together(
    cli: AwsCli, work: Mapping[str, Callable[[], str]], ended: Callable[[str, Outcome], object], say: Say
) -> dict[str, Outcome]:
    """Do all of the work, a few pieces at a time, and answer what became of each, whatever became of the others.

    Args:
        cli: what the work runs its commands with.
        work: name of a stack -> what to do with it.
        ended: gets each name and outcome as it comes.
        say: gets a line about every stack that is still being worked on, every HEARTBEAT_SECONDS.

    Raises:
        Interrupted: names what was being worked on; KeyboardInterrupt where that is nothing.
    """
    started: dict[str, float] = {}
    outcomes: dict[str, Outcome] = {}

    def timed(name: str) -> str:
        started[name] = time.monotonic()
        return work[name]()

    def running() -> list[str]:
        return [name for name in started if name not in outcomes]

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        names = {pool.submit(timed, name): name for name in work}
        pending = set(names)
        beat = time.monotonic() + HEARTBEAT_SECONDS
        while pending:
            left = max(0.0, beat - time.monotonic())
            done, pending = wait(pending, timeout=left, return_when=FIRST_COMPLETED)
            for future in done:
                outcomes[names[future]] = _outcome(future)
                ended(names[future], outcomes[names[future]])
            if time.monotonic() >= beat:
                for name in running():
                    say(f"{name}: {_now_at(cli, name)}, {time.monotonic() - started[name]:.0f} s")
                beat = time.monotonic() + HEARTBEAT_SECONDS
    except KeyboardInterrupt:
        left_to_aws = running()
        pool.shutdown(wait=False, cancel_futures=True)
        cli.stop()
        if left_to_aws:
            raise Interrupted(left_to_aws) from None
        raise
    finally:
        pool.shutdown()
    return outcomes


def _outcome(future: "Future[str]") -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, AwsError):
        return error
    raise error


def _now_at(cli: AwsCli, name: str) -> str:
    """What CloudFormation said last about a stack."""
    question = ("describe-stack-events", "--stack-name", name, "--max-items", "1", "--output", "json")
    try:
        events = json.loads(cli.run(*question))["StackEvents"]
    except AwsError:
        events = []
    if not events:
        return "CloudFormation has not begun"
    return f"{events[0]['LogicalResourceId']} {events[0]['ResourceStatus']}"
