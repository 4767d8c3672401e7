"""Loops that run in the process of an API, beside its requests, such as the relay of the records that it writes.

An application names them, and the web server runs them: they start after the fork of its worker process, and end after its last
request. A function has no time between two requests, and runs none.
"""

import os
import signal
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from services.common.telemetry import logs

if TYPE_CHECKING:
    from flask import Flask

    from services.common.runtime.worker import Worker

log = logs.logger(__name__)
_LOOPS: Final = "loops"


def add(app: "Flask", loop: "Worker") -> None:
    """Has the web server of an application run a loop."""
    app.extensions.setdefault(_LOOPS, []).append(loop)


class Loops:
    """The running loops of an application, each in a thread."""

    def __init__(self, app: Any) -> None:
        self._stop = threading.Event()
        loops: Sequence[Worker] = app.extensions.get(_LOOPS, ())
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=loop.name, daemon=True) for loop in loops
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the loops, and waits until they have ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, loop: "Worker") -> None:
        try:
            loop.run(self._stop)
        except Exception:
            log.exception("worker_ended", worker=loop.name)
        if not self._stop.is_set():
            # The web server completes the requests in progress, and starts another process.
            os.kill(os.getpid(), signal.SIGTERM)
