"""Uploaded catalogs in an S3 bucket. The report of an import is stored next to the file, with the suffix `.report.json`.

Every read is conditional on the uploaded content, and every write of a report on the report that it replaces. As a result, the
latest upload under a name takes precedence, and of two runs of an import, only the faster one continues.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from services.common.values import clock
from services.product.import_report import Report, Upload
from services.product.ports import Superseded

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REPORT = ".report.json"
CHUNK = 256 * 1024
# The version of a report that does not exist.
ABSENT = ""
# Attempts to write a report that runs of earlier uploads write concurrently.
TRIES = 4
_REPLACED = (HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)


class S3Uploads:
    """As `ports.Uploads`.

    Args:
        client: an S3 client.
    """

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def report(self, upload: Upload) -> tuple[Report, str]:
        """As `ports.Uploads.report`."""
        found = self._found(upload)
        if found is None:
            return Report(), ABSENT
        body, version = found
        data = orjson.loads(body)
        if _is_later(data["upload"], upload):
            raise Superseded(f"{upload.key} was uploaded again")
        return Report.from_dict(data) if data["upload"] == _named(upload) else Report(), version

    def read(self, upload: Upload, offset: int) -> Iterator[bytes]:
        """As `ports.Uploads.read`."""
        if offset >= upload.size:
            return
        try:
            found = self._client.get_object(
                Bucket=upload.bucket, Key=upload.key, IfMatch=f'"{upload.etag}"', Range=f"bytes={offset}-"
            )
        except ClientError as error:
            if _status(error) in _REPLACED:
                raise Superseded(f"{upload.key} was replaced or removed") from error
            raise
        yield from found["Body"].iter_chunks(CHUNK)

    def save(self, upload: Upload, report: Report, version: str) -> str:
        """As `ports.Uploads.save`."""
        body = orjson.dumps({"upload": _named(upload), **report.to_dict()}, option=orjson.OPT_INDENT_2)
        for _ in range(TRIES):
            written = self._put(upload, body, version)
            if written:
                return written
            found = self._found(upload)
            if found is None:
                break
            known, version = found
            # The SDK retries a call whose response was lost, and the retry fails because of the first attempt.
            if known == body:
                return version
            # Replaces the report of an earlier upload, whose run may still be active.
            of = orjson.loads(known)["upload"]
            if of == _named(upload) or _is_later(of, upload):
                break
        raise Superseded(f"another run has written the report of {upload.key}")

    def _put(self, upload: Upload, body: bytes, version: str) -> str | None:
        """The new version of the report, or None if the stored version is not `version`."""
        condition: dict[str, Any] = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        self._look(upload)
        try:
            saved = self._client.put_object(
                Bucket=upload.bucket,
                Key=upload.key + REPORT,
                Body=body,
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            if _status(error) == HTTPStatus.PRECONDITION_FAILED:
                return None
            raise
        return saved["ETag"]

    def _found(self, upload: Upload) -> tuple[bytes, str] | None:
        """The report of an upload and its version, or None if there is none."""
        try:
            found = self._client.get_object(Bucket=upload.bucket, Key=upload.key + REPORT)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found["Body"].read(), found["ETag"]

    def _look(self, upload: Upload) -> None:
        try:
            self._client.head_object(Bucket=upload.bucket, Key=upload.key, IfMatch=f'"{upload.etag}"')
        except ClientError as error:
            if _status(error) in _REPLACED:
                raise Superseded(f"{upload.key} was replaced or removed") from error
            raise


def _named(upload: Upload) -> dict[str, Any]:
    return {
        "key": upload.key,
        "etag": upload.etag,
        "size": upload.size,
        "at": clock.rfc3339(upload.at),
    }


def _is_later(named: Mapping[str, Any], upload: Upload) -> bool:
    """Whether the same content was uploaded again later. The ETag of the file detects other content."""
    return bool(named["etag"] == upload.etag) and clock.parse(named["at"]) > upload.at


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
