"""Every installation of the shop has exactly one order reconciler, and its findings reach an alert."""

from collections.abc import Mapping
from typing import Any

from services.order import reconciler
from shopdev.cloudformation import stacks
from tests.charts.helm import Helm

MODULE = reconciler.__name__
TABLES: Mapping[str, Any] = {
    name: {"env": {"TABLE": f"shop-{name}"}} for name in ("order", "payment", "product", "shipping")
}
LIMIT = 240


def jobs(helm: Helm, values_file: str) -> list[dict[str, Any]]:
    """The CronJobs of a release that run the reconciler."""
    objects = helm.template("shop", TABLES, files=(values_file,), namespace="shop")
    specs = [each["spec"]["jobTemplate"]["spec"] for each in objects if each["kind"] == "CronJob"]
    return [spec for spec in specs if MODULE in spec["template"]["spec"]["containers"][0]["command"]]


def functions(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The functions of some stacks that run the reconciler by a schedule."""
    documents = [stacks.document(name)["Resources"] for name in names]
    return [
        each["Properties"]
        for resources in documents
        for each in resources.values()
        if each["Type"] == "AWS::Lambda::Function"
        and each["Properties"]["Handler"] == f"{MODULE}.handler"
        and any(other["Type"] == "AWS::Events::Rule" for other in resources.values())
    ]


def tasks(stack: str) -> list[Any]:
    """The containers of a stack that run the reconciler."""
    found = stacks.document(stack)["Resources"].values()
    containers = [
        container
        for each in found
        if each["Type"] == "AWS::ECS::TaskDefinition"
        for container in each["Properties"]["ContainerDefinitions"]
    ]
    assert containers
    return [container for container in containers if MODULE in container.get("Command", [])]


def test_given_an_installation_on_eks_then_the_reconciler_is_one_function(helm: Helm) -> None:
    assert (len(functions((*stacks.ON_AWS, "eks"))), len(jobs(helm, "values-eks.yaml"))) == (1, 0)


def test_given_an_installation_on_ecs_then_the_reconciler_is_one_function() -> None:
    assert (len(functions((*stacks.ON_AWS, "ecs-capacity", "ecs"))), len(tasks("ecs"))) == (1, 0)


def test_given_an_installation_with_the_emulator_then_the_reconciler_is_one_cronjob(
    helm: Helm,
) -> None:
    assert (len(functions(stacks.STACKS)), len(jobs(helm, "values-local.yaml"))) == (0, 1)


def test_given_the_deadline_of_function_and_job_then_the_budget_of_a_run_is_shorter(
    helm: Helm,
) -> None:
    (function,), (job,) = functions(stacks.ON_AWS), jobs(helm, "values-local.yaml")

    assert function["Timeout"] == job["activeDeadlineSeconds"] == LIMIT
    assert reconciler.BUDGET.total_seconds() <= LIMIT - 60


def test_given_a_stack_with_alarms_then_it_has_the_parameter_for_the_alarm_topic() -> None:
    with_alarms = {
        stack
        for stack in stacks.ON_AWS
        if any(
            each["Type"] == "AWS::CloudWatch::Alarm" for each in stacks.document(stack)["Resources"].values()
        )
    }

    assert "reconciler" in with_alarms
    assert with_alarms == {
        stack for stack in stacks.ON_AWS if stacks.ALARM_TOPIC in stacks.document(stack)["Parameters"]
    }
