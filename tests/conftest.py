"""Fixtures and settings of every test tier."""

import importlib
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

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


LONGEST_FILES: Final = (
    *(
        "services/faults/test_faults.py",
        "dev/cloudformation/test_deploy.py",
        "services/faults/test_mutants.py",
    ),
    "services/storefront/test_browser.py",
    *("services/rights/test_rights.py", "services/saga/test_orders.py", "services/saga/test_reconciler.py"),
    *("services/saga/test_workflow.py", "services/common/http/test_slow_clients.py"),
    *("services/functions/test_triggers.py", "services/functions/test_functions.py"),
    *("dev/processes/test_shop_command.py", "services/product/test_import.py"),
    *("integration/faults/test_api_faults.py", "integration/faults/test_leaders.py"),
    *("integration/faults/test_kill.py", "integration/faults/test_outage.py"),
    *("integration/faults/test_model.py", "integration/test_empty_objects.py"),
    *("integration/test_discovery.py", "integration/test_crd_upgrade.py", "integration/test_memory.py"),
    *("integration/faults/test_ownership.py", "integration/test_refusals.py", "integration/test_restart.py"),
    *("integration/test_unions.py", "integration/test_crd_schema.py"),
)
"""The files that take longest, in this order. They start first, so that the processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files, and mark the tests that need Helm, which is built first: `make test-fast` leaves them out."""
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))
    for item in items:
        if isinstance(item, pytest.Function) and "helm" in item.fixturenames:
            item.add_marker("helm")
