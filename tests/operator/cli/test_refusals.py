"""`kubectl shop diff` tells the refusals of the operator that it can foresee, by the operator's own rules and settings."""

import json
from typing import Any, Final

import pytest
from click.testing import Result

from shop_operator.objects.pod_security import LABEL
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import owned, shopservice
from tests.operator.cli.server import Server

HOSTNAME: Final = "web.shop.internal"
QUEUE: Final = {"url": "http://emulator.aws.svc:4566/1/orders", "region": "eu-west-1"}
SCALED: Final = {"maxReplicas": 3, "queue": QUEUE}


def document(name: str = "web", namespace: str = "shop", **spec: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "shopservice.dev/v1alpha1",
            "kind": "ShopService",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"image": "web:2", **spec},
        }
    )


def operator(*arguments: str, namespace: str = "shop-operator", **env: str) -> dict[str, Any]:
    """The Deployment of the chart."""
    variables = [{"name": name, "value": value} for name, value in env.items()]
    variables += [{"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]  # type: ignore[dict-item]
    container = {
        "command": ["shop-operator", "run"],
        "args": ["--leader-elect", *arguments],
        "env": variables,
    }
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "shop-operator",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "shop-operator"},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "proxy"}, container]}}},
    }


def scaled_to_zero() -> dict[str, Any]:
    """The Deployment of an operator that is switched off."""
    found = operator("--protected-namespace=shop")
    found["spec"]["replicas"] = 0
    return found


def in_another_namespace(name: str = "other") -> dict[str, Any]:
    found = shopservice(name, discovery={"hostname": HOSTNAME})
    found["metadata"] |= {"namespace": "theirs", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return found


def refusals(done: Result) -> list[str]:
    assert done.exit_code == 1, done.output
    return [line for line in done.stdout.splitlines() if line.startswith("!")]


@pytest.mark.parametrize(
    ("deployment", "namespace", "refused"),
    [
        (operator(), "kube-system", True),
        (operator(), "shop-operator", True),
        (operator("--protected-namespace=shop"), "shop", True),
        (operator(SHOP_OPERATOR_PROTECTED_NAMESPACES="shop"), "shop", True),
        (operator("--protected-namespace=other"), "shop", False),
        (operator("--protected-namespace=shop", "--namespace=shop"), "shop", False),
    ],
)
def test_given_a_namespace_that_the_operator_does_not_serve_when_diff_runs_then_it_is_refused(
    server: Server, program: Program, deployment: dict[str, Any], namespace: str, refused: bool
) -> None:
    server.objects.append(deployment)

    done = program("diff", "-f", "-", given=document(namespace=namespace))

    assert done.exit_code == (6 if refused else 1)
    said = f"-:1: Namespace {namespace} is reserved for the cluster or the operator itself"
    assert (said in done.stderr) is refused


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 6), (["--allowed-queue-endpoint=http://emulator.aws.svc:4566"], 1)],
    ids=["default", "allowed"],
)
def test_given_a_queue_outside_aws_when_diff_runs_then_it_is_refused_unless_the_operator_allows_it(
    server: Server, program: Program, arguments: list[str], code: int
) -> None:
    server.objects.append(operator(*arguments))

    done = program("diff", "-f", "-", given=document(autoscaling=SCALED))

    assert done.exit_code == code
    assert ("allowedQueueEndpoints of the operator's chart" in done.stderr) is (code != 1)


@pytest.mark.parametrize(
    ("labels", "arguments", "code"),
    [
        ({}, ["--pod-security=privileged"], 1),
        ({}, [], 6),
        ({LABEL: "restricted"}, ["--pod-security=privileged"], 6),
        ({LABEL: "privileged"}, [], 1),
    ],
    ids=["setting", "default", "label over setting", "label"],
)
def test_given_a_namespace_label_and_an_operator_setting_when_diff_runs_then_the_label_decides_first(
    server: Server, program: Program, labels: dict[str, str], arguments: list[str], code: int
) -> None:
    server.labels = {"shop": labels}
    server.objects.append(operator(*arguments))

    done = program("diff", "-f", "-", given=document(podTemplate={"spec": {"hostPID": True}}))

    assert done.exit_code == code


def test_given_two_operators_when_diff_runs_then_the_settings_of_the_one_serving_the_namespace_apply(
    server: Server, program: Program
) -> None:
    server.objects += [
        operator("--namespace=theirs", "--pod-security=privileged", namespace="theirs"),
        operator("--namespace=shop", '--common-labels={"team":"a"}', namespace="ours"),
    ]

    done = program("diff", "-f", "-", given=document())

    assert "+    team: a" in done.stdout
    assert program("diff", "-f", "-", given=document(podTemplate={"spec": {"hostPID": True}})).exit_code == 6


@pytest.mark.parametrize(
    "deployment",
    [
        None,
        operator("--from-a-later-version=1"),
        operator("--namespace=theirs"),
        operator("--workers=none"),
        scaled_to_zero(),
    ],
    ids=["none", "unknown flag", "another namespace", "bad value", "no replicas"],
)
def test_given_no_operator_settings_when_diff_runs_then_it_names_the_unchecked_settings(
    server: Server, program: Program, deployment: dict[str, Any] | None
) -> None:
    server.objects += [deployment] if deployment else []

    done = program("diff", "-f", "-", given=document(autoscaling=SCALED))

    assert done.exit_code == 1
    assert "allowedQueueEndpoints and protectedNamespaces are not checked." in done.stderr


def test_given_no_permission_to_list_deployments_when_diff_runs_then_it_names_the_unchecked_settings(
    server: Server, program: Program
) -> None:
    server.objects.append(operator("--protected-namespace=shop"))
    server.narrow.add("deployments")

    done = program("diff", "-f", "-", given=document())

    assert done.exit_code == 1
    assert "are not checked" in done.stderr


def test_given_a_hostname_of_another_namespace_when_diff_runs_then_it_is_a_conflict_and_not_registered(
    server: Server, program: Program
) -> None:
    server.objects += [operator(), in_another_namespace()]

    done = program("diff", "-f", "-", given=document(discovery={"hostname": HOSTNAME}))

    assert refusals(done) == [
        (
            f"! ShopService/web: Conflict: spec.discovery.hostname: {HOSTNAME} is in use by a ShopService of another namespace."
            " Choose another hostname, or remove it there; this ShopService is not registered under it until then."
        )
    ]
    assert "external-dns" not in done.stdout


def test_given_a_registered_shopservice_when_diff_runs_then_its_hostname_is_no_conflict(
    server: Server, program: Program
) -> None:
    mine = shopservice(discovery={"hostname": HOSTNAME})
    mine["metadata"]["creationTimestamp"] = "2026-06-01T00:00:00Z"
    service = owned("Service", "web-discovery")
    service["metadata"] |= {"resourceVersion": "1", "annotations": {}}
    service["metadata"]["labels"]["app.kubernetes.io/component"] = "discovery"
    service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"] = HOSTNAME
    service["spec"] = {"ports": [{"port": 8080}]}
    server.objects += [operator(), in_another_namespace(), mine, service]

    assert refusals(program("diff", "-f", "-", given=document(discovery={"hostname": HOSTNAME}))) == []


def test_given_two_shopservices_with_one_hostname_in_a_file_when_diff_runs_then_the_second_is_a_conflict(
    server: Server, program: Program
) -> None:
    wanted = [json.loads(document(each, discovery={"hostname": HOSTNAME})) for each in ("web", "mail")]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})

    (refused,) = refusals(program("diff", "-f", "-", given=given))

    assert refused.startswith(
        f"! ShopService/mail: Conflict: spec.discovery.hostname: {HOSTNAME} is in use by "
    )
    assert "by ShopService web." in refused


def test_given_no_permission_to_list_shopservices_when_diff_runs_then_it_says_that_hostnames_are_unchecked(
    server: Server, program: Program
) -> None:
    server.objects += [operator(), in_another_namespace()]
    server.narrow.add("shopservices")

    done = program("diff", "-f", "-", given=document(discovery={"hostname": HOSTNAME}))

    assert refusals(done) == []
    assert "whether another namespace uses a discovery hostname is not checked." in done.stderr


def test_given_no_keda_when_diff_runs_for_a_queue_then_it_names_keda(
    server: Server, program: Program
) -> None:
    server.absent.add("scaledobjects")

    assert refusals(program("diff", "-f", "-", given=document(autoscaling=SCALED))) == [
        (
            "! ShopService/web: NotInstalled: web: scaling by a queue requires KEDA, which is not installed; install it, or remove"
            " autoscaling.queue. Until then, the number of pods follows cpu and memory; without these, it stays, and is at least 1."
        )
    ]


def test_given_an_object_of_another_owner_when_diff_runs_then_it_has_the_message_of_the_operator(
    server: Server, program: Program
) -> None:
    foreign = owned("Service", "web")
    foreign |= {"metadata": {**foreign["metadata"], "labels": {}, "ownerReferences": []}, "spec": {}}
    server.objects.append(foreign)

    (change,) = (
        each
        for each in json.loads(program("diff", "-f", "-", "-o", "json", given=document()).stdout)
        if each["action"] == "conflict"
    )

    assert (change["kind"], change["name"], change["reason"]) == ("Service", "web", "Conflict")
    assert change["message"].startswith("Service web already exists and was not created by the operator.")


def test_given_a_child_that_is_being_deleted_when_diff_runs_then_it_names_the_finalizer(
    server: Server, program: Program
) -> None:
    leaving = owned("Service", "web")
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/slow"]}
    leaving["spec"] = {}
    server.objects += [shopservice(), leaving]

    assert refusals(program("diff", "-f", "-", given=document())) == [
        (
            "! Service/web: Terminating: Service web is being deleted and waits for example.com/slow; it is created again"
            " afterwards."
        )
    ]


def test_given_a_service_account_of_another_owner_when_diff_runs_then_no_deployment_is_planned(
    server: Server, program: Program
) -> None:
    foreign = owned("ServiceAccount", "web")
    foreign |= {"metadata": {**foreign["metadata"], "labels": {}, "ownerReferences": []}, "spec": {}}
    server.objects.append(foreign)

    changes = json.loads(program("diff", "-f", "-", "-o", "json", given=document()).stdout)

    assert {each["kind"]: each["action"] for each in changes}["ServiceAccount"] == "conflict"
    assert "Deployment" not in {each["kind"] for each in changes}
