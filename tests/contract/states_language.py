"""Expressions and retriers that AWS Step Functions rejects in a definition that uses JSONPath.

CreateStateMachine reads every path and every call of an intrinsic function before it makes a state machine, the emulator
only once a state runs. The rules are those of the developer guide: "Using JSONPath paths", "Intrinsic functions for JSONPath
states", "Processing input and output", "Handling errors" and "Accessing execution data from the Context object".
States that use JSONata are left to asl-validator, which parses their expressions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonpath import JSONPathEnvironment, JSONPathError, Lexer

Definition = Mapping[str, Any]

# One node, of the state's input or of the context object; null discards.
OF_INPUT = frozenset({"InputPath", "OutputPath"})
# One node of what goes on to the next state: nothing else can be written to.
WRITTEN = frozenset({"ResultPath"})
TEMPLATES = frozenset({"Parameters", "ResultSelector", "ItemSelector", "Assign"})
# Children that have states of their own.
NESTED = ("Branches", "ItemProcessor", "Iterator")
CONTEXT = {
    "Execution": {"Id", "Input", "Name", "RedriveCount", "RedriveTime", "RoleArn", "StartTime"},
    "Map": {"Item"},
    "State": {"EnteredTime", "Name", "RetryCount"},
    "StateMachine": {"Id", "Name"},
    "Task": {"Token"},
}
# Intrinsic function -> how many arguments it takes, at least and at most.
MANY = 1000
FUNCTIONS = {
    "Array": (0, MANY),
    "ArrayContains": (2, 2),
    "ArrayGetItem": (2, 2),
    "ArrayLength": (1, 1),
    "ArrayPartition": (2, 2),
    "ArrayRange": (3, 3),
    "ArrayUnique": (1, 1),
    "Base64Decode": (1, 1),
    "Base64Encode": (1, 1),
    "Format": (1, MANY),
    "Hash": (2, 2),
    "JsonMerge": (3, 3),
    "JsonToString": (1, 1),
    "MathAdd": (2, 2),
    "MathRandom": (2, 3),
    "StringSplit": (2, 2),
    "StringToJson": (1, 1),
    "UUID": (0, 0),
}
DEEPEST = 10
LONGEST_DELAY = 31_622_400
LARGEST_COUNT = 99_999_999


class Refused(ValueError):
    """An expression that AWS does not take."""


class _Names(Lexer):
    """Names after a dot are those of RFC 9535's member-name-shorthand: any other needs brackets."""

    key_pattern = r"[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*"


class _Strict(JSONPathEnvironment):
    lexer_class = _Names


_paths = _Strict(strict=True)
_ARGUMENT = re.compile(
    r"""\s*(?:States\.(?P<function>\w+)\s*\(
        |(?P<text>'(?:[^'\\]|\\.)*')
        |(?P<number>-?\d+(?:\.\d+)?)(?=\s*[,)])
        |(?P<word>true|false|null)(?=\s*[,)])
        |(?P<path>\$(?:\[[^\]]*\]|[^,()\[\]\s])*))""",
    re.VERBOSE,
)


def refusals(definition: Definition) -> list[str]:
    """Why AWS would not create this state machine; empty when it would."""
    return [f"{where}: {why}" for where, why in _of_states(definition, "")]


def expressions(value: Any) -> Iterator[str]:
    """Every text that is evaluated as far as its look tells: it begins with `$` or calls an intrinsic function."""
    if isinstance(value, str) and value.startswith(("$", "States.")) and value not in _ERRORS:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


# Names of errors, which look like functions.
_ERRORS = frozenset({"States.ALL", "States.TaskFailed", "States.Timeout", "States.DataLimitExceeded"})


def _of_states(machine: Definition, where: str) -> Iterator[tuple[str, str]]:
    for name, state in machine["States"].items():
        here = f"{where}/States/{name}"
        if state.get("QueryLanguage", machine.get("QueryLanguage", "JSONPath")) == "JSONPath":
            yield from _of_fields(state, here)
            yield from _of_retriers(state, here)
        for field in NESTED:
            inner = state.get(field, [])
            for number, each in enumerate(inner if isinstance(inner, list) else [inner]):
                yield from _of_states(each, f"{here}/{field}/{number}")


def _of_fields(part: Definition, where: str) -> Iterator[tuple[str, str]]:
    """A state, a catcher, a rule of a choice: they have the same kinds of fields."""
    for field, value in part.items():
        here = f"{where}/{field}"
        if field in TEMPLATES:
            yield from _of_template(value, here)
        elif field in {"Catch", "Choices", "And", "Or"}:
            for number, each in enumerate(value):
                yield from _of_fields(each, f"{here}/{number}")
        elif field in {"Not", "ItemBatcher", "ItemReader"}:
            yield from _of_fields(value, here)
        elif (field.endswith("Path") or field == "Variable") and not (
            value is None and field in OF_INPUT | WRITTEN
        ):
            try:
                _check_path(value, is_one_node=field not in OF_INPUT, is_written=field in WRITTEN)
            except Refused as refused:
                yield here, str(refused)


def _of_template(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _of_template(each, f"{where}/{number}")
    if not isinstance(value, Mapping):
        return
    for field, each in value.items():
        if not field.endswith(".$"):
            yield from _of_template(each, f"{where}/{field}")
            continue
        if field[:-2] in value:
            yield where, f"{field[:-2]} is there twice once {field} is evaluated"
        try:
            _check_expression(each)
        except Refused as refused:
            yield f"{where}/{field}", str(refused)


def _of_retriers(state: Definition, where: str) -> Iterator[tuple[str, str]]:
    for field in ("Retry", "Catch"):
        rules = state.get(field, [])
        for number, rule in enumerate(rules):
            here = f"{where}/{field}/{number}"
            if "States.ALL" in rule["ErrorEquals"] and (
                len(rule["ErrorEquals"]) > 1 or rule is not rules[-1]
            ):
                yield here, "States.ALL stands alone, and in the last"
            if field == "Retry":
                yield from ((here, why) for why in _of_delays(rule))
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if timeout and heartbeat and heartbeat >= timeout:
        yield where, "HeartbeatSeconds is less than TimeoutSeconds"


def _of_delays(rule: Definition) -> Iterator[str]:
    interval = rule.get("IntervalSeconds", 1)
    if not 1 <= interval <= LARGEST_COUNT:
        yield f"IntervalSeconds is from 1 to {LARGEST_COUNT}"
    if not 0 <= rule.get("MaxAttempts", 3) <= LARGEST_COUNT:
        yield f"MaxAttempts is from 0 to {LARGEST_COUNT}"
    if rule.get("BackoffRate", 2.0) < 1:
        yield "BackoffRate is 1 or more"
    if "MaxDelaySeconds" in rule and not interval < rule["MaxDelaySeconds"] < LONGEST_DELAY:
        yield f"MaxDelaySeconds is more than IntervalSeconds and less than {LONGEST_DELAY}"
    if rule.get("JitterStrategy", "NONE") not in {"FULL", "NONE"}:
        yield "JitterStrategy is FULL or NONE"


def _check_expression(value: Any) -> None:
    if not isinstance(value, str):
        raise Refused(f"{value!r} is no text")
    if value.startswith("$"):
        _check_path(value)
        return
    if not value.startswith("States."):
        raise Refused(f"{value!r} is no path and no intrinsic function")
    if value[_check_call(value, 0, 1) :].strip():
        raise Refused(f"{value!r} goes on after its call")


def _check_path(value: Any, *, is_one_node: bool = False, is_written: bool = False) -> None:
    if not isinstance(value, str) or not value.startswith("$"):
        raise Refused(f"{value!r} does not begin with $")
    is_context = value.startswith("$$")
    try:
        query = _paths.compile(value[1:] if is_context else value)
    except JSONPathError as error:
        raise Refused(f"{value!r} is no JSONPath: {str(error).splitlines()[0]}") from error
    # `compile` answers a union of queries too; AWS knows none.
    singular = getattr(query, "singular_query", None)
    if singular is None:
        raise Refused(f"{value!r} is more than one path")
    if is_one_node and not singular():
        raise Refused(f"{value!r} may name several nodes")
    if is_context and is_written:
        raise Refused(f"{value!r} is the context object, which nothing is written to")
    if is_context and value != "$$":
        group, _, field = value.removeprefix("$$.").partition(".")
        if re.split(r"[.\[]", field)[0] not in CONTEXT.get(group, set()):
            raise Refused(f"the context object has no {value!r}")


def _check_call(text: str, start: int, depth: int) -> int:
    """Reads the call of an intrinsic function that begins at `start`; answers where it ends."""
    call = _ARGUMENT.match(text, start)
    name = call["function"] if call else None
    if call is None or name not in FUNCTIONS:
        raise Refused(f"{text!r}: {name or text[start:]!r} is no intrinsic function")
    if depth > DEEPEST:
        raise Refused(f"{text!r}: more than {DEEPEST} functions are nested")
    given: list[str] = []
    at = _after_space(text, call.end())
    while text[at : at + 1] != ")":
        if given:
            if text[at : at + 1] != ",":
                raise Refused(f"{text!r}: a comma is missing at {at}")
            at += 1
        found = _ARGUMENT.match(text, at)
        if found is None:
            raise Refused(f"{text!r}: no argument at {at}")
        if found["path"]:
            _check_path(found["path"])
        given.append(found["text"] or "")
        at = _after_space(text, _check_call(text, at, depth + 1) if found["function"] else found.end())
    _check_arguments(text, name, given)
    return at + 1


def _check_arguments(text: str, name: str, given: Sequence[str]) -> None:
    least, most = FUNCTIONS[name]
    if not least <= len(given) <= most:
        raise Refused(f"{text!r}: States.{name} does not take {len(given)} arguments")
    if name == "Format" and given[0] and given[0].count("{}") != len(given) - 1:
        raise Refused(f"{text!r}: as many arguments as there are {{}}")


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at
