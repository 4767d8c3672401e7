"""The steps of the demo, which are the same on every cluster: images, AWS, operator, shop, one order."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from shopdev import environment_file, identity
from shopdev.aws_environment import EMULATOR_PORT
from shopdev.checkout import ROOT, SHOPSERVICES, STOREFRONT
from shopdev.console import Steps, run, say
from shopdev.demo import namespaces
from shopdev.demo.customer import FirstCustomer
from shopdev.demo.images import Image, write_references
from shopdev.demo.observing import OPERATOR_VALUES, SHOP_VALUES, Backends
from shopdev.demo.target import (
    AWS_NAMESPACE,
    OPERATOR_NAMESPACE,
    SHOP_NAMESPACE,
    STATE,
    Target,
)

AWS, FUNCTIONS, TOKEN = (ROOT / "dev" / name for name in ("aws", "functions", "token"))


def install(target: Target, backends: Backends | None = None) -> dict[str, Image]:
    """Install everything up to five ready ShopServices behind the gateway, and return the images; a second call changes nothing.

    Args:
        target: the cluster.
        backends: backends of traces and metrics to install, which the shop then uses.
    """
    if backends:
        backends.check(target)
    steps = Steps(total=8 if backends else 7)
    with steps.step("Cluster", "10 s; 12 min the first time, to build the tools"):
        target.prepare()
    with steps.step("Images", "2 s; 2 min the first time"):
        built = target.deliver_images()
        write_references(built, STATE / "images.json")
    namespaces.ensure(
        target, OPERATOR_NAMESPACE, SHOP_NAMESPACE, *([AWS_NAMESPACE] if target.emulated else [])
    )
    with steps.step("Operator", "10 s"):
        _helm(
            target,
            "shop-operator",
            OPERATOR_NAMESPACE,
            "shop-operator",
            [
                *_image_flags("image", built["operator"]),
                *_emulated_queues(target),
                *(OPERATOR_VALUES if backends else ()),
            ],
        )
    with steps.step("AWS emulator" if target.emulated else "AWS account", "10 s"):
        if target.emulated:
            _helm(
                target, "local-aws", AWS_NAMESPACE, "local-aws", [*_image_flags("image", built["local-aws"])]
            )
    if backends:
        with steps.step("Jaeger and Prometheus", "15 s; 13 min the first time, to build them"):
            backends.install(target)
    with steps.step("Functions", "1 s; 30 s the first time"):
        run([sys.executable, str(FUNCTIONS), "build"], env=target.env(), show=True)
    with steps.step("AWS stacks", "20 s in the emulator, 10 min in an account"):
        _deploy_stacks(target)
    with steps.step("Shop: five ShopServices", "20 s"):
        install_shop(target, built, SHOP_VALUES if backends else ())
        if backends:
            backends.load_rules(target)
    return built


def order(target: Target) -> str:
    """Sign in as alice, place one order through the API Gateway, and print each state when it is reached; return its ID.

    Raises:
        CommandError: when the order reaches no final state.
    """
    with customer(target) as alice:
        product = alice.wait_for_catalogue(deadline=60)[0]
        say(f"\nOrdering one {product['name']} ({product['sku']}) at {alice.url}")
        placed = alice.place(product["sku"])
        start = time.monotonic()
        for entry in alice.timeline(placed["id"], deadline=120):
            say(f"  {time.monotonic() - start:6.2f} s  {entry['state']:<9} {entry.get('cause') or ''}")
        say(f"Order {placed['id']}\n")
        return str(placed["id"])


@contextmanager
def customer(target: Target, user: str = "alice") -> Iterator[FirstCustomer]:
    """A customer signed in with Cognito, at the API Gateway or, before it is deployed, at the gateway of the cluster."""
    with target.aws() as env, target.shop_url() as shop_url:
        api = environment_file.parse(run([sys.executable, str(AWS), "env"], env=env))
        token = run([sys.executable, str(TOKEN), user], env={**env, **api}).strip()
        with FirstCustomer(api.get("API_URL", shop_url), token) as signed_in:
            yield signed_in


def show(target: Target) -> None:
    """Print what is installed and which commands to try next."""
    installed = run(["kubectl", "-n", SHOP_NAMESPACE, "get", "shopservices"], env=target.env())
    say(installed)
    inside = target.way_in()
    with customer(target) as alice:
        say(
            f"""The API:        curl -s '{alice.url}/products?q=grinder'
An order:       dev/demo order
Your orders:    curl -s -H "Authorization: Bearer $(dev/token alice)" {alice.url}/orders
Kubernetes:     {inside}kubectl -n {SHOP_NAMESPACE} get shopservices,deployments,hpa,httproutes
ShopServices:   {inside}kubectl shop -n {SHOP_NAMESPACE} tree
Scale:          {inside}kubectl -n {SHOP_NAMESPACE} scale shopservice shipping --replicas 2
Self-healing:   {inside}kubectl -n {SHOP_NAMESPACE} delete deployment payment
Clean up:       {target.way_off()}"""
        )
    if way := target.way_to_aws():
        say(f"Keep running:   {way}   # the API runs in the pod of the emulator")
    if STOREFRONT in installed:
        _show_pages(target)


def _show_pages(target: Target) -> None:
    """Print how to open the pages in a browser of this machine."""
    if way := target.way_to_pages():
        say(f"Keep running:   {way}   # the pages")
    users = f"{', '.join(identity.USERS)}; password {identity.PASSWORD}"
    say(f"Sign in as:     {users if target.emulated else 'a user of the user pool'}")
    say(f"Open the shop:  {target.pages_url()}")


def _deploy_stacks(target: Target) -> None:
    """Deploy the stacks and store their outputs in .dev/env for clients of the API."""
    with target.aws() as env:
        run([sys.executable, str(AWS), "deploy", *target.stack_parameters()], env=env, show=True)
        if target.emulated:
            secret = run([sys.executable, str(AWS), "machine-secret", "--namespace", SHOP_NAMESPACE], env=env)
            run(["kubectl", "apply", "--server-side", "-f", "-"], env=target.env(), stdin=secret)
    keep_addresses(target)


def keep_addresses(target: Target) -> None:
    """Store the addresses of the API, of AWS and of the sign-in in .dev/env, for `dev/token` and clients of the API."""
    with target.aws() as env:
        found = environment_file.parse(run([sys.executable, str(AWS), "env"], env=env))
        emulator = {"AWS_ENDPOINT_URL": env["AWS_ENDPOINT_URL"]} if target.emulated else {}
    environment_file.merge(STATE / "env", found | emulator)


def install_shop(target: Target, built: Mapping[str, Image], more: Sequence[str] = ()) -> None:
    """Install or upgrade the shop with the outputs of the stacks, and wait until every ShopService is ready.

    Args:
        target: the cluster.
        built: the images.
        more: further arguments for `helm upgrade`.
    """
    values = STATE / "values-aws.yaml"
    with target.aws() as env:
        values.write_text(run([sys.executable, str(AWS), "values"], env=env))
    chart = ROOT / "charts" / "shop"
    run(["helm", "dependency", "update", "--skip-refresh", str(chart)], env=target.env())
    place = "values-local.yaml" if target.emulated else "values-eks.yaml"
    flags = ["--values", str(chart / place), "--values", str(values), *target.shop_values(), *more]
    for service in SHOPSERVICES:
        flags += _image_flags(f"{service}.image", built[service])
    _helm(target, "shop", SHOP_NAMESPACE, "shop", flags)
    run(
        [
            "kubectl",
            "-n",
            SHOP_NAMESPACE,
            "wait",
            "shopservices",
            "--all",
            "--for=condition=Ready",
            "--timeout=180s",
        ],
        env=target.env(),
    )


def _emulated_queues(target: Target) -> list[str]:
    """The addresses of the emulator that KEDA may read; none in an account."""
    hosts = (f"local-aws.{AWS_NAMESPACE}.svc{domain}" for domain in ("", ".cluster.local"))
    addresses = ",".join(f"http://{host}:{EMULATOR_PORT}" for host in hosts)
    return ["--set", f"allowedQueueEndpoints={{{addresses}}}"] if target.emulated else []


def _image_flags(key: str, image: Image) -> list[str]:
    return ["--set-string", f"{key}.repository={image.repository},{key}.tag={image.tag}"]


def _helm(target: Target, release: str, namespace: str, chart: str, flags: list[str]) -> None:
    _end_what_was_interrupted(target, release, namespace)
    command = ["helm", "upgrade", "--install", release, str(ROOT / "charts" / chart)]
    run([*command, "--namespace", namespace, "--wait", "--timeout", "5m", *flags], env=target.env())


def _end_what_was_interrupted(target: Target, release: str, namespace: str) -> None:
    """Unlock a release that an interrupted Helm left pending, so that `make demo` can continue from any state."""
    releases = json.loads(
        run(["helm", "list", "--namespace", namespace, "--pending", "-o", "json"], env=target.env())
    )
    for each in releases:
        if each["name"] != release:
            continue
        undo = (
            ["uninstall", "--no-hooks"] if each["status"] == "pending-install" else ["rollback", "--no-hooks"]
        )
        say(f"      release {release} is {each['status']} after an interruption; running helm {undo[0]}")
        run(["helm", *undo, release, "--namespace", namespace], env=target.env())
