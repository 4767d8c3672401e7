"""Server-sent events as bytes."""

from services.storefront.events import event, retry


def test_given_a_message_then_its_fields_end_with_an_empty_line() -> None:
    assert event("moved", version="PAID.3") == b"id: PAID.3\ndata: moved\n\n"


def test_given_an_event_with_a_name_and_no_content_then_browsers_dispatch_it() -> None:
    assert event("", name="current") == b"event: current\ndata: \n\n"


def test_given_several_lines_then_each_is_a_field_of_its_own() -> None:
    assert event("one\ntwo\n\nid: 3") == b"data: one\ndata: two\ndata: \ndata: id: 3\n\n"


def test_given_seconds_then_browsers_connect_again_after_as_many_milliseconds() -> None:
    assert retry(1.5) == b"retry: 1500\n\n"
