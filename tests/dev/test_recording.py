"""The output of a command becomes a picture that plays, and that shows the end where nothing moves."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from shopdev.recording import cli, drawing
from shopdev.recording.drawing import Line

SVG = "{http://www.w3.org/2000/svg}"


def elements(document: str, name: str) -> list[ET.Element]:
    return list(ET.fromstring(document).iter(f"{SVG}{name}"))  # noqa: S314 - the document of the test


def shown(document: str) -> list[str]:
    return ["".join(each.itertext()) for each in elements(document, "text")]


def test_given_a_long_pause_when_recorded_then_it_is_shortened_and_the_others_are_kept() -> None:
    lines = [Line(1.0, "a"), Line(61.0, "b"), Line(61.5, "c")]

    assert drawing.shortened(lines) == [Line(1.0, "a"), Line(2.5, "b"), Line(3.0, "c")]


def test_given_lines_with_special_characters_then_the_document_shows_them_as_they_are() -> None:
    document = drawing.document("make demo", [Line(0.1, 'a < b & "c"'), Line(0.2, "    indented")])

    assert shown(document) == ["make demo", 'a < b & "c"', "    indented"]


def test_given_bold_text_then_only_this_part_of_the_line_is_bold() -> None:
    document = drawing.document("make demo", [Line(0.1, "\033[1m[1/7]\033[0m Cluster")])

    bold = [each.text for each in elements(document, "tspan")]
    assert (bold, shown(document)[1]) == (["[1/7]"], "[1/7] Cluster")


def test_given_more_lines_than_rows_then_the_end_is_visible_without_motion() -> None:
    document = drawing.document("make demo", [Line(each / 10, str(each)) for each in range(drawing.ROWS + 3)])

    hidden = 3 * 18
    assert f".output {{ transform: translateY(-{hidden}px) }}" in document
    assert f"100.00% {{ transform: translateY(-{hidden}px) }}" in document


def test_given_a_line_that_is_too_long_then_it_ends_with_an_ellipsis() -> None:
    document = drawing.document("make demo", [Line(0.1, "x" * 500)])

    assert shown(document)[1] == "x" * (drawing.COLUMNS - 1) + "…"


def test_given_a_command_in_a_terminal_when_recorded_then_its_lines_and_bold_parts_are_in_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "recording.svg"
    program = "import sys; print(sys.stdout.isatty()); print('\\033[1mbold\\033[0m text')"

    assert cli.main([str(file), sys.executable, "-c", program]) == 0

    assert shown(file.read_text())[1:] == ["True", "bold text"]
    assert '<tspan class="bold">bold</tspan> text' in file.read_text()


def test_given_a_command_that_fails_when_recorded_then_nothing_is_written_and_its_exit_code_is_returned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recording.svg"

    assert cli.main([str(file), sys.executable, "-c", "raise SystemExit(3)"]) == 3

    assert not file.exists()
    assert "exited with 3" in capsys.readouterr().err
