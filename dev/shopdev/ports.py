"""Free ports for processes that are about to start.

The kernel can assign a port that it chose (bind to port 0) to another caller or to an outgoing connection before the process
listens. The ports of this module are below the range of outgoing connections, and each has one caller.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

# Below the outgoing connections of Linux (32768 to 60999) and the NodePorts of Kubernetes (from 30000).
_FIRST, _LAST = 15_000, 29_999
_ATTEMPTS: Final = 1_000
_taken: set[int] = set()
_claims: list[int] = []


def free_port() -> int:
    """A TCP port on loopback on which no process listens, and which no other caller gets while this process runs.

    Raises:
        OSError: when no port is free.
    """
    for port in random.choices(range(_FIRST, _LAST + 1), k=_ATTEMPTS):  # noqa: S311  spread, not secrecy
        if port not in _taken and _claimed(port) and _is_free(port):
            _taken.add(port)
            return port
    raise OSError(f"found no free port from {_FIRST} to {_LAST}")


def preferred_port(port: int) -> int:
    """The port if no process listens on it; otherwise a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


def _claimed(port: int) -> bool:
    """Claim a port for this process by locking the byte with that offset in a file that all processes share."""
    if not _claims:
        path = Path(tempfile.gettempdir()) / f"shop-dev-ports-{os.getuid()}"
        # Never closed, because closing releases all locks of this process on the file.
        _claims.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_claims[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
