"""Everything printed runs as printed: against a real API server, without pods, and with Helm as the repository builds it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
import yaml

from shopdev.cluster import tools
from shopdev.cluster.controlplane import ControlPlane
from shopdev.documentation.version import version
from tests.charts.cluster import Cluster
from tests.charts.helm import Helm
from tests.printed import ROOT, Suggestion, of_explain, of_notes, of_pages, typed
from tests.waiting import wait_for

NEEDS: Final = {
    r"^(make|aws|kind|eksctl) ": "builds or needs a cluster or an account: tests/e2e and tests/delivery run it",
    r"^kubectl (-n \S+ )?wait .*--for=condition=Ready": "waits for pods: tests/e2e/test_examples.py",
    r"^kubectl .*\blogs\b": "reads a pod's log: there are no pods here",
    r"^kubectl (describe pod|logs) order-1 ": "names a pod: there are no pods here",
    r"^kubectl .*\bedit\b": "opens an editor",
    r"^kubectl .*get lease ": "no operator runs here that would hold the Lease: tests/e2e/test_operator.py",
    r"-n argocd ": "needs Argo CD",
    r"^kubectl wait job/": "waits for the pod of a Job: there are no pods here",
    r"^kubectl rollout status deployment/shop-operator ": "waits for pods: tests/e2e/test_operator.py",
    r"^kubectl shop (exec|restart) ": "needs pods: tests/operator/cli/test_pods.py and tests/integration/test_cli_working.py",
    r"values-staging.yaml": "reads the outputs of stacks: tests/charts/test_shop.py renders the chart",
    r"^helm uninstall shop-operator ": "the other commands need the CRD of the release: tests/charts/test_releases.py",
    r"^kubectl rollout resume ": "resumes a paused Deployment: none is paused here",
    r"^kubectl .*port-forward": "stays open",
    r"^kubectl shop dlq ": "runs in a pod: tests/operator/cli/test_pods.py and tests/services/common/messaging/test_dlq.py",
    r"^kubectl shop status -w": "watches until it is interrupted: tests/operator/cli/test_terminal.py",
    r"^kubectl shop (explain|rollback|diff)\b": "exits with 1 while there are no pods, no image before or a difference",
    r"^kubectl shop recommend\b": "needs what pods have used: tests/integration/test_cli_figures.py",
    r"^kubectl shop ui\b": "stays open: tests/integration/test_ui.py",
    r"^kubectl argo ": "needs the plugin of Argo Rollouts",
    r"^kubectl describe rollout ": "names a Rollout: nothing is released by canary here",
    r"^helm upgrade shop charts/shop .*--reuse-values": "changes an installed shop: tests/charts/test_tracing.py renders the values",
    r"^(pip|pipx|install|tar|ln|krew) ": "tests/operator/cli/test_installing.py runs it",
    r"https?://kedacore": "reaches a registry of charts",
    r"^(make release|dev/release|git|gpg|cosign|sha256sum|helm verify) ": "makes or checks a release: tests/dev/test_release.py and tests/delivery/test_release.py",
    r"oci://": "reaches a registry of charts: tests/delivery/test_release.py",
    r"^(dev/aws|dev/shop|dev/token|dev/demo|curl) ": "needs the shop: tests/e2e/test_printed.py",
    r"^IMAGE=|^sed .*IMAGE": "needs the images that `make images` has pushed",
    r"^export ": "sets a variable of the reader's shell",
}
"""Commands that end otherwise here, by pattern, each with why; a kubectl or helm among them must still be a command that there is."""
MISUSE: Final = re.compile(
    r"unknown (command|flag|shorthand|subcommand)|No such (command|option)|Usage:|doesn't have a resource type"
    r"|error: you must|invalid argument|accepts \d|Got unexpected|Missing (argument|option)",
)


LASTING: Final = re.compile(
    r"\b(edit|logs|port-forward|wait|rollout status)\b| -w\b|--watch|^kubectl (shop ui|argo)\b"
)
CONTINUED: Final = {
    "docs/how-to/move-to-shopservices.md": "needs an operator: tests/integration/test_walkthroughs.py",
    "docs/tutorial/break-it-and-watch-it-heal.md": "needs an operator: tests/integration/test_walkthroughs.py",
    "docs/tutorial/your-first-queue-worker.md": "needs a queue: tests/services/test_first_queue_worker.py",
    "docs/how-to/find-a-failed-order.md": "a command uses variables of earlier ones: tests/services/telemetry/test_failed_order.py",
}
"""Pages with commands that need the effects of earlier ones; for each, the test that runs them in their order."""


@dataclass
class World:
    """A cluster with the operator's chart and four ShopServices, and the repository as the folder where one types."""

    environment: dict[str, str]
    cluster: Cluster

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Result of the command in a shell, without `dev/cluster exec --`, which only enters the demo's network."""
        text = command.replace("dev/cluster exec -- ", "")
        text = text.replace("REGISTRY/", "registry.example.com/").replace("TAG", "v1")
        text = text.replace("web.yaml", WEB).replace(f"manifests/examples/{WEB}", WEB)
        return typed(text, self.environment, 20)

    def settled(self, command: str) -> subprocess.CompletedProcess[str]:
        """The same once the API server serves every CRD, which takes it a moment after they are established."""
        return wait_for(
            lambda: self._unless_initializing(command), 30, what="an API server that serves every kind"
        )

    def _unless_initializing(self, command: str) -> subprocess.CompletedProcess[str]:
        done = self.run(command)
        assert "(re)initializing" not in done.stderr
        return done


WEB: Final = "manifests/examples/web.yaml"
PLUGIN: Final = (
    "#!{}\nimport sys\nfrom shop_operator.cli.commands import main\nsys.argv[0] = 'kubectl-shop'\nmain()\n"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("printed")
    plugin = folder / "kubectl-shop"
    plugin.write_text(PLUGIN.format(sys.executable))
    plugin.chmod(0o755)
    with ControlPlane(folder / "cluster", controller_manager=False) as plane:
        cluster = Cluster(plane.kubeconfig, tools.ensure("kubernetes") / "kubectl")
        cluster.install_crds(
            *tools.ensure("gateway-api").glob("*.yaml"),
            tools.ensure("keda-crds") / "keda.sh_scaledobjects.yaml",
            *tools.ensure("prometheus-operator-crds").glob("*.yaml"),
            tools.ensure("argo-rollouts-crds") / "rollout-crd.yaml",
        )
        path = [str(folder), str(tools.ensure("kubernetes")), str(tools.ensure("helm3")), os.environ["PATH"]]
        found = World(
            {
                **os.environ,
                "PATH": os.pathsep.join(path),
                "KUBECONFIG": str(plane.kubeconfig),
                "PYTHONPATH": str(ROOT / "operator"),
                "HOME": str(folder),
            },
            cluster,
        )
        install = next(each for each in of_pages() if "helm upgrade --install shop-operator" in each.command)
        done = found.run(install.command)
        assert done.returncode == 0, done.stderr
        cluster.wait_for_crds()
        cluster.kubectl("create", "namespace", "shop")
        for name in ("order", "payment", "product", "shipping", "hello"):
            cluster.kubectl("apply", "-n", "shop", "-f", "-", stdin=yaml.safe_dump(shopservice(name)))
            cluster.kubectl("create", "deployment", name, "--image=shop-sample:0.1.0", "-n", "shop")
            cluster.kubectl("label", "deployment", name, f"shopservice.dev/name={name}", "-n", "shop")
        cluster.kubectl("create", "deployment", "payment-consumer", "--image=shop-sample:0.1.0", "-n", "shop")
        reconciler = ("cronjob", "shop-reconciler", "--image=shop-sample:0.1.0", "--schedule=*/5 * * * *")
        cluster.kubectl("create", *reconciler, "-n", "shop")
        yield found


def shopservice(name: str) -> dict[str, object]:
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": name},
        "spec": {"image": "shop-sample:0.1.0", "replicas": 1},
    }


def suggestions() -> list[Suggestion]:
    found = {each.command: each for each in (*of_pages(), *of_explain())}
    # What takes away comes last, so that everything else finds it.
    return sorted(found.values(), key=lambda each: bool(re.search(r"\b(delete|uninstall)\b", each.command)))


@pytest.mark.parametrize("suggestion", suggestions(), ids=str)
def test_given_a_command_printed_by_a_page_or_by_explain_when_it_runs_then_it_succeeds(
    world: World, suggestion: Suggestion
) -> None:
    command = suggestion.command.replace("dev/cluster exec -- ", "")
    continued = CONTINUED.get(suggestion.where)
    reason = next((why for pattern, why in NEEDS.items() if re.search(pattern, command)), continued)
    if reason is None:
        done = world.settled(suggestion.command)
        assert done.returncode == 0 or _refused_on_purpose(suggestion, done), f"{suggestion}\n{done.stderr}"
    elif command.startswith("kubectl") and not LASTING.search(command):
        said = world.run(command)
        assert not MISUSE.search(said.stderr), f"{suggestion} ({reason})\n{said.stderr}"


def _refused_on_purpose(suggestion: Suggestion, done: subprocess.CompletedProcess[str]) -> bool:
    """The tutorial's step "Get it wrong" shows a refusal, and says what it says."""
    return (
        suggestion.where.startswith("docs/tutorial")
        and '"maxReplicas": 5' in suggestion.command
        and ("is invalid" in done.stderr or "denied" in done.stderr)
    )


@pytest.mark.parametrize("chart", ["shop-operator", "shop-service", "local-aws"])
def test_given_the_notes_of_a_chart_when_their_commands_run_then_kubectl_accepts_them(
    world: World, chart: str
) -> None:
    values = ["--set", "crds.install=false"] if chart == "shop-operator" else []
    values += ["--set", "image.repository=r.example.com/x", "--set-string", "image.tag=1"]
    done = subprocess.run(
        ["helm", "install", f"{chart}-notes", f"charts/{chart}", "--dry-run", "-n", "shop", *values],
        cwd=ROOT,
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "NOTES:" in done.stdout, done.stderr
    notes = list(of_notes(done.stdout.rpartition("NOTES:")[2]))

    assert notes
    for command in notes:
        if command.startswith("kubectl") and not re.search(r"wait|watch|port-forward|delete", command):
            said = world.run(command)
            absent = re.search(r"NotFound|not found", said.stderr)
            assert said.returncode == 0 or absent, f"{command}\n{said.stderr}"
            assert not MISUSE.search(said.stderr), command


@pytest.mark.parametrize(
    ("chart", "registry", "sentence"),
    [
        (
            "shop-operator",
            "image.registry",
            f"image registry.invalid/shop-operator:{version()} has no registry",
        ),
        ("local-aws", "image.registry", f"image local-aws:{version()} has no registry"),
        (
            "shop",
            "global.image.registry",
            "shop-product, shop-order, shop-payment, shop-shipping, shop-storefront have no registry",
        ),
    ],
)
def test_given_no_registry_then_the_notes_say_how_to_set_it(
    world: World, helm: Helm, chart: str, registry: str, sentence: str
) -> None:
    command = f"helm install {chart}-bare {helm.charts}/{chart} --dry-run --namespace bare"
    command += " --set crds.install=false" if chart == "shop-operator" else ""

    bare, named = world.run(command).stdout, world.run(f"{command} --set {registry}=r.example.com").stdout

    assert sentence in bare
    assert f"--reuse-values --set {registry}=REGISTRY" in bare
    assert "NOTES:" in named
    assert "REGISTRY" not in named


def test_given_an_installed_operator_when_a_second_one_is_installed_without_the_crd_then_helm_succeeds(
    world: World,
) -> None:
    page = (ROOT / "docs/how-to/run-on-your-own-cluster.md").read_text()
    command = next(each for each in of_pages() if "crds.install=false" in each.command).command
    assert "## A second operator" in page

    world.run("kubectl create namespace team-b")
    done = world.run(command)
    assert done.returncode == 0, done.stderr

    # What the page warns of: with the CRD, Helm would take over what is the other release's.
    refused = world.run(
        command.replace(",crds.install=false", "").replace("shop-operator-b", "shop-operator-c")
    )
    assert "cannot be imported into the current release" in refused.stderr
