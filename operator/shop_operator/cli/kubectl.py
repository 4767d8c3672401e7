"""Runs kubectl for streams to and from a pod."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from shop_operator.cli.errors import NotReachable
from shop_operator.cli.settings import Settings

_PROGRAM: Final = "kubectl"
_FORWARDING: Final = re.compile(r"Forwarding from \S+:(\d+) -> \d+")


def become_kubectl(obj: Settings, *arguments: str) -> NoReturn:
    """Replace this process with kubectl, for the same cluster and namespace.

    Raises:
        NotReachable: kubectl is not on PATH.
    """
    found, given = _found(arguments[0]), _given(obj)
    sys.stdout.flush()
    os.execv(found, [_PROGRAM, *given, *arguments])  # noqa: S606  becoming kubectl is the job


def forwarded(obj: Settings, pod: str, ports: str, address: str, ready: Callable[[int], None]) -> int:
    """Forward a local port to a pod until kubectl ends or is interrupted.

    Args:
        obj: settings with the cluster and the namespace.
        pod: name of the pod.
        ports: the ports, in the syntax of kubectl.
        address: the local address.
        ready: called with the local port once it is open.

    Returns:
        The exit code of kubectl; 0 after an interruption.

    Raises:
        NotReachable: kubectl is not on PATH.
    """
    arguments = ["port-forward", f"pod/{pod}", ports, f"--address={address}"]
    command = [_found(arguments[0]), *_given(obj), *arguments]
    # Without this handler, kubectl would outlive this process on SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if opened := _FORWARDING.match(line):
                    ready(int(opened[1]))
        except KeyboardInterrupt:
            process.terminate()
            return 0
        return process.wait()


def _found(command: str) -> str:
    """The path of kubectl.

    Raises:
        NotReachable: kubectl is not on PATH.
    """
    found = shutil.which(_PROGRAM)
    if found is None:
        raise NotReachable(
            f"kubectl is not on PATH, but this command runs `kubectl {command}`; install kubectl and try again"
        )
    return found


def _given(obj: Settings) -> list[str]:
    """The options that name the cluster and the namespace."""
    chosen = (("--kubeconfig", obj.kubeconfig), ("--context", obj.context), ("--namespace", obj.namespace))
    return [word for option, value in chosen if value is not None for word in (option, value)]
