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
    machine = definition()
    return json.dumps({"start": machine["StartAt"], "states": states(machine)}, indent=1) + "\n"


def definition() -> Mapping[str, Any]:
    """The state machine, with 0 for the numbers that CloudFormation substitutes."""
    # Substitutions that stand for numbers are not quoted.
    text = re.sub(r": \$\{\w+\}", ": 0", DEFINITION.read_text(encoding="utf-8"))
    machine: Mapping[str, Any] = json.loads(text)
    return machine


def states(machine: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The name, the type, the purpose and the successors of each state."""
    return [_state(name, state) for name, state in machine["States"].items()]


def _state(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    named = [state[each] for each in ("Next", "Default") if each in state]
    return {
        "name": name,
        "type": state["Type"],
        "purpose": state.get("Comment", ""),
        "next": [*named, *dict.fromkeys(each["Next"] for each in state.get("Choices", ()))],
        "catch": list(dict.fromkeys(each["Next"] for each in state.get("Catch", ()))),
    }
