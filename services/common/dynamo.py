"""DynamoDB's attribute values from and to plain Python, for texts, whole numbers, booleans, lists and maps.

boto3's own conversion goes through Decimal and knows sets and binaries, which no table here has.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item = dict[str, Any]


def pack(values: Mapping[str, Any]) -> "dict[str, AttributeValueTypeDef]":
    """A map of plain values as DynamoDB takes an item or expression values.

    Raises:
        TypeError: for a value of another type (a float above all).
    """
    return {name: _pack(value) for name, value in values.items()}


def unpack(item: Mapping[str, Any]) -> Item:
    """The reverse of `pack`."""
    return {name: _unpack(value) for name, value in item.items()}


def unchanged_since(version: int) -> dict[str, Any]:
    """The condition of a write that nobody else has come before; version 0 is an item that is not there yet."""
    if version == 0:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": pack({":version": version}),
    }


def is_refused(error: ClientError) -> bool:
    """Whether the write's condition did not hold."""
    return error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


def refusals(error: ClientError) -> list[str]:
    """Why a TransactWriteItems was cancelled: a code per item ("None", "ConditionalCheckFailed", …); [] if it was not."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # untyped in the stubs
    return [reason.get("Code", "None") for reason in reasons]


def is_contended(error: ClientError) -> bool:
    """Whether the write met a transaction on the same item: nothing was written, and the same write may succeed now."""
    code = error.response.get("Error", {}).get("Code")
    return code == "TransactionConflictException" or "TransactionConflict" in refusals(error)


def _pack(value: Any) -> "AttributeValueTypeDef":
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [_pack(item) for item in value]}
        case Mapping():
            return {"M": {name: _pack(item) for name, item in value.items()}}
        case _:
            raise TypeError(f"no DynamoDB attribute is made of a {type(value).__name__}")


def _unpack(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "L":
            return [_unpack(item) for item in content]
        case "M":
            return {name: _unpack(item) for name, item in content.items()}
        case "NULL":
            return None
        case _:
            return content
