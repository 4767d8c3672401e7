"""The states of the order workflow for `kubectl shop ui`, which cannot read this repository when it runs."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from shopdev.checkout import ROOT

DEFINITION: Final = ROOT / "manifests/aws/order_saga.asl.json"
FILE: Final = ROOT / "operator/shop_operator/cli/ui/order_saga.json"


def generated() -> str:
    """The name, the type, the purpose and the successors of each state, without the parameters of its task."""
    # Substitutions of CloudFormation that stand for numbers are not quoted.
    text = re.sub(r": \$\{\w+\}", ": 0", DEFINITION.read_text(encoding="utf-8"))
    machine = json.loads(text)
    states = [_state(name, state) for name, state in machine["States"].items()]
    return json.dumps({"start": machine["StartAt"], "states": states}, indent=1) + "\n"


def _state(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    named = [state[each] for each in ("Next", "Default") if each in state]
    return {
        "name": name,
        "type": state["Type"],
        "purpose": state.get("Comment", ""),
        "next": [*named, *dict.fromkeys(each["Next"] for each in state.get("Choices", ()))],
        "catch": list(dict.fromkeys(each["Next"] for each in state.get("Catch", ()))),
    }
