"""What the fields of the API are made of: the base of every model, scalar types, and the words of a CRD's schema."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

LABEL_LENGTH: Final = 63
LONGEST_KEY: Final = 317
LAST_PORT: Final = 65535
# A ShopService's name is also its Service's, which becomes part of DNS names.
# Short, since the API server estimates the cost of a rule by the length of its pattern.
LABEL: Final = r"[a-z][a-z0-9]*(-+[a-z0-9]+)*"
LABEL_KEY: Final = (
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
SUBDOMAIN: Final = r"[a-z0-9]+((-+|\.)[a-z0-9]+)*"
# As Kubernetes takes them, except negative ones. A field without a type has no CEL rule, so the group's name is what a user
# reads of the refusal.
_QUANTITY: Final = (
    r"^(?<quantity_such_as_100m_or_0_5_or_128Mi>\+?([0-9]{1,19}(\.[0-9]{0,18})?|\.[0-9]{1,18})"
    r"([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,2})?)$"
)
_LARGEST_NUMBER: Final = 9 * 10**18
NO_SLASH: Final = "path must begin with /"
NO_QUANTITY: Final = 'must be a quantity such as 100m, "0.5" or 128Mi'
NO_KEY: Final = "a key must be that of a label or annotation, such as team or example.com/team"
NO_PORT: Final = "must be a number from 1 to 65535, or http for the container's own port"


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


def _quantity(value: Any) -> int | str:
    """A number without quotes becomes the text that Kubernetes would make of it, unless it is a whole one."""
    if isinstance(value, str) and re.fullmatch(python_pattern(_QUANTITY), value, re.ASCII):
        return value
    if type(value) in {int, float} and 0 <= value <= _LARGEST_NUMBER:
        return int(value) if value == int(value) else str(value)
    raise ValueError(NO_QUANTITY)


def _port_reference(value: Any) -> int | str:
    if isinstance(value, str) and value == "http":
        return value
    if type(value) is int and 1 <= value <= LAST_PORT:
        return value
    raise ValueError(NO_PORT)


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


# x-kubernetes-int-or-string refuses 0.5. A field without a type takes every number; the bounds on items and properties, which
# nothing can meet, keep lists and objects out.
QUANTITY_SCHEMA: Final[dict[str, Any]] = {
    "x-kubernetes-preserve-unknown-fields": True,
    "pattern": _QUANTITY,
    "minimum": 0,
    "maximum": _LARGEST_NUMBER,
    "minItems": 1,
    "maxItems": 0,
    "minProperties": 1,
    "maxProperties": 0,
    "not": {"enum": [True, False]},
}
Quantity = Annotated[int | str, PlainValidator(_quantity), WithJsonSchema(QUANTITY_SCHEMA)]
PortReference = Annotated[
    int | str,
    PlainValidator(_port_reference),
    int_or_string(
        **rules((f"type(self) == int || {matching('self', 'http')}", NO_PORT)),
        # A text without a bound would cost as much as the largest request.
        maxLength=LABEL_LENGTH,
        minimum=1,
        maximum=LAST_PORT,
    ),
]
Divisor = Literal["1", "1m", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"]
ABSOLUTE: Final = Form(r"/[\s\S]*", NO_SLASH)
DNS_LABEL: Final = Form(
    LABEL,
    "must consist of lowercase letters, digits and '-', begin with a letter and end with a letter or digit, such as order-api",
)
HOSTNAME: Final = Form(
    SUBDOMAIN, "must be a lowercase hostname without scheme and port, such as shop.example.com"
)
HEADER: Final = Form(
    r"[-A-Za-z0-9]+", "must be the name of an HTTP header: letters, digits and '-', such as X-Request-Id"
)

_LABEL_VALUE: Final = (
    r"([A-Za-z0-9]+([-_.]+[A-Za-z0-9]+)*)?",
    "must be the value of a label: letters, digits, '-', '_' and '.', with a letter or digit first and last",
)

Text = Annotated[str, StringConstraints(max_length=4096)]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), Form(*_LABEL_VALUE)]
SelectedValue = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), FormOfMany(*_LABEL_VALUE)]
SelectedKey = Annotated[
    str,
    StringConstraints(max_length=LONGEST_KEY),
    FormOfMany(LABEL_KEY, "must be the key of a label such as team or example.com/team"),
]
KEYS: Final = FormOfKeys(LABEL_KEY, NO_KEY)
Labels = Annotated[dict[str, LabelValue], Field(max_length=32), KEYS]
Annotations = Annotated[dict[str, Text], Field(max_length=32), KEYS]
SelectedLabels = Annotated[dict[str, LabelValue], Field(max_length=32)]
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Form(
        SUBDOMAIN,
        "must be the name of an object: lowercase letters, digits, '-' and '.', with a letter or digit first and last",
    ),
]
Namespace = Annotated[
    str,
    StringConstraints(max_length=LABEL_LENGTH),
    Form(
        r"[a-z0-9]+(-+[a-z0-9]+)*",
        "must be the name of a namespace: lowercase letters, digits and '-', with a letter or digit first and last",
    ),
]
ServiceName = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), DNS_LABEL]
WorkerName = Annotated[str, StringConstraints(max_length=40), DNS_LABEL]
Hostname = Annotated[
    str,
    StringConstraints(max_length=253),
    Form(
        rf"(\*\.)?{SUBDOMAIN}",
        "must be a lowercase hostname without scheme and port, such as shop.example.com or *.example.com",
    ),
]
HeaderName = Annotated[str, StringConstraints(max_length=256), HEADER]
VariableName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Form(
        r"[ -<>-~]+",
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
]
DataKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Form(
        r"\.?[-\w][-.\w]*",
        "must be a key of a ConfigMap or Secret: letters, digits, '-', '_' and '.', such as app.yaml",
    ),
]
Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
Count = Annotated[int, Field(ge=0, le=1000)]
Seconds = Annotated[int, Field(ge=0, le=3600)]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


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
