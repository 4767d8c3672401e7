"""The processes of `make dev` that a change restarts: those that use the file, and no others."""

from pathlib import Path

import pytest

from shopdev.checkout import ROOT
from shopdev.processes import imports
from shopdev.processes.shop import entries_of

PROGRAMS = entries_of()
EVERYTHING = sorted(PROGRAMS)
CONSUMERS = ["order-consumer", "payment-consumer", "product-consumer", "shipping-consumer"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("services/order/api.py", ["order"]),
        ("services/order/related_resources.py", ["order"]),
        ("services/order/consumer.py", ["order-consumer"]),
        ("services/order/relay.py", ["order-relay"]),
        ("services/order/domain.py", ["order", "order-consumer", "order-relay"]),
        ("services/payment/__init__.py", ["payment", "payment-consumer"]),
        ("services/payment/provider.py", ["payment", "payment-consumer"]),
        ("services/common/http/web.py", ["order", "payment", "product", "shipping", "storefront"]),
        (
            "services/common/http/gunicorn_worker.py",
            ["order", "payment", "product", "shipping", "storefront"],
        ),
        ("services/common/messaging/consumer.py", CONSUMERS),
        ("services/common/values/clock.py", EVERYTHING),
        ("services/order/contracts/CancelOrder.json", []),
        ("services/sales/function.py", []),
        ("services/storefront/pages/basket.py", ["storefront"]),
        ("services/storefront/templates/basket.html", ["storefront"]),
        ("services/storefront/translations/de.po", ["storefront"]),
        ("services/storefront/static/shop.css", ["storefront"]),
        ("services/storefront/README.md", []),
    ],
)
def test_given_a_file_when_it_changes_then_the_processes_that_use_it_are_affected(
    file: str, expected: list[str]
) -> None:
    assert sorted(imports.affected(ROOT, PROGRAMS, {Path(file)})) == expected


def test_given_an_invalid_source_when_it_changes_then_its_processes_are_affected(
    tmp_path: Path,
) -> None:
    package = tmp_path / "services" / "one"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "app.py").write_text("from services.one import domain\n")
    (package / "domain.py").write_text("def broken(:\n")

    processes = {"one": (("services.one.app",), True)}

    assert imports.affected(tmp_path, processes, {Path("services/one/domain.py")}) == ["one"]
