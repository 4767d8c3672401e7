"""Every command of every pipeline, run on a clean clone: the registry is the emulator's, the cluster a real API server.

Whole tiers of tests (`make lint`, `make test`, `make test-unit`) are only checked in the Makefile, because they run this
very test. This test acts as the kubelet and the gateway: it marks the pods of every Deployment as running and every route
as accepted.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from shopdev.cluster import tools
from shopdev.processes.shop import Shop
from tests.delivery.advisories import database
from tests.delivery.commands import ROOT, everything
from tests.integration.cluster import Cluster
from tests.integration.operators import running
from tests.shops import own_shop
from tests.waiting import wait_for

pytestmark = [pytest.mark.emulator, pytest.mark.cluster, pytest.mark.timeout(600)]

TIERS = ("make lint", "make test", "make test-unit")
SERVICE = "product"
# What a service needs before another step makes sense; what a file leaves out is not run for it.
ORDER = (
    "image",
    "sbom",
    "scan",
    "push",
    "findings",
    "chart",
    "update-kubeconfig",
    "deploy",
    "smoke",
    "rollback",
    "functions",
    "deploy functions functions-catalogue functions-partners",
    "changed",
)
LONGEST_SECONDS = 240
OF_A_SHOP = ("AWS_", "COGNITO_", "SHOP_", "SMOKE_")


def distinct() -> list[str]:
    """Every command once, in an order that meets their requirements."""
    found = {command for commands in everything().values() for command in commands}
    return sorted(found - set(TIERS), key=_place)


def _place(command: str) -> tuple[int, str]:
    for place, step in reversed(list(enumerate(ORDER))):
        if f" {step} " in f"{command} ":
            return place, command
    pytest.fail(f"{command}: this test does not know when it is to be run")


@dataclass
class World:
    """A clean clone and the servers that its commands use."""

    clone: Path
    environment: dict[str, str]
    cluster: Cluster
    shop: Shop
    said: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """The output of a command, which must succeed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        self.said[command] = done.stdout
        return done.stdout

    def customer_of(self, order_id: str) -> str:
        """The customer of an order."""
        key = {"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": "ORDER"}}
        table = self.shop.outputs["order"]["Table"]
        found = self.shop.clients.dynamodb.get_item(TableName=table, Key=key)["Item"]
        return found["customer_id"]["S"]

    def image(self) -> str:
        """The image in the spec of the ShopService."""
        return str(self.cluster.get("ShopService", "shop", SERVICE)["spec"]["image"])


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as in a pipeline, with the environments of `dev/bootstrap`, which take minutes to create."""
    folder = tmp_path_factory.mktemp("clone") / "shop"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    for each in (".venv", ".venv-awscli", ".venv-local-aws"):
        (folder / each).symlink_to(ROOT / each)
    (ROOT / ".venv").touch()  # newer than the clone's files, or make would build it again
    return folder


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A running shop for the smoke test, and its AWS with the registry."""
    with own_shop() as shop:
        shop.start()
        yield shop


@pytest.fixture(scope="module")
def advisories() -> Iterator[str]:
    """A vulnerability database without vulnerabilities."""
    with database({}) as url:
        yield url


def play_the_rest(cluster: Cluster, stop: threading.Event) -> None:
    """Says, as kubelets and a gateway would, that whatever is asked for runs."""
    while not stop.wait(0.2):
        for pod in cluster.http.get("/api/v1/namespaces/shop/pods").json()["items"]:
            ready = [
                {"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")
            ]
            _status(
                cluster,
                f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}",
                phase="Running",
                conditions=ready,
            )
        for route in cluster.http.get(cluster.path("HTTPRoute", "shop")).json()["items"]:
            parent = {
                "parentRef": route["spec"]["parentRefs"][0],
                "controllerName": "example.com/gateway",
                "conditions": [
                    {
                        "type": kind,
                        "status": "True",
                        "reason": kind,
                        "message": "",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                        "observedGeneration": route["metadata"]["generation"],
                    }
                    for kind in ("Accepted", "ResolvedRefs")
                ],
            }
            _status(cluster, cluster.path("HTTPRoute", "shop", route["metadata"]["name"]), parents=[parent])
        for scaler in cluster.http.get(cluster.path("HorizontalPodAutoscaler", "shop")).json()["items"]:
            active = [
                {"type": kind, "status": "True", "reason": "Valid", "message": ""}
                for kind in ("AbleToScale", "ScalingActive")
            ]
            minimum = scaler["spec"]["minReplicas"]
            _status(
                cluster,
                cluster.path("HorizontalPodAutoscaler", "shop", scaler["metadata"]["name"]),
                conditions=active,
                currentReplicas=minimum,
                desiredReplicas=minimum,
            )


def _status(cluster: Cluster, path: str, **status: Any) -> None:
    cluster.http.patch(
        f"{path}/status", json={"status": status}, headers={"Content-Type": "application/merge-patch+json"}
    )


def smoke_client(shop: Shop) -> dict[str, str]:
    """How the smoke test signs in, from where the pipelines have it: the secret of the identity stack, and no customer."""
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    secrets = session.client("secretsmanager", endpoint_url=shop.emulator.endpoint)
    identity = shop.outputs["identity"]
    client = json.loads(secrets.get_secret_value(SecretId=identity["SmokeSecretArn"])["SecretString"])
    return {
        # Under the name that it has on AWS the emulator does not answer.
        "TOKEN_URL": f"{shop.emulator.endpoint}{urlsplit(identity['TokenUrl']).path}",
        "SMOKE_CLIENT_ID": client["id"],
        "SMOKE_CLIENT_SECRET": client["secret"],
    }


@pytest.fixture(scope="module")
def world(
    engine: None,
    clone: Path,
    shop: Shop,
    advisories: str,
    cluster: Cluster,
    operator_kubeconfig: Path,
    gateway_api: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("delivery")
    registry = urlsplit(shop.emulator.endpoint).netloc
    ecr = boto3.client(
        "ecr",
        endpoint_url=shop.emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    ecr.create_repository(repositoryName=f"shop/shop-{SERVICE}")
    eks = boto3.client(
        "eks",
        endpoint_url=shop.emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    eks.create_cluster(name="shop", roleArn="arn:aws:iam::000000000000:role/eks", resourcesVpcConfig={})
    cluster.namespace("shop")
    helm, kubernetes = tools.ensure("helm3"), tools.ensure("kubernetes")
    environment = {
        # The machine's own (proxies, certificates), and nothing of a shop that its user has.
        **{name: value for name, value in os.environ.items() if not name.startswith(OF_A_SHOP)},
        "PATH": f"{ROOT / '.venv' / 'bin'}:{ROOT / '.venv-awscli' / 'bin'}:{helm}:{kubernetes}:{os.environ['PATH']}",
        **shop.emulator.env,
        "KUBECONFIG": str(cluster.kubeconfig),
        "SERVICE": SERVICE,
        "REGISTRY": f"{registry}/shop",
        "CLUSTER_NAME": "shop",
        "NAMESPACE": "shop",
        "SHOP_URL": shop.api_url,
        **smoke_client(shop),
        "VULNERABILITY_SERVICE_URL": advisories,
        # The emulator's registry has no scanner, which the step says aloud.
        "SCAN_FLAGS": "--offline-ok",
        "CODEBUILD_SRC_DIR_Delivery": str(clone / ".dev" / "delivery" / SERVICE),
        "GITHUB_OUTPUT": str(folder / "output"),
        "BEFORE": "",
        "LAST": "",
    }
    stop = threading.Event()
    player = threading.Thread(target=play_the_rest, args=(cluster, stop), daemon=True)
    with running(operator_kubeconfig, folder / "operator.log"):
        player.start()
        yield World(clone, environment, cluster, shop)
        stop.set()
        player.join(10)


@pytest.fixture(scope="module")
def delivered_before(world: World) -> str:
    """A release of the service as an earlier delivery left it; answers its image."""
    chart = str(ROOT / "charts" / "shop-service")
    values = f"name={SERVICE},image.repository=registry.example/shop-{SERVICE},image.tag=before"
    world.run(f"helm upgrade --install {SERVICE} {chart} --namespace shop --set {values}")
    return world.image()


def test_given_the_three_pipelines_when_parsed_then_their_steps_are_the_same() -> None:
    def steps(*files: str) -> set[str]:
        found = {command for file in files for command in everything()[file]}
        return {command for command in found if command.startswith(("make", "dev/aws", "aws"))} - set(TIERS)

    jenkins, github = steps("Jenkinsfile"), steps(".github/workflows/deliver.yaml")
    assert jenkins == github
    codebuild = steps(*(file for file in everything() if "buildspecs" in file))
    # CodePipeline deploys and rolls back with its own actions, and passes the delivery in a variable.
    assert {command.replace(" DELIVERY=$CODEBUILD_SRC_DIR_Delivery", "") for command in codebuild} == {
        command for command in jenkins if not command.startswith(("make deploy", "make rollback"))
    }


@pytest.mark.parametrize("tier", TIERS)
def test_given_a_test_tier_then_a_pipeline_runs_it_and_the_makefile_contains_it(
    world: World, tier: str
) -> None:
    assert any(tier in commands for commands in everything().values())
    assert world.run(tier.replace("make", "make -n"))


@pytest.mark.parametrize("command", distinct())
def test_given_a_clean_clone_when_a_command_of_a_pipeline_is_run_then_it_has_its_effect(
    world: World, delivered_before: str, command: str
) -> None:
    if "update-kubeconfig" in command:
        # It must not turn the commands after it to a cluster that answers nothing.
        command = f"KUBECONFIG={world.clone}/eks.kubeconfig {command}"
    before = world.image()
    said = world.run(command)
    digest = f"{world.environment['REGISTRY']}/shop-{SERVICE}"
    if " deploy SERVICE" in command:
        assert before == delivered_before
        assert digest in world.image()
        assert "@sha256:" in world.image()
    elif "rollback" in command:
        assert digest in before
        wait_for(lambda: world.image() == delivered_before)
    elif "smoke" in command:
        assert "SHIPPED" in said
        assert (
            world.customer_of(said.split("order ")[1].partition(":")[0])
            == world.environment["SMOKE_CLIENT_ID"]
        )
    elif "sbom" in command:
        assert "distribution packages" in said
    elif "changed" in command:
        output = Path(world.environment["GITHUB_OUTPUT"])
        assert SERVICE in (said or output.read_text())
    elif "update-kubeconfig" in command:
        assert (world.clone / "eks.kubeconfig").exists()


def test_given_a_completed_delivery_then_the_clone_contains_only_ignored_new_files(
    world: World,
) -> None:
    left = world.run("git status --porcelain")
    assert [line for line in left.splitlines() if "eks.kubeconfig" not in line and ".venv" not in line] == []
