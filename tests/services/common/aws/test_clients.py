"""The clients of AWS: a rejected value raises the error of the port, and any other failure the error of botocore."""

from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from services.common.aws import clients
from services.common.messaging.permanent import is_permanent
from services.common.runtime.settings import ServiceSettings
from services.common.values.errors import InvalidValue


def refused(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    return ClientError(response, "TransactWriteItems")


def raised_by_put_item(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Exception:
    class Failing:
        class meta:  # noqa: N801 - botocore's name
            method_to_api_mapping: ClassVar = {"put_item": "PutItem"}

        def put_item(self, **_parameters: Any) -> None:
            raise error

    monkeypatch.setattr(clients, "_connect", lambda *_: Failing())
    settings = ServiceSettings(table="t", tasks_queue_url="q", events_topic_arn="a", aws_region="us-east-1")
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the caller inspects it
        clients.client("dynamodb", settings).put_item(TableName="t", Item={})
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        refused("ValidationException"),
        refused("TransactionCanceledException", "None", "ValidationError"),
        ParamValidationError(report="not a string"),
    ],
    ids=str,
)
def test_given_a_value_that_dynamodb_rejects_when_it_is_written_then_a_permanent_error_of_the_port_is_raised(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    found = raised_by_put_item(monkeypatch, error)

    assert isinstance(found, InvalidValue)
    assert is_permanent(found)
    assert found.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        refused("ConditionalCheckFailedException"),
        refused("TransactionCanceledException", "ConditionalCheckFailed", "None"),
        refused("TransactionCanceledException", "ConditionalCheckFailed", "ValidationError"),
        refused("ThrottlingException"),
        ConnectionError("reset"),
    ],
    ids=str,
)
def test_given_any_other_failure_when_an_item_is_written_then_the_error_is_raised_unchanged(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert raised_by_put_item(monkeypatch, error) is error
