"""The configuration of every service's web server (`gunicorn --config python:services.common.http.gunicorn`).

One worker process: the pod is the unit of scale, and the metrics of one process are the metrics of the pod.
"""

import logging.config
import os
from pathlib import Path

from gunicorn.config import Config
from gunicorn.glogging import Logger

from services.common.runtime import telemetry

bind = f"{os.environ.get('LISTEN_HOST', '0.0.0.0')}:{os.environ.get('PORT', '8080')}"
# Its threads get whole requests: a client that is slow holds none of them.
worker_class = "services.common.http.gunicorn_worker.Worker"
workers = 1
threads = 8
worker_connections = 8192
# More than may be taken in at once wait here.
backlog = 2048
# Longer than the idle timeout of the load balancers in front, or they reuse a connection that was just closed.
keepalive = 75
timeout = 30
graceful_timeout = 20
# A setting that is missing ends the process with a line that says so, instead of a worker that is restarted for ever.
preload_app = True
# The root file system is read-only, and a heartbeat file on a disk can block the worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a shared temporary folder
control_socket_disable = True


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own messages as the service's are. It logs no requests: `web` does, with their trace."""

    def setup(self, cfg: Config) -> None:
        """Replaces the handlers that gunicorn makes by the process's."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        logging.config.dictConfig(telemetry.logging_config("gunicorn", os.environ.get("LOG_LEVEL", "INFO")))


logger_class = JsonLogger
