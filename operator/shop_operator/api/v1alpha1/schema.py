"""The mechanism of the API types: the base of every model, patterns and CEL rules with their messages, and the extensions of a CRD's schema."""

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
    """A pattern of the schema as Python has it: Go and JavaScript name a group in another way."""
    return pattern.replace("(?<", "(?P<")


def matching(value: str, pattern: str) -> str:
    """The CEL expression that a value as a whole matches a regular expression, which has no double quotes."""
    # A group only where the anchors need one: the API server estimates the cost by the length of the pattern.
    whole = f"({pattern})" if "|" in pattern else pattern
    return f'{value}.matches(r"^{whole}$")'


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules with the sentences that a user reads when they do not hold."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


@dataclass(frozen=True)
class Form:
    """What a text must look like; an annotation of its type.

    It is a CEL rule, since the API server answers a pattern with nothing but the pattern, and does not evaluate any rule then.

    Attributes:
        pattern: the regular expression that a whole text matches, in the syntax that RE2 and Python have in common.
        sentence: what a user reads of another text.
        rule: the same in CEL, where the pattern costs too much.
    """

    pattern: str
    sentence: str
    rule: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The same schema with the check after it."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The same JSON schema with the rule in it."""
        made = handler(schema)
        (rule,) = rules((self._rule, self.sentence))["x-kubernetes-validations"]
        return {**made, "x-kubernetes-validations": [*made.get("x-kubernetes-validations", ()), rule]}

    @property
    def _rule(self) -> str:
        return self.rule or matching("self", self.pattern)

    def _holds(self, value: Any) -> bool:
        return bool(re.fullmatch(self.pattern, value, re.ASCII))

    def _checked(self, value: Any) -> Any:
        if not self._holds(value):
            raise ValueError(self.sentence)
        return value


class FormOfKeys(Form):
    """What every key of a map must look like."""

    @property
    def _rule(self) -> str:
        return f"self.all(k, size(k) <= {LONGEST_KEY} && {matching('k', self.pattern)})"

    def _holds(self, value: Any) -> bool:
        return all(len(key) <= LONGEST_KEY and super(FormOfKeys, self)._holds(key) for key in value)


class FormOfMany(Form):
    """One of texts of which there may be so many that a rule for each exceeds the CEL budget of the API server.

    Estimated for one rule, of which the budget is 1: 1.4 for ipBlock.except, 1.5 for each list of a header modifier, 6 for keys
    and 13.7 for values of matchExpressions. Smaller limits on the lists would refuse what is accepted today.

    It is a pattern, and the beginning of the sentence is the name of a group in it, which a user reads of the refusal.
    """

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The same JSON schema with the pattern in it."""
        return {**handler(schema), "pattern": self.named}

    @property
    def named(self) -> str:
        """The pattern of the schema."""
        name = re.sub(r"\W+", "_", self.sentence.partition(":")[0])
        return f"^(?<{name}>{self.pattern})$"


def distinct(*keys: str) -> AfterValidator:
    """No two items alike in these fields, as the API server holds it for the list types map and set."""

    def check(items: list[Any]) -> list[Any]:
        counted = Counter(tuple(getattr(item, key) for key in keys) or (item,) for item in items)
        identity, count = counted.most_common(1)[0] if counted else ((), 0)
        if count > 1:
            raise ValueError(f"Duplicate value: {' '.join(identity)} occurs {count} times")
        return items

    return AfterValidator(check)


def int_or_string(**bounds: Any) -> WithJsonSchema:
    """A field that is a number or text, as Kubernetes has them."""
    return WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **bounds,
        }
    )


def map_list(*keys: str) -> dict[str, Any]:
    """A list whose items are told apart by these fields, for server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}


def how_many(fields: Iterable[str]) -> str:
    """The CEL expression for how many of these are set; `count_set` is the same in Python."""
    there = ", ".join(f"has(self.{to_camel(name)})" for name in fields)
    return f"[{there}].filter(x, x).size()"


def count_set(model: BaseModel, fields: Iterable[str]) -> int:
    """How many of these fields are set."""
    return sum(getattr(model, name) is not None for name in fields)


class Model(BaseModel):
    """What every part of the API has in common: camelCase, closed, immutable, and no type taken for another."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it, without what was not set."""
        return self.model_dump(by_alias=True, exclude_none=True)
