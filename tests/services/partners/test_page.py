"""The page about partners' keys contains all settings that its command requires."""

import re
from pathlib import Path

from services.partners.config import Settings

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to/give-partners-keys.md"


def test_given_the_variables_of_the_page_when_they_are_exported_then_no_required_setting_is_missing() -> None:
    (block,) = re.findall(
        r"^```sh\n(.*?services\.partners\.admin.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    exported = {
        name
        for line in re.findall(r"^export (.*)$", block, re.MULTILINE)
        for name in re.findall(r"\b([A-Z_]+)=", line)
    }
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}

    assert required <= exported
