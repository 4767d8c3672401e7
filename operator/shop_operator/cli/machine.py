r"""Documents as JSON and YAML, for programs and safe for terminals.

Control and bidirectional characters are written as escapes such as \u202e, which every parser reads as the character.
"""

import json
import sys
from typing import Any, Final

import yaml

from shop_operator.wording import UNPRINTABLE

UNFOLDED: Final = sys.maxsize
"""The line width of YAML: values are not folded, so that grep finds them."""
_BASIC_PLANE: Final = 0xFFFF


class _Dumper(yaml.SafeDumper):
    """Quotes every string that requires an escape, because plain and block scalars support none."""


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if UNPRINTABLE.search(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)


def as_json(document: Any, indent: int | None = 2) -> str:
    """The document as JSON, without a trailing line feed."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    # Such characters occur only in strings.
    return UNPRINTABLE.sub(lambda found: _units(found[0]), text)


def as_yaml(*documents: Any) -> str:
    """The documents as YAML, separated by --- if there are several."""
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=UNFOLDED)
    return UNPRINTABLE.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code <= _BASIC_PLANE else f"\\U{code:08x}"


def _units(character: str) -> str:
    """The escapes of JSON: two for a character beyond the basic plane."""
    digits = character.encode("utf-16-be").hex()
    return "".join(f"\\u{digits[at : at + 4]}" for at in range(0, len(digits), 4))
