"""Invalid monitoring."""

from tests.operator.refusals.refusal import Refusal

REFUSALS = (
    Refusal(
        "a scrape interval that is not a duration",
        {"monitoring": {"interval": "often"}},
        "must be a duration in seconds or minutes, such as 30s or 1m",
    ),
    Refusal("a metrics path with a space", {"monitoring": {"path": "/a b"}}, "path must not contain spaces"),
)
