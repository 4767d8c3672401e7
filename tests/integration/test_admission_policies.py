"""The chart's optional policies: the author of a ShopService needs the verb `use` on the objects that it names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shopdev.cluster import tools
from tests.integration.cluster import Cluster
from tests.integration.operators import ROOT, run
from tests.integration.shopservices import ROUTE, shopservice
from tests.waiting import wait_for

TENANT = "tenant"


@pytest.fixture(scope="module")
def policies(cluster: Cluster, kubectl: Path, operator_kubeconfig: Path) -> Iterator[None]:
    """Both policies, and nothing else of the chart."""
    version = cluster.http.get("/version").json()["gitVersion"]
    rendered = run(
        [
            *(tools.ensure("helm3") / "helm", "template", "shop-operator", ROOT / "charts/shop-operator"),
            *("--namespace", "shop-operator", "--kube-version", version),
            *("--set", "admissionPolicies.serviceAccounts=true,admissionPolicies.gateways=true"),
            *("--show-only", "templates/admission-policies.yaml"),
        ]
    )
    admin: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig]
    run([*admin, "apply", "--server-side", "-f", "-"], rendered)
    yield
    run([*admin, "delete", "-f", "-"], rendered)


@pytest.fixture
def tenant(cluster: Cluster, kubectl: Path, namespace: str, policies: None) -> "Tenant":
    return Tenant(cluster, kubectl, namespace)


class Tenant:
    """A user who may write the ShopServices of one namespace."""

    def __init__(self, cluster: Cluster, kubectl: Path, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._admin: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace]
        self.grant(
            "writer",
            apiGroups=["shopservice.dev"],
            resources=["shopservices"],
            verbs=["get", "create", "update", "patch"],
        )

    def grant(self, name: str, **rule: list[str]) -> None:
        """Give the tenant a role in the namespace."""
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name},
            "rules": [rule],
        }
        run([*self._admin, "create", "-f", "-"], json.dumps(role))
        run([*self._admin, "create", "rolebinding", name, f"--role={name}", f"--user={TENANT}"])

    def create(self, obj: dict[str, Any]) -> httpx.Response:
        """Try to create an object."""
        return self.cluster.http.post(
            self.cluster.path(obj["kind"], self.namespace),
            json=obj,
            headers={"Impersonate-User": TENANT},
        )

    def patch(self, name: str, patch: dict[str, Any]) -> httpx.Response:
        """Try to change a ShopService."""
        return self.cluster.http.patch(
            self.cluster.path("ShopService", self.namespace, name),
            content=json.dumps(patch),
            headers={"Impersonate-User": TENANT, "Content-Type": "application/merge-patch+json"},
        )

    def refused(self, obj: dict[str, Any]) -> str:
        """The sentence by which an object is refused; policies take effect some time after they are written."""

        def answer() -> str:
            tried = self.create(obj)
            if tried.status_code == httpx.codes.CREATED:
                path = self.cluster.path(obj["kind"], self.namespace, obj["metadata"]["name"])
                self.cluster.http.delete(path).raise_for_status()
                return ""
            assert tried.status_code == httpx.codes.FORBIDDEN, tried.text
            message: str = tried.json()["message"]
            return message

        return wait_for(answer)


def test_given_a_serviceaccount_that_the_author_may_not_use_then_the_spec_is_denied_until_use_is_granted(
    tenant: Tenant,
) -> None:
    named = shopservice(tenant.namespace, serviceAccount={"name": "deployer"})

    assert (
        f"spec.serviceAccount.name: {TENANT} may not use ServiceAccount deployer: the verb use on"
        f" serviceaccounts/deployer is required in namespace {tenant.namespace}" in tenant.refused(named)
    )
    assert tenant.create(shopservice(tenant.namespace, "own")).status_code == httpx.codes.CREATED
    annotated = shopservice(tenant.namespace, "annotated", serviceAccount={"annotations": {"a": "b"}})
    assert tenant.create(annotated).status_code == httpx.codes.CREATED
    assert tenant.patch("own", {"spec": named["spec"]}).status_code == httpx.codes.FORBIDDEN

    tenant.grant(
        "user", apiGroups=[""], resources=["serviceaccounts"], resourceNames=["deployer"], verbs=["use"]
    )
    wait_for(lambda: tenant.create(named).status_code == httpx.codes.CREATED)
    assert tenant.patch("own", {"spec": named["spec"]}).status_code == httpx.codes.OK


def test_given_a_gateway_that_the_author_may_not_use_then_the_spec_is_denied_until_use_is_granted(
    tenant: Tenant,
) -> None:
    routed = shopservice(tenant.namespace, **ROUTE)

    assert f"spec.gateway: {TENANT} may not use Gateway {tenant.namespace}/shop:" in tenant.refused(routed)
    elsewhere = {"gateway": {"name": "shop", "namespace": "edge"}, "routes": ROUTE["routes"]}
    assert "Gateway edge/shop:" in tenant.refused(shopservice(tenant.namespace, **elsewhere))

    tenant.grant(
        "user",
        apiGroups=["gateway.networking.k8s.io"],
        resources=["gateways"],
        resourceNames=["shop"],
        verbs=["use"],
    )
    wait_for(lambda: tenant.create(routed).status_code == httpx.codes.CREATED)


def test_given_a_spec_older_than_the_policy_when_its_metadata_changes_then_the_update_is_admitted(
    cluster: Cluster, tenant: Tenant
) -> None:
    tenant.refused(shopservice(tenant.namespace, "probe", serviceAccount={"name": "deployer"}))
    cluster.create(shopservice(tenant.namespace, "old", serviceAccount={"name": "deployer"}))

    answer = tenant.patch("old", {"metadata": {"labels": {"team": "a"}}})

    assert answer.status_code == httpx.codes.OK, answer.text
