"""The server of moto with guarantees of AWS that moto lacks: `python moto_server.py PORT`.

In DynamoDB, a write is atomic, and concurrent writes of an item take effect one after the other. Moto has no such lock, so
requests to DynamoDB are admitted one at a time. State machines run only if requested.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.core import config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class OneAtATime:
    """Admits one request to DynamoDB at a time.

    Args:
        application: answers them.
    """

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return self._application(environ, start_response)
        with self._lock:
            return list(self._application(environ, start_response))


def main(port: int) -> None:
    """Answer on loopback until it is ended."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    config.default_user_config["stepfunctions"] = {"execute_state_machine": True}
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]))
