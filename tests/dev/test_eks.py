"""`make eks-install`, tested by the commands that it runs, without an account: its programs are fakes that record their command
lines and print configured answers."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shop_operator.render import pod
from shopdev.checkout import SHOPSERVICES
from shopdev.demo import images, steps
from shopdev.demo.target import read_env_file
from shopdev.eks import awscli, target
from shopdev.eks.cli import main
from tests.dev.programs import Machine

pytestmark = pytest.mark.slow

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"
BALANCER = "internal-k8s-shop.eu-central-1.elb.amazonaws.com"
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/shop/1/2"
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-gateway"
OUTPUTS = {
    "eks": {"ClusterName": "shop", "Registry": REGISTRY},
    "network": {"LoadBalancerSecurityGroupId": "sg-1"},
    "api": {"ApiUrl": "https://api.example"},
    "storefront": {"Url": "https://pages.example"},
}
DIGEST = f"sha256:{'a' * 64}"
READINESS_PATH = "/readyz"
# Of a probe -> of a target group.
AS_IN_THE_LOAD_BALANCER = {
    "periodSeconds": "healthCheckInterval",
    "timeoutSeconds": "healthCheckTimeout",
    "failureThreshold": "unhealthyThresholdCount",
}
NO_IMAGE = (
    "An error occurred (ImageNotFoundException) when calling the DescribeImages operation: The image with imageId "
    "{imageTag:'1'} does not exist within the repository with name 'shop/shop-order'"
)


def stacks_answer(outputs: Mapping[str, Mapping[str, str]]) -> str:
    """The output of `describe-stacks`."""
    return json.dumps(
        {
            "Stacks": [
                {
                    "StackName": f"shop-{stack}",
                    "StackStatus": "CREATE_COMPLETE",
                    "Outputs": [
                        {"OutputKey": name, "OutputValue": value} for name, value in of_stack.items()
                    ],
                }
                for stack, of_stack in outputs.items()
            ]
        }
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """An account with every stack, a cluster with its controller, an empty registry."""
    found = Machine(tmp_path)
    for name in ("aws", "kubectl", "helm", "docker"):
        found.program(tmp_path / "bin" / name)
    for name in ("aws", "functions"):
        found.program(tmp_path / "dev" / name)
    found.answer(
        "get-caller-identity", json.dumps({"Account": "123456789012", "Arn": "arn:aws:iam::1:user/me"})
    )
    found.answer("describe-stacks", stacks_answer(OUTPUTS))
    found.answer("describe-images", NO_IMAGE, 255)
    found.answer("get-login-password", "the-password")
    found.answer("helm list", "[]")
    found.answer("docker image inspect", json.dumps([f"python@{DIGEST}"]))
    gateway = {"status": {"addresses": [{"value": BALANCER}]}}
    found.answer("get gateway", json.dumps(gateway))
    balancers = [{"DNSName": "other", "LoadBalancerArn": "x"}, {"DNSName": BALANCER, "LoadBalancerArn": "lb"}]
    found.answer("describe-load-balancers", json.dumps({"LoadBalancers": balancers}))
    listeners = {"Listeners": [{"Port": 443, "ListenerArn": "tls"}, {"Port": 80, "ListenerArn": LISTENER}]}
    found.answer("describe-listeners --load-balancer-arn lb", json.dumps(listeners))
    for module in (awscli, target):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(target, "STATE", tmp_path / "state")
    monkeypatch.setattr(steps, "STATE", tmp_path / "state")
    monkeypatch.setattr(steps, "AWS", tmp_path / "dev" / "aws")
    monkeypatch.setattr(steps, "FUNCTIONS", tmp_path / "dev" / "functions")
    (tmp_path / "state").mkdir()
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("BASE", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return found


@pytest.fixture
def install(machine: Machine, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run it and return the line of its error; empty if it succeeds."""

    def run(*arguments: str) -> str:
        (machine.folder / "calls").write_text("")
        code = main(arguments)
        said = capfd.readouterr().err
        lines = [line for line in said.splitlines() if line.startswith("eks: ")]
        assert (code, len(lines)) in {(0, 0), (1, 1)}, said
        assert "Traceback" not in said
        return lines[0] if lines else ""

    return run


def in_order(commands: list[str], *patterns: str) -> None:
    """Assert that matching commands were run in this order."""
    rest = iter(commands)
    for pattern in patterns:
        assert any(re.search(pattern, command) for command in rest), (
            f"no {pattern!r} in this place of {commands}"
        )


def test_given_nothing_when_installed_then_stacks_cluster_images_charts_and_api_are_deployed_in_this_order(
    machine: Machine, install: Callable[..., str]
) -> None:
    assert install("--set", "Mode=nodes") == ""

    in_order(
        machine.commands(),
        r"^aws sts get-caller-identity",
        r"^dev/functions build",
        r"^dev/aws deploy --set Mode=nodes$",
        r"^dev/aws deploy eks --set Mode=nodes$",
        r"^aws eks update-kubeconfig --name shop --kubeconfig \S+/kubeconfig --alias shop-eks$",
        r"^kubectl get crd gateways.gateway.networking.k8s.io loadbalancerconfigurations.gateway.k8s.aws$",
        r"^aws ecr describe-images --repository-name shop/shop-product --image-ids imageTag=[0-9a-f]{12}$",
        rf"^docker build .*--target product .*--tag {REGISTRY}/shop-product:[0-9a-f]{{12}}",
        r"^docker login --username AWS --password-stdin 123456789012.dkr.ecr.eu-central-1.amazonaws.com$",
        rf"^docker push .*{REGISTRY}/shop-product:",
        r"^helm upgrade --install shop-operator ",
        r"^dev/aws values",
        r"^helm upgrade --install shop .*values-eks.yaml.*gateway.className=alb",
        r"^kubectl .*wait shopservices --all --for=condition=Ready",
        r"^aws elbv2 describe-load-balancers",
        rf"^dev/aws deploy api storefront --set Mode=nodes --set ListenerArn={LISTENER}$",
        r"^dev/aws env$",
        r"^dev/aws deploy identity --set Mode=nodes --set StorefrontUrl=https://pages.example$",
        r"^dev/aws values",
        r"^helm upgrade --install shop .*values-eks.yaml",
        r"^kubectl .*wait shopservices --all --for=condition=Ready",
    )


def test_given_the_api_when_deployed_then_its_address_is_stored_for_dev_token(
    machine: Machine, install: Callable[..., str], tmp_path: Path
) -> None:
    """The stacks have the address only then; the file of the earlier steps contains only the sign-in."""
    machine.answer("dev/aws env", "COGNITO_USER_POOL_ID=pool")
    program = machine.folder / "dev" / "aws"
    program.write_text(
        program.read_text()
        + 'if "deploy api" in command:\n'
        + '    told = "API_URL=https://api.example\\nCOGNITO_USER_POOL_ID=pool"\n'
        + '    with open(folder + "/answers", "w") as file:\n'
        + '        json.dump([["dev/aws env", told, 0], *answers], file)\n'
    )

    assert install() == ""
    kept = read_env_file(tmp_path / "state" / "env")
    assert kept == {"API_URL": "https://api.example", "COGNITO_USER_POOL_ID": "pool"}


def test_given_the_gateway_when_created_then_it_is_internal_and_only_api_gateway_reaches_it(
    machine: Machine, install: Callable[..., str]
) -> None:
    assert install() == ""

    (configuration,) = machine.applied("LoadBalancerConfiguration")
    assert configuration["spec"] == {
        "scheme": "internal",
        "securityGroups": ["sg-1"],
        "manageBackendSecurityGroupRules": True,
    }
    (gateway_class,) = machine.applied("GatewayClass")
    assert gateway_class["spec"] == {"controllerName": "gateway.k8s.aws/alb"}
    (shop, again) = [each for each in machine.commands() if each.startswith("helm upgrade --install shop ")]
    assert shop == again
    assert (
        "gateway.parametersRef.group=gateway.k8s.aws,gateway.parametersRef.kind=LoadBalancerConfiguration,"
        f"gateway.parametersRef.name={configuration['metadata']['name']}" in shop
    )


def test_given_the_services_then_the_health_checks_of_the_load_balancer_equal_their_readiness_probes(
    machine: Machine, install: Callable[..., str]
) -> None:
    """Its default path is `/`, which no service serves."""
    assert install() == ""

    groups = {
        each["spec"]["targetReference"]["name"]: each["spec"]["defaultConfiguration"]
        for each in machine.applied("TargetGroupConfiguration")
    }
    assert set(groups) == set(SHOPSERVICES)
    for group in groups.values():
        check = group["healthCheckConfig"]
        assert group["targetType"] == "ip"
        assert check["healthCheckPath"] == READINESS_PATH
        assert {key: check[name] for key, name in AS_IN_THE_LOAD_BALANCER.items()} == {
            key: pod._READINESS[key] for key in AS_IN_THE_LOAD_BALANCER
        }
    (namespace,) = machine.applied("Namespace")
    assert namespace["metadata"]["labels"]["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"


def test_given_images_in_the_registry_when_installed_again_then_nothing_is_built(
    machine: Machine, install: Callable[..., str]
) -> None:
    machine.answer("describe-images", "{}")

    assert install() == ""
    assert not [command for command in machine.commands() if command.startswith("docker")]


def bases(machine: Machine) -> set[str]:
    """The base images of the builds."""
    builds = [command for command in machine.commands() if command.startswith("docker build")]
    assert len(builds) == len(images.SOURCES) - 1, "all but the emulator's"
    return {re.findall(r"--build-arg BASE=(\S+)", command)[0] for command in builds}


def test_given_a_base_image_with_a_tag_when_images_are_built_then_all_use_its_current_digest(
    machine: Machine, install: Callable[..., str]
) -> None:
    assert install() == ""

    in_order(machine.commands(), rf"^docker pull {images.OFFICIAL_BASE}$", r"^docker build ")
    assert bases(machine) == {f"python@{DIGEST}"}


def test_given_a_base_image_with_a_digest_when_installed_then_all_images_are_built_on_it_with_other_tags(
    machine: Machine, install: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tags() -> set[str]:
        return {command for command in machine.commands() if "ecr describe-images" in command}

    assert install() == ""
    before = tags()
    monkeypatch.setenv("BASE", f"python@{DIGEST}")

    assert install() == ""

    assert bases(machine) == {f"python@{DIGEST}"}
    assert not [command for command in machine.commands() if command.startswith("docker pull")]
    assert len(before) == len(tags())
    assert not before & tags()


def test_given_the_image_of_the_emulator_when_installed_then_it_is_not_pushed(
    machine: Machine, install: Callable[..., str]
) -> None:
    assert install() == ""
    assert not [command for command in machine.commands() if "local-aws" in command]


def test_given_the_secret_of_the_gateway_when_installed_then_it_is_in_the_cluster_and_on_no_command_line(
    machine: Machine, install: Callable[..., str]
) -> None:
    machine.answer(
        "describe-stacks", stacks_answer({**OUTPUTS, "identity": {"GatewaySecretArn": SECRET_ARN}})
    )
    machine.answer(f"get-secret-value --secret-id {SECRET_ARN}", json.dumps({"SecretString": "hush"}))

    assert install() == ""
    secret = machine.applied("Secret")[0]
    assert secret["metadata"] == {"name": "shop-gateway", "namespace": "shop"}
    assert secret["stringData"] == {"secret": "hush"}
    assert not [command for command in machine.commands() if "hush" in command or "the-password" in command]
    assert not [command for command in machine.commands() if "rollout restart" in command]


def test_given_the_keys_of_the_cookies_when_installed_then_they_are_in_the_cluster_and_on_no_command_line(
    machine: Machine, install: Callable[..., str]
) -> None:
    storefront = {**OUTPUTS["storefront"], "SessionKeysArn": SECRET_ARN}
    machine.answer("describe-stacks", stacks_answer({**OUTPUTS, "storefront": storefront}))
    machine.answer(f"get-secret-value --secret-id {SECRET_ARN}", json.dumps({"SecretString": "hush"}))

    assert install() == ""
    (secret,) = machine.applied("Secret")
    assert secret["metadata"] == {"name": "storefront-session", "namespace": "shop"}
    assert secret["stringData"] == {"SESSION_KEYS": "hush"}
    assert not [command for command in machine.commands() if "hush" in command]


def test_given_another_kubeconfig_when_installed_then_it_is_unchanged(
    machine: Machine, install: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    monkeypatch.setenv("KUBECONFIG", str(mine))

    assert install() == ""
    assert mine.read_text() == "mine"
    (update,) = [command for command in machine.commands() if "update-kubeconfig" in command]
    assert f"--kubeconfig {tmp_path / 'state' / 'kubeconfig'}" in update


@pytest.mark.parametrize("tool", ["kubectl", "helm"])
def test_given_a_missing_tool_when_installed_then_one_line_names_it_and_nothing_was_deployed(
    machine: Machine, install: Callable[..., str], tool: str
) -> None:
    (machine.folder / "bin" / tool).unlink()

    assert install() == f"eks: {tool} is not installed or not on PATH"
    assert machine.commands() == []


@pytest.mark.parametrize(
    ("pattern", "said", "line"),
    [
        ("get-caller-identity", "Unable to locate credentials", "no valid AWS credentials: set AWS_PROFILE"),
        ("get-caller-identity", "You must specify a region.", "no AWS region: set AWS_REGION"),
        (
            "get-caller-identity",
            'Could not connect to the endpoint URL: "https://sts.eu-nowhere-1.amazonaws.com/"',
            "check AWS_REGION",
        ),
        ("get crd", 'Error from server (NotFound): customresourcedefinitions "x" not found', "run-on-eks.md"),
        (
            "update-kubeconfig",
            "ResourceNotFoundException: No cluster found for name: shop.",
            "No cluster found",
        ),
        ("dev/aws deploy eks", "dev/aws: shop-eks is in ROLLBACK_COMPLETE", "deploy eks` failed"),
    ],
)
def test_given_a_problem_when_installed_then_one_line_reports_it_and_the_installation_ends(
    machine: Machine, install: Callable[..., str], pattern: str, said: str, line: str
) -> None:
    machine.answer(pattern, said, 1)

    assert line in install()
    assert not [command for command in machine.commands() if command.startswith("helm upgrade")]


def test_given_an_emulator_when_installed_then_it_is_refused(
    machine: Machine, install: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    assert "the emulator does not support EKS" in install()
    assert machine.commands() == []


def test_given_another_region_when_the_load_balancer_is_searched_then_one_line_asks_for_that_of_the_cluster(
    machine: Machine, install: Callable[..., str]
) -> None:
    machine.answer("describe-load-balancers", '{"LoadBalancers": []}')

    assert "set AWS_REGION to the region of the cluster" in install()


def test_given_a_secret_that_is_created_with_the_api_when_installed_then_the_services_that_read_it_restart(
    machine: Machine, install: Callable[..., str]
) -> None:
    late = stacks_answer({**OUTPUTS, "api": {**OUTPUTS["api"], "GatewaySecretArn": SECRET_ARN}})
    machine.answer("get-secret-value", json.dumps({"SecretString": "hush"}))
    # Deploying the API is what makes it: from then on the stacks are described with it.
    machine.program(machine.folder / "dev" / "aws")
    program = machine.folder / "dev" / "aws"
    program.write_text(
        program.read_text()
        + 'if "deploy api" in command:\n'
        + '    with open(folder + "/answers", "w") as file:\n'
        + '        json.dump([["describe-stacks", '
        + repr(late)
        + ", 0], *answers], file)\n"
    )

    assert install() == ""
    in_order(
        machine.commands(), r"^dev/aws deploy api", r"rollout restart deployment/payment deployment/shipping$"
    )
