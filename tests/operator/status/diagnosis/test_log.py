"""The end of a container's log."""

import pytest

from shop_operator.status.diagnosis import (
    last_line,
)


@pytest.mark.parametrize(
    ("log", "words"),
    [("", ""), ("\n\n", ""), ("a\n  b  \n\n", "b"), ("x" * 400, "x" * 299 + "…"), ("a\tb  c", "a b c")],
)
def test_given_a_log_then_its_last_line_is_one_line_of_bounded_length(log: str, words: str) -> None:
    assert last_line(log) == words


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("unable to retrieve container logs for containerd://2f59", ""),
        ('failed to try resolving symlinks in path "/var/log/pods/x"', ""),
        ("a\nb\n", "b"),
    ],
)
def test_given_a_kubelet_error_in_place_of_a_log_then_the_last_line_is_empty(log: str, line: str) -> None:
    assert last_line(log) == line
