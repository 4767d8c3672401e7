"""Scalar types that several fields share: names, labels, ports and durations."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from shop_operator.api.v1alpha1.schema import Format, KeyFormat

LABEL_LENGTH: Final = 63
LAST_PORT: Final = 65535
# The name of a ShopService is also the name of its Service, and thus part of DNS names.
# Short, since the API server estimates the cost of a rule from the length of its pattern.
LABEL: Final = r"[a-z][a-z0-9]*(-+[a-z0-9]+)*"
LABEL_KEY: Final = (
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
SUBDOMAIN: Final = r"[a-z0-9]+((-+|\.)[a-z0-9]+)*"

NOT_ABSOLUTE: Final = "path must begin with /"
INVALID_KEY: Final = (
    "every key must be a valid key of a label or annotation, such as team or example.com/team"
)

ABSOLUTE: Final = Format(r"/[\s\S]*", NOT_ABSOLUTE)
DNS_LABEL: Final = Format(
    LABEL,
    "must consist of lowercase letters, digits and '-', begin with a letter and end with a letter or digit, such as order-api",
)
LABEL_VALUE: Final = (
    r"([A-Za-z0-9]+([-_.]+[A-Za-z0-9]+)*)?",
    "must be the value of a label: letters, digits, '-', '_' and '.', with a letter or digit first and last",
)

Text = Annotated[str, StringConstraints(max_length=4096)]
LabelValue = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), Format(*LABEL_VALUE)]
KEYS: Final = KeyFormat(LABEL_KEY, INVALID_KEY)
Labels = Annotated[dict[str, LabelValue], Field(max_length=32), KEYS]
Annotations = Annotated[dict[str, Text], Field(max_length=32), KEYS]
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Format(
        SUBDOMAIN,
        "must be the name of an object: lowercase letters, digits, '-' and '.', with a letter or digit first and last",
    ),
]
Namespace = Annotated[
    str,
    StringConstraints(max_length=LABEL_LENGTH),
    Format(
        r"[a-z0-9]+(-+[a-z0-9]+)*",
        "must be the name of a namespace: lowercase letters, digits and '-', with a letter or digit first and last",
    ),
]
ServiceName = Annotated[str, StringConstraints(max_length=LABEL_LENGTH), DNS_LABEL]
VariableName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Format(
        r"[ -<>-~]+",
        "must be the name of an environment variable: printable ASCII characters except =, such as LOG_LEVEL",
    ),
]
Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
Count = Annotated[int, Field(ge=0, le=1000)]
Seconds = Annotated[int, Field(ge=0, le=3600)]
