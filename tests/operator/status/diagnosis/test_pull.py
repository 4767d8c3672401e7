"""The cause of a failed image pull."""

import pytest

from shop_operator.status.diagnosis import (
    pull_failure,
)
from tests.operator.status.diagnosis.causes import said

PULL = 'failed to pull and unpack image "r.test/web:2": failed to resolve reference "r.test/web:2": '


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            f'{PULL}failed to do request: Head "https://r.test/v2/": dial tcp: lookup r.test on 10.0.0.1:53: no such host',
            "no such host: r.test",
        ),
        (f"{PULL}r.test/web:2: not found", "not found in the registry"),
        (f"{PULL}dial tcp 10.0.0.9:443: connect: connection refused", "connection refused by 10.0.0.9:443"),
        (f"{PULL}pull access denied, repository does not exist", "access denied"),
        (f"{PULL}unexpected status from HEAD request: 403 Forbidden", "access denied"),
        (
            f"{PULL}tls: failed to verify: x509: unknown authority",
            "the certificate of the registry is not trusted",
        ),
        (f"{PULL}no match for platform in manifest: not found", "the image has no variant"),
        (f"{PULL}something else", "something else"),
        (f'Back-off pulling image "r.test/web:2": ErrImagePull: {PULL}r.test/web:2: not found', "not found"),
    ],
)
def test_given_a_failed_image_pull_then_the_message_begins_with_its_cause(text: str, cause: str) -> None:
    found = said({"state": {"waiting": {"reason": "ErrImagePull", "message": text}}})

    assert found.message.startswith(f"container app: image web:2 cannot be pulled: {cause}")
    assert len(found.message) < 700


def test_given_a_pull_that_only_backs_off_then_its_cause_is_empty() -> None:
    assert pull_failure('Back-off pulling image "web:2"') == ""
