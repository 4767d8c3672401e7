import io
import json

from shopdev.processes.log import Log


def shown(*lines: tuple[str, str], color: bool = False) -> str:
    stream = io.StringIO()
    log = Log(stream, color=color)
    for name, text in lines:
        log.line(name, text)
    return stream.getvalue()


def test_given_a_json_line_when_shown_then_it_is_readable() -> None:
    record = {
        "event": "task handled",
        "level": "info",
        "timestamp": "2026-01-01T00:00:00Z",
        "order_id": "o-1",
    }
    assert shown(("order-consumer", json.dumps(record))) == "order-consumer    task handled order_id=o-1\n"


def test_given_any_other_line_when_shown_then_it_is_unchanged() -> None:
    assert shown(("edge", "Traceback: {")) == "edge              Traceback: {\n"
    assert shown(("edge", '{"no": "event"}')) == 'edge              {"no": "event"}\n'


def test_given_two_processes_when_shown_in_color_then_they_have_different_colors() -> None:
    first, second, third = shown(("a", "x"), ("b", "x"), ("a", "x"), color=True).splitlines()
    assert first == third
    assert first.split("m", 1)[0] != second.split("m", 1)[0]
