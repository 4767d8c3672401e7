"""An EKS cluster as the target of the demo's steps.

Every step checks what exists, so that a second run continues where the first one ended.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from shopdev.checkout import ROOT, SHOPSERVICES, STOREFRONT
from shopdev.cloudformation.account import AwsError
from shopdev.console import CommandError, run, say
from shopdev.delivery.engine import Docker
from shopdev.demo import images
from shopdev.demo.images import SOURCES, Image
from shopdev.eks.awscli import AwsCli

PREFIX = NAMESPACE = "shop"
GATEWAY_CLASS = "alb"
STATE = ROOT / ".dev" / "eks"
ADDRESS_SECONDS = 600
HTTP_PORT = 80
READINESS = {
    "healthCheckPath": "/readyz",
    "healthCheckInterval": 5,
    "healthCheckTimeout": 2,
    "healthyThresholdCount": 2,
    "unhealthyThresholdCount": 3,
}
DOCUMENT = "docs/how-to/run-on-eks.md"
# CRDs of the Gateway API and of its controller, which the Gateway needs.
NEEDED_CRDS = ("gateways.gateway.networking.k8s.io", "loadbalancerconfigurations.gateway.k8s.aws")


class Eks:
    """The cluster of the stack `eks`, and the account of the caller's credentials.

    Args:
        environment: environment of every command.
        parameters: parameters of the stacks, as NAME=VALUE.
    """

    emulated = False

    def __init__(self, environment: Mapping[str, str], parameters: Sequence[str] = ()) -> None:
        self._environment = dict(environment)
        self._parameters = [part for pair in parameters for part in ("--set", pair)]
        self._kubeconfig = STATE / "kubeconfig"
        self.cli = AwsCli(environment)

    def env(self) -> dict[str, str]:
        """The caller's environment with the kubeconfig of this cluster, which gets its tokens from the AWS CLI."""
        own = ROOT / ".venv-awscli" / "bin"
        path = f"{own}{os.pathsep}{self._environment.get('PATH', '')}"
        return {**self._environment, "KUBECONFIG": str(self._kubeconfig), "PATH": path}

    def prepare(self) -> None:
        """Deploy the stacks and the cluster, and create what the Gateway needs in it.

        Raises:
            CommandError: when a tool, or a controller in the cluster, is missing.
            AwsError: when AWS refuses a request.
        """
        self._look_for_tools()
        identity = json.loads(self.cli.run("sts", "get-caller-identity", "--output", "json"))
        say(f"      account {identity['Account']}, {self.cli.region}, as {identity['Arn']}")
        self._dev("functions", "build")
        self._dev("aws", "deploy", *self._parameters)
        say("      deploying the cluster (a new one takes 15 min)")
        self._dev("aws", "deploy", "eks", *self._parameters)
        self._kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        self.cli.run(
            *("eks", "update-kubeconfig", "--name", self.output("eks", "ClusterName")),
            *("--kubeconfig", str(self._kubeconfig), "--alias", f"{PREFIX}-eks"),
        )
        self._look_for_controller()
        for manifest in (_namespace(), _gateway_class(), self._load_balancer(), *_target_groups()):
            self._apply(manifest)
        self.copy_gateway_secret()
        self._copy_secret("SessionKeysArn", "storefront-session", "SESSION_KEYS")

    def deliver_images(self, tree: Path = ROOT, targets: Collection[str] = SOURCES) -> dict[str, Image]:
        """Build and push the images that the registry lacks; a tag is the hash of the sources.

        The hash includes the name of the base image in BASE, by default a tag, so that nothing is pulled when nothing is built.
        New images are built on the newest content of that tag, by one digest for all images. To deliver a patched base to
        images with unchanged sources, set BASE to its digest, as the pipelines do.

        Raises:
            CommandError: when an image must be built and no container engine is running.
        """
        registry = self.output("eks", "Registry")
        wanted = [target for target in targets if target != "local-aws"]
        named = self._environment.get("BASE") or images.OFFICIAL_BASE
        planned = images.plan(registry, named, tree, wanted)
        missing = {target: image for target, image in planned.items() if not self._has(image)}
        say(f"      {len(planned) - len(missing)} of {len(planned)} images are already in {registry}")
        if missing:
            base = Docker(images.container_engine(self.env()), self.env()).base(named)
            say(f"      base image: {base}")
            engine = images.build_with_engine(missing, base, self.env(), tree)
            password = self.cli.run("ecr", "get-login-password")
            host = registry.partition("/")[0]
            run(
                [engine, "login", "--username", "AWS", "--password-stdin", host],
                env=self.env(),
                stdin=password,
            )
            images.push(missing, engine, self.env())
        return planned

    def shop_values(self) -> list[str]:
        """The class of the Gateway, and the configuration of its internal load balancer, which only API Gateway reaches."""
        reference = "group=gateway.k8s.aws,{0}.kind=LoadBalancerConfiguration,{0}.name=" + PREFIX
        return [
            *("--set", f"gateway.className={GATEWAY_CLASS}"),
            *("--set", "gateway.parametersRef." + reference.format("gateway.parametersRef")),
        ]

    def stack_parameters(self) -> list[str]:
        """The parameters of the caller."""
        return self._parameters

    @contextmanager
    def aws(self) -> Iterator[dict[str, str]]:
        """The caller's account."""
        yield self.env()

    def way_to_aws(self) -> str:
        """Empty: AWS needs no connection of its own."""
        return ""

    def way_in(self) -> str:
        """The kubeconfig of the cluster, and the PATH of the plugin in the environment of the checkout."""
        return f'KUBECONFIG={self._kubeconfig} PATH="$PWD/.venv/bin:$PATH" '

    def way_off(self) -> str:
        """The command that deletes the stacks and, with them, the cluster."""
        return "make aws-delete"

    @contextmanager
    def shop_url(self) -> Iterator[str]:
        """The URL of the API: only API Gateway reaches the load balancer."""
        yield self.output("api", "ApiUrl")

    def pages_url(self) -> str:
        """The URL of the API Gateway in front of the pages, or the custom domain."""
        return self.output(STOREFRONT, "Url")

    def way_to_pages(self) -> str:
        """Empty: API Gateway is public."""
        return ""

    def remove_cluster(self) -> bool:
        """Return False: `dev/aws delete` removes the cluster with everything else."""
        return False

    def listener_arn(self) -> str:
        """The listener that the controller created for the Gateway.

        Raises:
            CommandError: when it is not created in time.
        """
        host = self._gateway_address()
        balancers = json.loads(self.cli.run("elbv2", "describe-load-balancers", "--output", "json"))
        found = [each for each in balancers["LoadBalancers"] if each["DNSName"].lower() == host.lower()]
        if not found:
            raise CommandError(
                f"no load balancer in {self.cli.region} has the host name {host}: set AWS_REGION to the region of the cluster"
            )
        arn = found[0]["LoadBalancerArn"]
        listeners = json.loads(
            self.cli.run("elbv2", "describe-listeners", "--load-balancer-arn", arn, "--output", "json")
        )["Listeners"]
        for each in listeners:
            if each["Port"] == HTTP_PORT:
                return str(each["ListenerArn"])
        raise CommandError(f"{arn} has no listener on port {HTTP_PORT}; check the Gateway: {_describe()}")

    def connect_api(self, listener: str) -> None:
        """Deploy the API and the pages in front of a listener."""
        self._dev("aws", "deploy", "api", STOREFRONT, *self._parameters, "--set", f"ListenerArn={listener}")

    def admit_pages(self) -> None:
        """Let the user pool lead signed-in users back to the pages."""
        self._dev(
            "aws", "deploy", "identity", *self._parameters, "--set", f"StorefrontUrl={self.pages_url()}"
        )

    def copy_gateway_secret(self) -> bool:
        """Copy the secret with which services recognize API Gateway to the cluster; return whether it exists yet."""
        return self._copy_secret("GatewaySecretArn", "shop-gateway", "secret")

    def restart_callees_of_machines(self) -> None:
        """Restart the services that machines call, so that they read the secret."""
        restart = [
            "kubectl",
            "-n",
            NAMESPACE,
            "rollout",
            "restart",
            "deployment/payment",
            "deployment/shipping",
        ]
        run(restart, env=self.env())

    def output(self, stack: str, name: str) -> str:
        """An output of a stack.

        Raises:
            AwsError: when the stack does not exist or has no such output.
        """
        outputs = self.cli.outputs(PREFIX).get(stack, {})
        if name not in outputs:
            raise AwsError(f"{PREFIX}-{stack} has no output {name}: run `dev/aws deploy {stack}`")
        return outputs[name]

    def _look_for_tools(self) -> None:
        for tool in ("kubectl", "helm"):
            if shutil.which(tool, path=self.env()["PATH"]) is None:
                raise CommandError(f"{tool} is not installed or not on PATH")
        if self._environment.get("AWS_ENDPOINT_URL"):
            raise CommandError(
                "AWS_ENDPOINT_URL is set, but the emulator does not support EKS: unset it, or use `make demo`"
            )

    def _look_for_controller(self) -> None:
        try:
            run(["kubectl", "get", "crd", *NEEDED_CRDS], env=self.env())
        except CommandError as error:
            if "NotFound" not in str(error):
                raise
            raise CommandError(
                "the cluster has no AWS Load Balancer Controller: install it as described in "
                f"{DOCUMENT} (KUBECONFIG={self._kubeconfig}), then run `make eks-install` again"
            ) from None

    def _load_balancer(self) -> dict[str, object]:
        return {
            "apiVersion": "gateway.k8s.aws/v1beta1",
            "kind": "LoadBalancerConfiguration",
            "metadata": {"name": PREFIX, "namespace": NAMESPACE},
            "spec": {
                "scheme": "internal",
                "securityGroups": [self.output("network", "LoadBalancerSecurityGroupId")],
                "manageBackendSecurityGroupRules": True,
            },
        }

    def _gateway_address(self) -> str:
        get = ["kubectl", "-n", NAMESPACE, "get", "gateway", PREFIX, "-o", "json"]
        end = time.monotonic() + ADDRESS_SECONDS
        while time.monotonic() < end:
            addresses = json.loads(run(get, env=self.env())).get("status", {}).get("addresses", [])
            if addresses:
                return str(addresses[0]["value"])
            say("      waiting for the address of the Gateway")
            time.sleep(10)
        raise CommandError(
            f"Gateway {NAMESPACE}/{PREFIX} has no address after {ADDRESS_SECONDS} s: {_describe()}"
        )

    def _has(self, image: Image) -> bool:
        repository = image.repository.partition("/")[2]
        try:
            self.cli.run(
                *("ecr", "describe-images", "--repository-name", repository),
                *("--image-ids", f"imageTag={image.tag}"),
            )
        except AwsError as error:
            if "ImageNotFoundException" in str(error) or "does not exist within" in str(error):
                return False
            raise
        return True

    def _copy_secret(self, output: str, name: str, key: str) -> bool:
        """Copy a secret of a stack to a Secret; return whether a stack outputs its ARN yet."""
        found = self.cli.outputs(PREFIX).values()
        arns = [outputs[output] for outputs in found if output in outputs]
        for arn in arns:
            answer = self.cli.run(
                "secretsmanager", "get-secret-value", "--secret-id", arn, "--output", "json"
            )
            self._apply(_secret(name, key, json.loads(answer)["SecretString"]))
        return bool(arns)

    def _apply(self, manifest: Mapping[str, object]) -> None:
        # A separate field manager: otherwise the demo's steps would remove these fields from the objects that they apply too.
        apply = ["kubectl", "apply", "--server-side", "--field-manager=eks-install", "-f", "-"]
        run(apply, env=self.env(), stdin=json.dumps(manifest))

    def _dev(self, program: str, *arguments: str) -> None:
        run([sys.executable, str(ROOT / "dev" / program), *arguments], env=self.env(), show=True)


def _namespace() -> dict[str, object]:
    labels = {
        "app.kubernetes.io/managed-by": "shop-demo",
        "pod-security.kubernetes.io/enforce": "restricted",
        # A new pod becomes ready, and an old one terminates, only after the load balancer found the new one healthy.
        "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _gateway_class() -> dict[str, object]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": GATEWAY_CLASS},
        "spec": {"controllerName": "gateway.k8s.aws/alb"},
    }


def _target_groups() -> Iterator[dict[str, object]]:
    """The target groups: the pods of each service, with health checks like their readiness probes."""
    for service in SHOPSERVICES:
        yield {
            "apiVersion": "gateway.k8s.aws/v1beta1",
            "kind": "TargetGroupConfiguration",
            "metadata": {"name": service, "namespace": NAMESPACE},
            "spec": {
                "targetReference": {"name": service},
                "defaultConfiguration": {"targetType": "ip", "healthCheckConfig": READINESS},
            },
        }


def _secret(name: str, key: str, value: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": {key: value},
    }


def _describe() -> str:
    return f"`kubectl -n {NAMESPACE} describe gateway {PREFIX}`"
