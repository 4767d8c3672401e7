"""The end of a container's log."""

import pytest

from shop_operator.status.diagnosis import (
    last_line,
)


@pytest.mark.parametrize(
    ("log", "words"),
    [("", ""), ("\n\n", ""), ("a\n  b  \n\n", "b"), ("x" * 400, "x" * 299 + "…"), ("a\tb  c", "a b c")],
)
def test_the_last_line_of_a_log_is_one_short_line(log: str, words: str) -> None:
    assert last_line(log) == words


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("unable to retrieve container logs for containerd://2f59", ""),
        ('failed to try resolving symlinks in path "/var/log/pods/x"', ""),
        ("a\nb\n", "b"),
    ],
)
def test_an_error_of_the_kubelet_is_not_a_log(log: str, line: str) -> None:
    assert last_line(log) == line
