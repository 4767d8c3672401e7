"""The liveness probe as a command, for a platform that runs a command instead of sending a request.

`python -m services.common.http.probe` exits with status 0 if /healthz returns a status that a kubelet accepts, otherwise with
status 1. The images contain no curl. The command ignores proxy settings.
"""

import http.client
import os
import sys

TIMEOUT_SECONDS = 4


def alive(port: int) -> bool:
    """Whether /healthz on a local port returns a status below 400 within the timeout."""
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
