"""The configuration of the web server of every service (`gunicorn --config python:services.common.http.gunicorn`).

There is one worker process: the pod is the unit of scaling, and the metrics of the process are the metrics of the pod.
"""

import gc
import logging.config
import os
from pathlib import Path
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger

from services.common.http import beside
from services.common.telemetry import exporting, logs

bind = f"{os.environ.get('LISTEN_HOST', '0.0.0.0')}:{os.environ.get('PORT', '8080')}"
# Its threads receive complete requests, so that slow clients block none of them.
worker_class = "services.common.http.gunicorn_worker.Worker"
workers = 1
threads = 8
worker_connections = 8192
# Connections that wait to be accepted.
backlog = 2048
# Longer than the idle timeout of the load balancers in front, which could otherwise reuse a connection that was just closed.
keepalive = 75
# The thread only prepares a response, and `front` sends it: there is no socket that the kernel could copy a file to.
sendfile = False
timeout = 30
graceful_timeout = 20
# With a missing setting, the process exits with an error message instead of restarting its worker forever.
preload_app = True
# The root file system is read-only, and a heartbeat file on disk could block the worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a shared temporary folder
control_socket_disable = True


def pre_fork(_server: Any, _worker: Any) -> None:
    """Exempts what is loaded from garbage collections, which would write to it, and so copy the memory that the processes share."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Starts to export spans, and the loops of the application, in the worker: a thread does not survive the fork."""
    exporting.start(worker.wsgi.import_name)
    worker.loops = beside.Loops(worker.wsgi)


def worker_exit(_server: Any, worker: Any) -> None:
    """Ends the loops of the application, and exports the remaining spans."""
    if hasattr(worker, "loops"):  # it may have failed before
        worker.loops.stop()
    exporting.stop()


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Logs the messages of gunicorn in the format of the service. `web` logs the requests, with their traces."""

    def setup(self, cfg: Config) -> None:
        """Replaces the log handlers of gunicorn by those of the process."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        logging.config.dictConfig(logs.logging_config("gunicorn", os.environ.get("LOG_LEVEL", "INFO")))


logger_class = JsonLogger
