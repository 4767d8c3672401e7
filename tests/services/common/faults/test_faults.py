"""The faults as a process reads them: in its memory, by OpenFeature, and not at all without a switchboard."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.common.aws import faults
from services.common.faults.flags import FlaggedFaults
from services.common.faults.late import LATENESS, LatePublisher
from services.common.faults.remembered import REMEMBERED_SECONDS, Remembered
from services.common.faults.switches import Fault
from services.common.messaging.events import Event, NotPublished
from services.common.runtime.settings import AwsSettings
from shopdev.checkout import ROOT
from tests.services.memory import MemorySwitchboard

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = Event("shop.thing.happened.v1", "/things", "thing-1", {}, time=NOW)


class Topic:
    """As `events.Publisher`."""

    def __init__(self) -> None:
        self.published: list[Event] = []

    def publish(self, events: Sequence[Event]) -> None:
        self.published += events


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_given_a_fault_when_it_is_switched_then_its_flag_of_openfeature_changes_and_no_other() -> None:
    switchboard = MemorySwitchboard(Fault.PAYMENT_DECLINED)

    flagged = FlaggedFaults(switchboard, "one fault")

    assert [fault for fault in Fault if flagged.is_on(fault)] == [Fault.PAYMENT_DECLINED]


def test_given_a_switchboard_when_it_is_asked_often_then_it_is_read_once_a_second() -> None:
    switchboard, seconds = MemorySwitchboard(), Seconds()
    remembered = Remembered(switchboard, seconds)
    remembered.on()
    switchboard.turn_on(Fault.EVENTS_LATE)

    assert remembered.on() == frozenset()
    assert switchboard.reads == 1
    seconds.now += REMEMBERED_SECONDS
    assert remembered.on() == {Fault.EVENTS_LATE}


def test_given_a_switchboard_that_does_not_respond_then_no_fault_is_on_and_the_next_attempt_is_a_second_later() -> (
    None
):
    switchboard, seconds = MemorySwitchboard(Fault.PAYMENT_AWAY), Seconds()
    remembered = Remembered(switchboard, seconds)
    switchboard.down = True
    assert remembered.on() == frozenset()

    switchboard.down = False

    assert remembered.on() == frozenset()
    seconds.now += REMEMBERED_SECONDS
    assert remembered.on() == {Fault.PAYMENT_AWAY}


def test_given_late_events_when_an_event_is_new_then_it_stays_in_the_outbox_until_it_is_old_enough() -> None:
    topic, now = Topic(), NOW
    late = LatePublisher(topic, MemorySwitchboard(Fault.EVENTS_LATE), lambda: now)

    with pytest.raises(NotPublished, match="events-late is on"):
        late.publish([EVENT])
    now += LATENESS
    late.publish([EVENT])

    assert topic.published == [EVENT]


def test_given_no_late_events_when_an_event_is_new_then_it_is_published() -> None:
    topic = Topic()

    LatePublisher(topic, MemorySwitchboard(Fault.PAYMENT_AWAY), lambda: NOW + timedelta(seconds=1)).publish(
        [EVENT]
    )

    assert topic.published == [EVENT]


def test_given_no_switchboard_in_the_settings_then_the_process_has_no_faults() -> None:
    settings = AwsSettings(aws_region="eu-central-1", aws_endpoint_url=None, faults_table=None)

    assert faults.switchboard(settings) is None
    assert faults.faults(settings) is None


def test_given_no_switchboard_then_the_processes_do_not_import_openfeature() -> None:
    modules = ("payment.consumer", "shipping.consumer", "order.relay", "order.consumer", "storefront.app")
    imports = "; ".join(f"import services.{module}" for module in modules)

    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; import sys; print('openfeature' in sys.modules)"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux only")
def test_given_a_switchboard_then_it_adds_less_than_30_mb_to_the_ten_processes_of_the_shop() -> None:
    program = """
import os
from pathlib import Path
import services.payment.consumer

def used():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = used()
from services.common.faults.flags import FlaggedFaults
from services.common.faults.switches import Fault

class Switchboard:
    def on(self):
        return frozenset(Fault)

faults = FlaggedFaults(Switchboard())
assert all(faults.is_on(fault) for fault in Fault for _ in range(1000))
print(used() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert 10 * int(done.stdout) < 30_000_000
