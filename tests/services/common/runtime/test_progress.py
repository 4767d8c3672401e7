"""A loop without progress for a minute is reported; a single failing piece of work is not."""

import pytest

from services.common.runtime.progress import NoProgress, Progress


class Seconds:
    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def progress(seconds: Seconds) -> Progress:
    return Progress("a loop", seconds)


def test_given_a_loop_without_work_when_progress_is_checked_then_it_is_healthy(
    progress: Progress, seconds: Seconds
) -> None:
    seconds.passed = 1000

    progress.check()


@pytest.mark.parametrize("pieces", [("",), ("1", "2"), ("1", "1", "2")])
def test_given_a_loop_without_progress_when_a_minute_has_passed_then_the_check_fails_with_the_last_error(
    progress: Progress, seconds: Seconds, pieces: tuple[str, ...]
) -> None:
    for piece in pieces:
        progress.missed(piece, ConnectionError("away"))
    progress.check()

    seconds.passed = 61

    with pytest.raises(NoProgress, match=r"a loop.*61 s.*away"):
        progress.check()


def test_given_a_single_failing_piece_of_work_when_progress_is_checked_then_the_loop_is_ready(
    progress: Progress, seconds: Seconds
) -> None:
    for _ in range(100):
        progress.missed("1", ValueError("bad"))

    seconds.passed = 1000

    progress.check()


def test_given_a_stalled_loop_when_it_makes_progress_again_then_it_is_healthy(
    progress: Progress, seconds: Seconds
) -> None:
    progress.missed("", ConnectionError())
    seconds.passed = 61
    progress.made()

    progress.check()
    progress.missed("", ConnectionError())
    progress.check()
