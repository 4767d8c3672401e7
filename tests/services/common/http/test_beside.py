"""Loops beside an API."""

import os
import signal
import threading

import pytest
from flask import Flask

from services.common.http import beside
from tests.waiting import wait_for


class Loop:
    """A loop that runs until it is stopped, or fails."""

    name = "loop"

    def __init__(self, error: Exception | None = None) -> None:
        self.has_begun, self.has_ended = threading.Event(), threading.Event()
        self._error = error

    def run(self, stop: threading.Event) -> None:
        self.has_begun.set()
        if self._error:
            raise self._error
        stop.wait()
        self.has_ended.set()

    def alive(self) -> bool:
        return True

    def ready(self) -> None:
        pass


def test_given_an_application_with_a_loop_when_its_server_runs_then_the_loop_runs_until_the_server_stops() -> (
    None
):
    app, loop = Flask("test"), Loop()
    beside.add(app, loop)
    assert not loop.has_begun.is_set()

    running = beside.Loops(app)

    assert loop.has_begun.wait(10)
    assert not loop.has_ended.is_set()
    running.stop()
    assert loop.has_ended.is_set()


def test_given_a_loop_that_ends_when_its_server_still_runs_then_the_process_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *sent: signals.append(sent))
    app = Flask("test")
    beside.add(app, Loop(RuntimeError("defect")))

    running = beside.Loops(app)

    wait_for(lambda: signals == [(os.getpid(), signal.SIGTERM)], what="the signal")
    running.stop()
    assert "defect" in capsys.readouterr().out


def test_given_an_application_without_loops_when_its_server_stops_then_nothing_is_awaited() -> None:
    beside.Loops(Flask("test")).stop()
