"""The workflow's definition is one that AWS creates: what the emulator would only notice once a state runs."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shopdev.cloudformation import stacks
from shopdev.cluster import npm
from tests.contract import states_language

Definition = dict[str, Any]
Change = Callable[[Definition], object]


def _definitions() -> Iterator[tuple[str, Definition]]:
    """Every state machine of every stack, with its substitutions made."""
    for stack in stacks.ALL:
        document = stacks.document(stack)
        for name, resource in document["Resources"].items():
            if resource["Type"] == "AWS::StepFunctions::StateMachine":
                given = resource["Properties"]
                values = {
                    each: _value(value, document) for each, value in given["DefinitionSubstitutions"].items()
                }
                text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], given["DefinitionString"])  # noqa: B023 - called at once
                yield f"{stack}.{name}", json.loads(text)


def _value(value: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Value that CloudFormation might insert: a parameter's default, AWS's partition, the URL of another stack's queue."""
    reference = value.get("Ref")
    if reference == "AWS::Partition":
        return "aws"
    if reference:
        return str(document["Parameters"][reference]["Default"])
    return "https://sqs.us-east-1.amazonaws.com/000000000000/" + re.sub(
        r"\W+", "-", value["Fn::ImportValue"]["Fn::Sub"]
    )


DEFINITIONS = dict(_definitions())


@pytest.fixture
def definition() -> Definition:
    """One that a test may break."""
    return copy.deepcopy(DEFINITIONS["saga.OrderSaga"])


def validated(folder: Path, **definitions: Definition) -> dict[str, bool]:
    """Name -> whether asl-validator takes the definition."""
    arguments: list[str] = []
    for name, each in definitions.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(each), encoding="utf-8")
        arguments += ["--json-path", str(file)]
    done = npm.run("asl-validator", arguments)
    said = re.findall(
        r"^(.) State machine definition \"(.+)\" is (?:in)?valid", done.stdout + done.stderr, re.MULTILINE
    )
    verdicts = {Path(file).stem: mark == "✓" for mark, file in said}
    assert set(verdicts) == set(definitions), done.stdout + done.stderr
    assert done.returncode == (0 if all(verdicts.values()) else 1)
    return verdicts


def body(definition: Definition) -> Definition:
    """Message body that ReserveStock sends."""
    sent: Definition = definition["States"]["ReserveStock"]["Parameters"]["MessageBody"]
    return sent


def state(name: str, **fields: Any) -> Change:
    return lambda definition: definition["States"][name].update(fields)


def sends(value: Any) -> Change:
    return lambda definition: body(definition).update({"order_id.$": value})


def in_jsonata(output: str) -> Change:
    """The first state in JSONata."""
    return lambda definition: definition["States"].update(
        NothingToUndo={"Type": "Pass", "QueryLanguage": "JSONata", "Output": output, "Next": "IsResumed"}
    )


BROKEN_STRUCTURE: Mapping[str, Change] = {
    "a-state-that-there-is-not": state("ReserveStock", Next="Nowhere"),
    "a-first-state-that-there-is-not": lambda definition: definition.update(StartAt="Nowhere"),
    "a-state-that-nothing-leads-to": lambda definition: definition["States"].update(Lost={"Type": "Succeed"}),
    "a-state-that-goes-nowhere": lambda definition: definition["States"]["ReserveStock"].pop("Next"),
    "an-unknown-field": state("ReserveStock", TimeoutSecond=3),
    "an-unknown-type": state("ReserveStock", Type="Job"),
    "a-resource-that-is-no-arn": state("ReserveStock", Resource="sendMessage"),
    "a-field-of-jsonata-in-jsonpath": state("CheckOrder", Arguments={}),
    "jsonata-that-cannot-be-parsed": in_jsonata("{% $states.input. %}"),
}
BROKEN_EXPRESSIONS: Mapping[str, Change] = {
    "a-result-that-is-no-path": state("ReserveStock", ResultPath="reservation"),
    "a-result-that-goes-to-several-nodes": state("ReserveStock", ResultPath="$.reservation[*]"),
    "a-result-that-goes-to-descendants": state("ReserveStock", ResultPath="$..reservation"),
    "a-result-that-goes-where-a-filter-says": state("ReserveStock", ResultPath="$.a[?(@.b)]"),
    "an-input-that-is-no-path": state("CheckOrder", InputPath="order"),
    "a-choice-by-no-path": lambda definition: definition["States"]["IsResumed"]["Choices"][0].update(
        Variable="$.resumed["
    ),
    "a-value-that-is-no-path": sends("order_id"),
    "a-path-that-is-not-closed": sends("$.items[0"),
    "a-value-that-is-no-text": sends(3),
    "a-field-twice": lambda definition: body(definition).update(order_id="order-1"),
    "an-unknown-function": sends("States.Concat($.a, $.b)"),
    "a-call-that-is-not-closed": sends("States.Array($.a"),
}
# Which asl-validator takes and AWS does not.
BEYOND_THE_VALIDATOR: Mapping[str, Change] = {
    "a-caught-error-that-goes-to-several-nodes": lambda definition: definition["States"]["ReserveStock"][
        "Catch"
    ][0].update(ResultPath="$.failure[*]"),
    "a-result-that-goes-to-the-context": state("ReserveStock", ResultPath="$$.Execution.Input"),
    "a-name-that-needs-brackets": sends("$.order-id"),
    "too-few-arguments": sends("States.JsonMerge($.a, $.b)"),
    "too-many-arguments": sends("States.UUID($.a)"),
    "double-quotes": sends('States.Format("order {}", $.order_id)'),
    "a-format-with-too-few-arguments": sends("States.Format('{} of {}', $.order_id)"),
    "a-path-of-an-argument-that-is-none": sends("States.Array($.items[0)"),
    "eleven-functions-in-each-other": sends("States.Array(" * 11 + ")" * 11),
    "a-field-that-the-context-has-not": sends("$$.Task.Name"),
    "a-value-in-a-list-that-is-no-path": lambda definition: body(definition).update(list=[{"a.$": "a"}]),
    "every-error-among-others": lambda definition: definition["States"]["CheckOrder"]["Retry"][0].update(
        ErrorEquals=["States.ALL", "OrderCancelled"]
    ),
    "every-error-before-others": lambda definition: definition["States"]["ReserveStock"]["Catch"].reverse(),
    "a-backoff-that-shrinks": lambda definition: definition["States"]["CheckOrder"]["Retry"][1].update(
        BackoffRate=0.5
    ),
    "a-longest-delay-below-the-first": lambda definition: definition["States"]["CheckOrder"]["Retry"][
        1
    ].update(MaxDelaySeconds=1),
    "an-unknown-jitter": lambda definition: definition["States"]["CheckOrder"]["Retry"][1].update(
        JitterStrategy="SOME"
    ),
    "a-heartbeat-beyond-the-timeout": state("CheckOrder", HeartbeatSeconds=10**6),
    "a-state-within-a-branch": lambda definition: definition["States"].update(
        Undone={
            "Type": "Parallel",
            "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Pass", "ResultPath": "a", "End": True}}}],
            "End": True,
        }
    ),
}
ACCEPTED: Mapping[str, Change] = {
    "brackets": sends("$['order-id'].items[0]['a b']"),
    "several-nodes-where-a-value-is-read": sends("$.items[?(@.quantity > 1)].sku"),
    "functions-in-each-other": sends(
        "States.Format('{}: it\\'s {}, (a, b)', States.ArrayGetItem($.items, 0), States.MathAdd($.total.amount, -1))"
    ),
    "a-function-without-arguments": sends("States.UUID()"),
    "the-whole-context": sends("$$"),
    "what-an-execution-began-with": sends("$$.Execution.Input.order_id"),
    "no-result": state("ReserveStock", ResultPath=None),
    "jsonata": in_jsonata("{% $merge([$states.input, {'undo': 1}]) %}"),
}


def changed(change: Change) -> Definition:
    definition = copy.deepcopy(DEFINITIONS["saga.OrderSaga"])
    change(definition)
    return definition


def test_given_the_state_machines_of_the_stacks_when_collected_then_no_definition_file_is_missing() -> None:
    files = {path.name for path in stacks.FOLDER.glob("**/*.asl.json")}
    templates = [path.read_text(encoding="utf-8") for path in stacks.FOLDER.glob("*.yaml")]

    assert {file for file in files if not any(file in template for template in templates)} == set()
    assert (
        len(DEFINITIONS)
        == sum(text.count("Type: AWS::StepFunctions::StateMachine") for text in templates)
        > 0
    )


def test_given_every_definition_when_validated_then_it_conforms_to_the_states_language(
    tmp_path: Path,
) -> None:
    verdicts = validated(tmp_path, **{name.replace(".", "-"): each for name, each in DEFINITIONS.items()})

    assert all(verdicts.values())


def test_given_broken_definitions_when_validated_then_each_is_refused(tmp_path: Path) -> None:
    broken = {name: changed(change) for name, change in {**BROKEN_STRUCTURE, **BROKEN_EXPRESSIONS}.items()}

    verdicts = validated(tmp_path, **broken)

    assert [name for name, taken in verdicts.items() if taken] == []


def test_given_unused_features_of_the_language_when_validated_then_they_are_accepted(tmp_path: Path) -> None:
    """A check that refuses whatever is unusual would be in the way of the next change."""
    verdicts = validated(tmp_path, **{name: changed(change) for name, change in ACCEPTED.items()})

    assert [name for name, taken in verdicts.items() if not taken] == []


@pytest.mark.parametrize("name", DEFINITIONS)
def test_given_every_definition_when_its_expressions_are_checked_then_none_is_refused(name: str) -> None:
    assert states_language.refusals(DEFINITIONS[name]) == []


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_given_unused_features_of_the_language_when_expressions_are_checked_then_they_are_accepted(
    change: Change,
) -> None:
    assert states_language.refusals(changed(change)) == []


@pytest.mark.parametrize(
    "change",
    [*BROKEN_EXPRESSIONS.values(), *BEYOND_THE_VALIDATOR.values()],
    ids=[*BROKEN_EXPRESSIONS, *BEYOND_THE_VALIDATOR],
)
def test_given_a_definition_that_aws_refuses_when_its_expressions_are_checked_then_one_is_refused(
    change: Change,
) -> None:
    (refusal,) = states_language.refusals(changed(change))

    assert refusal.startswith("/States/")


@pytest.mark.parametrize("name", DEFINITIONS)
def test_given_any_expression_of_a_definition_when_broken_then_it_is_refused(name: str) -> None:
    """No field is overlooked, wherever it is."""
    text = json.dumps(DEFINITIONS[name])
    every = [*states_language.expressions(DEFINITIONS[name])]
    assert len(every) > 50
    places = [found.span(1) for found in re.finditer(r'"((?:\$|States\.\w+\()[^"]*)"', text)]
    assert len(places) == len(every)

    for start, end in places:
        broken = json.loads(f"{text[:start]}{text[start:end]}[{text[end:]}")

        assert len(states_language.refusals(broken)) == 1, text[start:end]
