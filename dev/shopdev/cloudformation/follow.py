"""Waiting for CloudFormation, which works on several stacks at once: progress lines, outcomes, and what an interrupt leaves."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import ClientError

from shopdev.cloudformation.account import Account, AwsError, advising

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 3.0
EMULATOR_POLL_SECONDS = 0.02
GONE = "absent"
Say = Callable[[str], object]
Running = dict[str, float]
"""Name of a stack that CloudFormation works on -> when it began, by the monotonic clock."""


class Interrupted(Exception):
    """Ctrl-C, while CloudFormation works on stacks; it continues.

    Args:
        names: names of these stacks.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


@contextmanager
def naming(running: Mapping[str, float]) -> Iterator[None]:
    """Name the stacks that CloudFormation still works on if the block is interrupted.

    Raises:
        Interrupted: instead of KeyboardInterrupt, if it works on any.
    """
    try:
        yield
    except KeyboardInterrupt:
        if running:
            raise Interrupted(list(running)) from None
        raise


def follow(
    account: Account, running: Running, ended: Callable[[str, str | AwsError, float], object], say: Say
) -> None:
    """Wait until CloudFormation works on none of the stacks any more.

    Args:
        account: where the stacks are.
        running: the stacks; each is removed when it ends.
        ended: called with a name, the final state (or why it is unknown) and the seconds since the beginning.
        say: gets a line about each stack that is still in progress, every HEARTBEAT_SECONDS.
    """
    beat = time.monotonic() + HEARTBEAT_SECONDS
    while True:
        for name in list(running):
            state = _state(account, name)
            if isinstance(state, AwsError) or not state.endswith("_IN_PROGRESS"):
                ended(name, state, time.monotonic() - running.pop(name))
        if not running:
            return
        if time.monotonic() >= beat:
            for name, since in running.items():
                say(f"{name}: {account.last_event(name)}, {time.monotonic() - since:.0f} s")
            beat = time.monotonic() + HEARTBEAT_SECONDS
        time.sleep(EMULATOR_POLL_SECONDS if account.local else POLL_SECONDS)


def _state(account: Account, name: str) -> str | AwsError:
    try:
        with advising():
            try:
                (found,) = account.cloudformation.describe_stacks(StackName=name)["Stacks"]
            except ClientError as error:
                if "does not exist" in str(error):
                    return GONE
                raise
    except AwsError as error:
        return error
    return str(found["StackStatus"])
