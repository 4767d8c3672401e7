"""Bodies of HTTP responses, which may come from a pod or from another untrusted server, up to a limit."""

from typing import Final

import urllib3

from shop_operator.cli.errors import NotReachable

MIB: Final = 2**20


def bounded(answer: urllib3.BaseHTTPResponse, longest: int, name: str) -> bytes:
    """The decoded body.

    Args:
        answer: response of which nothing has been read.
        longest: MiB that it may have.
        name: name of the server in the error message.

    Raises:
        NotReachable: it is longer.
        HTTPError: the connection broke.
    """
    body = answer.read(longest * MIB + 1, decode_content=True)
    if len(body) > longest * MIB:
        # The rest is not read, so the connection cannot be used again.
        answer.close()
        raise NotReachable(f"the response of {name} is larger than {longest} MiB")
    answer.release_conn()
    return body
