"""Asks the process of this container whether it is alive, for a platform that runs a command and sends no request.

`python -m services.common.http.probe` ends with 0 when /healthz answers as a kubelet's probe would have it, else with 1. The
images have no curl, and this asks no proxy.
"""

import http.client
import os
import sys

TIMEOUT_SECONDS = 4


def alive(port: int) -> bool:
    """Whether /healthz on this machine's port answers with a status below 400 in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not alive(int(os.environ.get("PORT", "8080"))))
