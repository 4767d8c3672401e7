"""What holds for every tier."""

import importlib
import signal
import sys
from types import ModuleType

import hypothesis
import pytest

# A shell that starts the tests in the background has them ignore SIGINT, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is a matter of what else the machine does; each test has a deadline of its own.
hypothesis.settings.register_profile(
    "busy",
    parent=hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("busy")


class _LazyGrammar(ModuleType):
    """The grammar of IRIs, which takes over a second to load.

    `jsonschema` imports the grammar at once, and only the schema of a bill of materials uses it.
    """

    def is_valid_syntax(self, rule: str, value: object) -> bool:
        """Load the grammar and ask it."""
        if sys.modules[self.__name__] is self:
            del sys.modules[self.__name__]
        valid: bool = importlib.import_module(self.__name__).is_valid_syntax(rule, value)
        return valid


sys.modules["rfc3987_syntax"] = _LazyGrammar("rfc3987_syntax")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need Helm, which is built first: `make test-fast` leaves them out."""
    for item in items:
        if isinstance(item, pytest.Function) and "helm" in item.fixturenames:
            item.add_marker("helm")
