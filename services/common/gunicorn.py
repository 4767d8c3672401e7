"""The configuration of every service's web server (`gunicorn --config python:services.common.gunicorn`).

One worker process: the pod is the unit of scale, and the metrics of one process are the metrics of the pod.
"""

import os
from pathlib import Path

from services.common import telemetry

bind = f"{os.environ.get('LISTEN_HOST', '0.0.0.0')}:{os.environ.get('PORT', '8080')}"
worker_class = "gthread"
workers = 1
threads = 8
# Longer than the idle timeout of the load balancers in front, or they reuse a connection that was just closed.
keepalive = 75
timeout = 30
graceful_timeout = 20
# A setting that is missing ends the process with a line that says so, instead of a worker that is restarted for ever.
preload_app = True
# The root file system is read-only, and a heartbeat file on a disk can block the worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a shared temporary folder
control_socket_disable = True
_level = os.environ.get("LOG_LEVEL", "INFO")
_logging = telemetry.logging_config("gunicorn", _level)
# gunicorn's own loggers come with handlers of their own, which are not JSON.
_own = {"level": _level, "handlers": ["stdout"], "propagate": False}
logconfig_dict = _logging | {
    "loggers": _logging["loggers"] | {"gunicorn.error": _own, "gunicorn.access": _own}
}
