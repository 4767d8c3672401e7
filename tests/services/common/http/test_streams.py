"""The rules of responses that stay open: framing, duration, and their number."""

import pytest

from services.common.http.streams import (
    END,
    HEARTBEAT_SECONDS,
    LONGEST_SECONDS,
    Stream,
    Streams,
    chunk,
    offered,
)


@pytest.fixture
def streams() -> Streams:
    return Streams(2)


@pytest.fixture
def stream(streams: Streams) -> Stream:
    opened = streams.open()
    assert opened is not None
    return opened.last(b":\n\n", 60.0, now=0.0)


def test_given_data_then_a_chunk_contains_its_size_in_hexadecimal_digits() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert chunk(b"") == b"", "an empty chunk would end the body"


def test_given_an_open_stream_when_written_and_ended_then_all_bytes_are_taken_in_order(
    stream: Stream,
) -> None:
    stream.write(b"one")
    stream.write(b"two")
    first = stream.take()
    stream.write(b"three")
    stream.end()
    stream.write(b"late")

    assert first == (b"3\r\none\r\n3\r\ntwo\r\n", False)
    assert stream.take() == (b"5\r\nthree\r\n" + END, True)
    assert stream.take() == (b"", True)
    assert not stream.is_open


def test_given_a_stream_when_it_changes_then_its_server_is_told_until_the_connection_ends(
    stream: Stream,
) -> None:
    told: list[str] = []
    stream.write(b"before")
    stream.begin(lambda: told.append("changed"))
    stream.write(b"one")
    stream.close()
    stream.write(b"two")
    stream.end()

    assert told == ["changed"]
    assert stream.take() == (b"", False)


def test_given_a_silent_stream_then_a_heartbeat_is_due_every_15_seconds_until_its_duration_is_over(
    stream: Stream,
) -> None:
    written = []
    for now in (1.0, HEARTBEAT_SECONDS, HEARTBEAT_SECONDS + 1, 2 * HEARTBEAT_SECONDS, 60.0):
        stream.age(now)
        written.append(stream.take())

    beat = chunk(b":\n\n")
    assert written == [(b"", False), (beat, False), (b"", False), (beat, False), (END, True)]


def test_given_a_longer_duration_than_permitted_then_the_stream_ends_after_the_longest_one(
    streams: Streams,
) -> None:
    opened = streams.open()
    assert opened is not None
    opened.last(b"", 10 * LONGEST_SECONDS, now=0.0)

    opened.age(LONGEST_SECONDS)

    assert not opened.is_open


def test_given_all_streams_when_one_is_closed_then_one_more_can_be_opened(
    streams: Streams, stream: Stream
) -> None:
    assert streams.open() is not None
    assert streams.open() is None

    stream.close()
    stream.close()

    assert streams.open() is not None
    assert streams.open() is None


def test_given_another_web_server_then_it_offers_no_stream() -> None:
    assert offered({}) is None
    assert offered({"gunicorn.socket": object()}) is None
