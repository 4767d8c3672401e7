"""Messages for a spec that the models reject: the path of every invalid field, and the rule that it violates."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

UNKNOWN: Final = "unknown field"
_WORDS: Final[Mapping[str, str]] = {
    "extra_forbidden": UNKNOWN,
    "missing": "is required",
    "string_type": "must be a string: write numbers, true and false in quotes",
    "int_type": "must be a whole number without quotes",
    "bool_type": "must be true or false without quotes",
    "list_type": "must be a list: begin each item with a hyphen",
    "dict_type": "must be a map of names and values",
    "model_type": "must be a map of fields",
}
# The start of a message of pydantic, such as "Input should be less than 10".
_SUBJECT: Final = re.compile(r"^(Input|String|List|Dictionary) should")
VARIABLES_NOT_A_LIST: Final = "must be a list, such as [{name: GREETING, value: hello}]"


def path_of(location: Iterable[int | str]) -> str:
    """The path of a field in a message, such as `spec.workers[0].name`."""
    return "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def problems(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """The location of every problem below the spec with its message, without a full stop."""
    return [(each["loc"], _words(each)) for each in error.errors(include_url=False, include_input=False)]


def _words(problem: ErrorDetails) -> str:
    if problem["type"] == "list_type" and problem["loc"][-1] == "env":
        return VARIABLES_NOT_A_LIST
    message = problem["msg"].removeprefix("Value error, ")
    return _WORDS.get(problem["type"], _SUBJECT.sub("must", message))


def messages(error: ValidationError) -> str:
    """All problems of a spec, a sentence for each with the path of its field."""
    return " ".join(f"{path_of(location)}: {words}." for location, words in problems(error))
