"""The picture of docs/how-to/scale-by-queue.md shows the recorded samples, and these show what the page claims."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from shopdev.bench import scaling
from shopdev.console import CommandError


def test_given_the_recorded_samples_then_the_picture_is_drawn_from_them() -> None:
    assert scaling.PICTURE.read_text() == scaling.draw(scaling.read())


def test_given_the_recorded_samples_when_the_first_peak_is_over_then_only_the_default_keeps_its_pods() -> (
    None
):
    later = [each for each in scaling.read() if each.seconds > 2 * scaling.PERIOD]
    removed = {
        name: sum(max(before - after, 0) for before, after in pairwise(getattr(each, name) for each in later))
        for name in ("default", "at_once")
    }

    assert later[-1].seconds > 4 * scaling.PERIOD
    assert removed["default"] == 0
    assert removed["at_once"] > 4


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_given_one_sample_then_it_is_drawn(seconds: float) -> None:
    picture = scaling.draw([scaling.Sample(seconds, 1.5, 2, 2)])

    ET.fromstring(picture)  # noqa: S314  made here
    assert "nan" not in picture
    assert "0 changes" in picture


@pytest.mark.parametrize("text", [None, ",".join(scaling.Sample._fields)], ids=["no file", "no rows"])
def test_given_no_samples_then_the_error_says_how_to_record_them(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "scaling.csv"
    if text is not None:
        file.write_text(text)

    with pytest.raises(CommandError, match=r"no samples: run `dev/bench scaling` without --minutes 0"):
        scaling.read(file)


def test_given_samples_then_the_picture_is_well_formed_and_has_a_title() -> None:
    samples = [scaling.Sample(0, 1.5, 2, 2), scaling.Sample(60, 3, 3, 3), scaling.Sample(130, 1, 3, 1)]

    root = ET.fromstring(scaling.draw(samples))  # noqa: S314  made here

    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text
    assert "removed at once: 2 changes" in "".join(root.itertext())
