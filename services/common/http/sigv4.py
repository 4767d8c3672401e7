"""Verifies AWS Signature Version 4 with known keys, by signing the request again with botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
# As on AWS: rejects signatures that are older, or further in the future.
TOLERATED_SECONDS = 300
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<key>[\w.-]{{1,128}})/(?P<day>\d{{8}})/(?P<region>[a-z0-9-]{{1,32}})/{SERVICE}"
    r"/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]{1,1024}), ?Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


class Refused(Exception):
    """The signature is invalid. The message contains the reason, but never the expected signature."""


def verify(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Mapping[str, str],
    now: float,
) -> str:
    """The ID of the access key that signed a request.

    Args:
        method: method of the request.
        url: signed URL. Its host replaces the header Host, which proxies change.
        headers: headers of the request, in any case.
        body: body of the request.
        keys: access key ID -> secret.
        now: seconds since 1970.

    Raises:
        Refused: none of the keys signed the request for this URL within five minutes.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise Refused("it is not in the format of AWS Signature Version 4")
    signed = found["headers"].split(";")
    stamp = headers.get("x-amz-date", "")
    if not {"host", "x-amz-date"} <= set(signed) or not stamp.startswith(found["day"]):
        raise Refused("Host and X-Amz-Date must be signed")
    if abs(_seconds(stamp) - now) > TOLERATED_SECONDS:
        raise Refused("its time differs by more than five minutes; check the clock and sign again")
    declared = headers.get("x-amz-content-sha256")
    if declared is not None and declared != hashlib.sha256(body).hexdigest():
        raise Refused("X-Amz-Content-SHA256 does not match the body")  # botocore does not check it
    # An unknown key takes as long as a known one, so that the response time reveals nothing.
    secret = keys.get(found["key"], "")
    try:
        expected = _signature(
            method,
            url,
            {name: headers.get(name, "") for name in signed if name != "host"},
            body,
            key=(found["key"], secret or "unknown"),
            region=found["region"],
        )
    except Exception:  # noqa: BLE001 - any error in parsing a request is the client's
        raise Refused("the request has no canonical form") from None
    if not hmac.compare_digest(expected, found["signature"]) or not secret:
        raise Refused("it does not match the request, or the access key is unknown")
    return found["key"]


def _signature(
    method: str, url: str, signed: Mapping[str, str], body: bytes, *, key: tuple[str, str], region: str
) -> str:
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - most processes never receive a signed request
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above
    from botocore.credentials import Credentials  # noqa: PLC0415 - as above

    request = AWSRequest(method=method, url=url, data=body, headers=dict(signed))
    request.context["timestamp"] = signed["x-amz-date"]
    signer = SigV4Auth(Credentials(*key), SERVICE, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signature: str = signer.signature(text, request)
    return signature


def _seconds(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, TIME_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused("X-Amz-Date must have the form 20260101T000000Z") from None
