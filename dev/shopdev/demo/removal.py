"""Removal of the demo. It needs no package, so that it works after the virtual environment was removed."""

from shopdev.console import run
from shopdev.demo.target import AWS_NAMESPACE, OPERATOR_NAMESPACE, SHOP_NAMESPACE, Target


def remove(target: Target) -> None:
    """Remove everything that the demo installed. The order matters only on a cluster that is not removed itself."""
    if target.remove_cluster():
        return
    for release, namespace in (
        ("shop", SHOP_NAMESPACE),
        ("local-aws", AWS_NAMESPACE),
        ("shop-operator", OPERATOR_NAMESPACE),
    ):
        run(
            ["helm", "uninstall", release, "-n", namespace, "--ignore-not-found", "--wait"],
            env=target.env(),
            show=True,
        )
    for namespace in (SHOP_NAMESPACE, AWS_NAMESPACE, OPERATOR_NAMESPACE):
        run(["kubectl", "delete", "namespace", namespace, "--ignore-not-found"], env=target.env(), show=True)
    run(
        ["kubectl", "delete", "crd", "shopservices.shopservice.dev", "--ignore-not-found"],
        env=target.env(),
        show=True,
    )
