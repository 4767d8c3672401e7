"""A trace connects what a request causes, whether or not its spans are recorded."""

import timeit
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from services.common.messaging import cause
from services.common.telemetry import propagation, tracing
from tests.services.spans import Recorded, recording

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
XRAY = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=25:abcdef01:0"
ORDER = "0193e2b0-7c7b-7cc3-98c4-dc0c0c07398f"
# A span costs a fifth of it on an idle machine.
SLOWEST_SPAN_WHEN_OFF = 3e-6


def test_given_no_collector_when_work_is_traced_then_its_messages_name_the_trace() -> None:
    with tracing.traced("work", propagation.remote(TRACEPARENT)), tracing.span("step"):
        assert tracing.trace_id() == TRACE
        assert cause.current() == tracing.traceparent() == TRACEPARENT

    assert TRACE not in cause.current()
    assert tracing.trace_id() == ""


def test_given_no_collector_and_no_parent_when_work_is_traced_then_a_trace_begins_that_is_not_sampled() -> (
    None
):
    with tracing.traced("work"):
        began = propagation.remote(cause.current())
        with tracing.traced("inner"):
            inner = propagation.remote(cause.current())

    assert began is not None
    assert began == inner
    assert not began.trace_flags.sampled


def test_given_a_recorded_span_when_it_has_steps_then_they_are_below_it_and_messages_name_it(
    recorded: Recorded,
) -> None:
    with tracing.traced("work", propagation.remote(TRACEPARENT), kind=SpanKind.CONSUMER):
        message = cause.current()
        with tracing.span("step", SpanKind.CLIENT, {"n": 1}):
            request = tracing.traceparent()

    work, step = recorded.named("work"), recorded.named("step")
    assert (work.trace_id, work.parent_id, work.kind) == (TRACE, SPAN, "consumer")
    assert (step.trace_id, step.parent_id, step.kind) == (TRACE, work.span_id, "client")
    assert message.split("-")[2] == work.span_id
    assert request.split("-")[2] == step.span_id
    assert step.attributes == {"n": 1}


def test_given_work_that_is_not_sampled_when_it_has_steps_then_nothing_is_recorded_and_the_trace_continues() -> (
    None
):
    with recording(ALWAYS_OFF) as recorded:
        with tracing.traced("work", propagation.remote(TRACEPARENT)), tracing.span("step"):
            caused = propagation.remote(tracing.traceparent())

        assert recorded.spans == []
    assert caused is not None
    assert f"{caused.trace_id:032x}" == TRACE
    assert not caused.trace_flags.sampled


def test_given_no_work_in_progress_when_a_step_begins_then_it_has_no_span(recorded: Recorded) -> None:
    with tracing.span("poll"):
        pass

    assert recorded.spans == []


def test_given_an_attempt_that_is_not_traced_when_it_has_steps_then_only_its_trace_is_known(
    recorded: Recorded,
) -> None:
    with tracing.untraced(propagation.remote(TRACEPARENT)), tracing.span("step"):
        assert tracing.trace_id() == TRACE

    assert recorded.spans == []


@pytest.mark.parametrize("begin", [tracing.traced, tracing.span])
def test_given_a_step_that_raises_when_it_ends_then_its_type_is_recorded_and_its_text_is_not(
    recorded: Recorded, begin: Callable[[str], object]
) -> None:
    with tracing.traced("work"), pytest.raises(ValueError, match="tok_secret"), begin("step"):  # type: ignore[attr-defined]  # both are context managers
        raise ValueError("tok_secret")

    step = recorded.named("step")
    assert step.failed
    assert step.attributes == {"error.type": "ValueError"}


@pytest.mark.parametrize("text", ["4111111111111111", "ada@example.com", ORDER + "x", ""])
def test_given_a_text_in_place_of_an_order_id_when_it_is_noted_then_it_is_left_out(
    recorded: Recorded, text: str
) -> None:
    with tracing.traced("work", attributes=tracing.of_order(text)):
        tracing.note_order(text)

    assert recorded.named("work").attributes == {}


def test_given_an_order_id_when_it_is_noted_then_the_span_has_it(recorded: Recorded) -> None:
    with tracing.traced("work"):
        tracing.note_order(ORDER)

    assert recorded.named("work").attributes == {tracing.ORDER_ID: ORDER}


def test_given_headers_of_both_formats_in_one_trace_when_they_are_read_then_the_span_of_aws_is_the_parent() -> (
    None
):
    between = propagation.remote(TRACEPARENT, XRAY)

    assert between is not None
    assert (f"{between.trace_id:032x}", f"{between.span_id:016x}") == (TRACE, "53995c3f42cd8ad8")
    assert propagation.remote(None, XRAY) == between
    assert propagation.remote(xray=propagation.xray_header(between)) == between


def test_given_headers_of_two_traces_when_they_are_read_then_that_of_the_w3c_is_the_parent() -> None:
    other = f"00-{'1' * 32}-{'2' * 16}-01"

    assert propagation.remote(other, XRAY) == propagation.remote(other)


@given(
    st.text()
    | st.none()
    | st.integers()
    | st.sampled_from(
        [f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", TRACEPARENT + "-x", "Root=;Parent"]
    )
)
def test_given_an_invalid_header_when_it_is_read_then_there_is_no_parent(value: object) -> None:
    assert propagation.remote(value) is None
    assert propagation.remote(xray=value) is None


def test_given_no_collector_when_a_step_begins_and_ends_then_it_costs_at_most_three_microseconds() -> None:
    def step() -> None:
        with tracing.span("step", SpanKind.CLIENT):
            pass

    with tracing.traced("work"):
        assert min(timeit.repeat(step, number=1000, repeat=20)) / 1000 < SLOWEST_SPAN_WHEN_OFF
