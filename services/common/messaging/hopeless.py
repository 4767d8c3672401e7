"""Which failures no further try can help: a message that breaks its contract, a row that cannot be read, a defect.

They say nothing of what the process needs. What waits for an outside service, or for a table, is none of them.
"""

from botocore.exceptions import ClientError, ParamValidationError

from services.common.aws import dynamo
from services.common.values.errors import NotFound, Unrecoverable

_HOPELESS = (
    Unrecoverable,
    # Tables are read consistently, and what a message is about is there before the message.
    NotFound,
    # A value that AWS cannot take, found by the SDK.
    ParamValidationError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def is_hopeless(error: Exception) -> bool:
    """Whether the same work fails the same way at every try."""
    if isinstance(error, ClientError):
        # A value that AWS cannot take: too long for a key, for one.
        code = error.response.get("Error", {}).get("Code")
        return code == "ValidationException" or "ValidationError" in dynamo.refusals(error)
    return isinstance(error, _HOPELESS)
