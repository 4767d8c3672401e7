"""docs/how-to/break-the-shop.md: its table is that of the page of faults, and its limit is that of the workflow."""

from services.storefront.experiments import experiments
from shopdev.checkout import ROOT
from shopdev.cloudformation import stacks

PAGE = (ROOT / "docs/how-to/break-the-shop.md").read_text(encoding="utf-8")


def test_given_the_page_about_faults_then_its_table_is_that_of_the_switchboard() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]

    assert rows == [f"| {each.name} | {each.does} | {each.shows} | {each.heals} |" for each in experiments()]


def test_given_the_page_about_faults_then_it_names_how_long_a_payment_may_be_away() -> None:
    timeout = stacks.declared("saga")["TaskTimeoutSeconds"]["Default"]

    assert timeout == 5 * 60
    assert "longer than about five minutes" in PAGE
