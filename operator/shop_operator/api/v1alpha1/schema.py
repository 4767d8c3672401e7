"""The building blocks of the API types: the base of all models, patterns and CEL rules with messages, and extensions of a CRD's schema.

The scalar types that several topics share are in `scalars`; the conversion to a structural schema is in `structural`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

LONGEST_KEY: Final = 317


def python_pattern(pattern: str) -> str:
    """A pattern of the schema in the syntax of Python, which names groups differently than Go and JavaScript."""
    return pattern.replace("(?<", "(?P<")


def matching(value: str, pattern: str) -> str:
    """The CEL expression that a whole value matches a regular expression, which must not contain double quotes."""
    # A group only if the anchors require it: the API server estimates the cost of a rule from the length of its pattern.
    whole = f"({pattern})" if "|" in pattern else pattern
    return f'{value}.matches(r"^{whole}$")'


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules with the messages for objects that violate them."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


@dataclass(frozen=True)
class Format:
    """The format of a string, as an annotation of its type.

    It becomes a CEL rule and not a pattern: for a pattern, the API server's message is the pattern itself, and it evaluates no
    rules.

    Attributes:
        pattern: regular expression for the whole string, in the common syntax of RE2 and Python.
        message: message for a string that does not match.
        rule: the same rule in CEL, if the pattern would cost too much.
    """

    pattern: str
    message: str
    rule: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema with the check after it."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The JSON schema with the rule."""
        made = handler(schema)
        (rule,) = rules((self._rule, self.message))["x-kubernetes-validations"]
        return {**made, "x-kubernetes-validations": [*made.get("x-kubernetes-validations", ()), rule]}

    @property
    def _rule(self) -> str:
        return self.rule or matching("self", self.pattern)

    def _matches(self, value: Any) -> bool:
        return bool(re.fullmatch(self.pattern, value, re.ASCII))

    def _checked(self, value: Any) -> Any:
        if not self._matches(value):
            raise ValueError(self.message)
        return value


class KeyFormat(Format):
    """The format of all keys of a map."""

    @property
    def _rule(self) -> str:
        return f"self.all(k, size(k) <= {LONGEST_KEY} && {matching('k', self.pattern)})"

    def _matches(self, value: Any) -> bool:
        return all(len(key) <= LONGEST_KEY and super(KeyFormat, self)._matches(key) for key in value)


class ItemFormat(Format):
    """The format of a string in a list that is too long for a CEL rule per item, given the cost budget of the API server.

    Estimated cost in units of the budget for one rule: 1.4 for ipBlock.except, 1.5 for a list of a header modifier, 6 for keys and
    13.7 for values of matchExpressions. Smaller limits on the lists would reject specs that are valid today.

    It becomes a pattern with a named group. The name is the start of the message, since the API server quotes the pattern.
    """

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The JSON schema with the pattern."""
        return {**handler(schema), "pattern": self.named}

    @property
    def named(self) -> str:
        """The pattern of the schema."""
        name = re.sub(r"\W+", "_", self.message.partition(":")[0])
        return f"^(?<{name}>{self.pattern})$"


def distinct(*keys: str) -> AfterValidator:
    """A check that no two items are equal in these fields, like that of the API server for the list types map and set."""

    def check(items: list[Any]) -> list[Any]:
        counted = Counter(tuple(getattr(item, key) for key in keys) or (item,) for item in items)
        identity, count = counted.most_common(1)[0] if counted else ((), 0)
        if count > 1:
            raise ValueError(f"Duplicate value: {' '.join(identity)} occurs {count} times")
        return items

    return AfterValidator(check)


def int_or_string(**bounds: Any) -> WithJsonSchema:
    """The schema of an integer or string, as in the Kubernetes API."""
    return WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **bounds,
        }
    )


def map_list(*keys: str) -> dict[str, Any]:
    """The schema extension of a list whose items are identified by these fields in server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}


def count_set_in_cel(fields: Iterable[str]) -> str:
    """The CEL expression for the number of these fields that are set; `count_set` is the same in Python."""
    there = ", ".join(f"has(self.{to_camel(name)})" for name in fields)
    return f"[{there}].filter(x, x).size()"


def count_set(model: BaseModel, fields: Iterable[str]) -> int:
    """The number of these fields that are set."""
    return sum(getattr(model, name) is not None for name in fields)


class Model(BaseModel):
    """The base of all API types: camelCase, closed, immutable, and without type conversion."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, with the names of the API."""
        return self.model_dump(by_alias=True, exclude_none=True)
