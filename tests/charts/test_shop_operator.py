"""charts/shop-operator: its objects, its permissions, and the values that it rejects."""

from typing import Any

import pytest
import yaml

from shop_operator.render import KINDS
from shopdev.checkout import ROOT
from shopdev.documentation.version import version
from tests.charts.helm import Helm, Object, Refused, names, only

CHILD = {"create", "delete", "get", "list", "patch", "watch"}
IN_A_NAMESPACE = {
    ("shopservice.dev", "shopservices"): {"list", "watch"},
    ("shopservice.dev", "shopservices/status"): {"patch"},
    ("shopservice.dev", "shopservices/finalizers"): {"update"},
    **{(kind.api_version.rpartition("/")[0], kind.plural): CHILD for kind in KINDS},
    ("", "pods"): {"list"},
    ("apps", "replicasets"): {"list"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
READS_CONFIG = {("", kind): {"get", "list", "watch"} for kind in ("configmaps", "secrets")}
SEES_CRDS = {("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"}}
SEES_NAMESPACES = {("", "namespaces"): {"list", "watch"}}


def _render(helm: Helm, values: dict[str, Any] | None = None) -> list[Object]:
    return helm.template("shop-operator", values, namespace="shop-operator")


def _rights(role: Object) -> dict[tuple[str, str], set[str]]:
    """(group, resource) -> verbs; a rule bound to names counts as resource/name."""
    rights: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [""]):
                    key = (group, f"{resource}={name}" if name else resource)
                    rights.setdefault(key, set()).update(rule["verbs"])
    return rights


def test_given_defaults_then_the_chart_renders_every_object_that_the_operator_requires(helm: Helm) -> None:
    assert names(_render(helm)) == {
        "CustomResourceDefinition/shopservices.shopservice.dev",
        "ServiceAccount/shop-operator",
        "ClusterRole/shop-operator",
        "ClusterRoleBinding/shop-operator",
        "ClusterRole/shop-operator-view",
        "ClusterRole/shop-operator-edit",
        "Role/shop-operator-config-key",
        "RoleBinding/shop-operator-config-key",
        "Role/shop-operator-leader",
        "RoleBinding/shop-operator-leader",
        "Deployment/shop-operator",
        "Service/shop-operator-metrics",
        "PodDisruptionBudget/shop-operator",
        "NetworkPolicy/shop-operator",
    }


def test_given_logs_in_diagnoses_then_the_operator_has_the_permission_and_the_argument(helm: Helm) -> None:
    objects = _render(helm, {"diagnoseLogs": True})

    expected = IN_A_NAMESPACE | READS_CONFIG | SEES_CRDS | SEES_NAMESPACES | {("", "pods/log"): {"get"}}
    assert _rights(only(objects, "ClusterRole", "shop-operator")) == expected
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--diagnose-logs" in container["args"]


def test_given_defaults_then_the_crd_is_upgraded_with_the_release_and_outlives_it(helm: Helm) -> None:
    crd = only(_render(helm), "CustomResourceDefinition")
    file = yaml.safe_load((ROOT / "charts/shop-operator/files/crd.yaml").read_text())

    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert crd["spec"] == file["spec"]
    assert not (ROOT / "charts/shop-operator/crds").exists(), "Helm never upgrades what is there"


def test_given_crds_that_are_not_kept_or_not_installed_then_the_chart_follows(helm: Helm) -> None:
    dropped = only(_render(helm, {"crds": {"keep": False}}), "CustomResourceDefinition")
    assert "helm.sh/resource-policy" not in dropped["metadata"].get("annotations", {})

    kinds = {each["kind"] for each in _render(helm, {"crds": {"install": False}})}
    assert "CustomResourceDefinition" not in kinds


def test_given_the_whole_cluster_then_the_clusterrole_has_exactly_the_verbs_that_the_operator_uses(
    helm: Helm,
) -> None:
    role = only(_render(helm), "ClusterRole", "shop-operator")

    assert _rights(role) == IN_A_NAMESPACE | READS_CONFIG | SEES_CRDS | SEES_NAMESPACES


def test_given_unwatched_configuration_then_the_operator_has_no_permission_to_read_secrets(
    helm: Helm,
) -> None:
    objects = _render(helm, {"watchConfig": False})

    assert (
        _rights(only(objects, "ClusterRole", "shop-operator")) == IN_A_NAMESPACE | SEES_CRDS | SEES_NAMESPACES
    )
    assert "Role/shop-operator-config-key" not in names(objects)
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert "--no-watch-config" in container["args"]


def test_given_watched_namespaces_then_the_operator_has_permissions_only_there(helm: Helm) -> None:
    objects = _render(helm, {"watchNamespaces": ["shop", "shop-two"]})

    assert _rights(only(objects, "ClusterRole", "shop-operator")) == SEES_CRDS | SEES_NAMESPACES
    roles = {
        r["metadata"]["namespace"]: r
        for r in objects
        if r["kind"] == "Role" and r["metadata"]["namespace"] != "shop-operator"
    }
    assert set(roles) == {"shop", "shop-two"}
    assert all(_rights(role) == IN_A_NAMESPACE | READS_CONFIG for role in roles.values())
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {"--namespace=shop", "--namespace=shop-two"} <= set(container["args"])


def test_given_watched_configuration_then_the_operator_reads_only_the_key_in_its_own_namespace(
    helm: Helm,
) -> None:
    role = only(_render(helm), "Role", "shop-operator-config-key")

    assert role["metadata"]["namespace"] == "shop-operator"
    assert _rights(role) == {("", "secrets"): {"create"}, ("", "secrets=shop-operator-config-key"): {"get"}}


def test_given_leader_election_then_the_operator_has_permission_to_update_only_its_own_lease(
    helm: Helm,
) -> None:
    role = only(_render(helm), "Role", "shop-operator-leader")

    assert role["metadata"]["namespace"] == "shop-operator"
    assert _rights(role) == {
        ("coordination.k8s.io", "leases"): {"create"},
        ("coordination.k8s.io", "leases=shop-operator"): {"get", "update"},
    }


def test_given_no_leader_election_then_no_lease_is_granted_and_a_second_replica_is_refused(
    helm: Helm,
) -> None:
    objects = _render(helm, {"leaderElection": {"enabled": False}, "replicas": 1})

    assert not any("leader" in name for name in names(objects))
    assert "PodDisruptionBudget" not in {each["kind"] for each in objects}, "it would block every drain"
    assert (
        "--no-leader-elect"
        in only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    )
    with pytest.raises(Refused) as caught:
        _render(helm, {"leaderElection": {"enabled": False}})
    assert "set replicas to 1 or leaderElection.enabled to true" in caught.value.sentence


def test_given_another_serviceaccount_then_every_binding_grants_a_role_of_the_release_to_it(
    helm: Helm,
) -> None:
    objects = _render(helm, {"watchNamespaces": ["shop"], "serviceAccount": {"name": "keeper"}})

    assert only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "keeper"
    assert only(objects, "ServiceAccount")["metadata"]["name"] == "keeper"
    bindings = [each for each in objects if each["kind"].endswith("Binding")]
    assert len(bindings) == 4
    for binding in bindings:
        assert f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}" in names(objects)
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "keeper", "namespace": "shop-operator"}
        ]


def _aggregated(role: Object) -> set[str]:
    """The standard roles that a ClusterRole extends."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {key.removeprefix(prefix) for key in role["metadata"]["labels"] if key.startswith(prefix)}


def test_given_defaults_then_view_reads_shopservices_and_optional_children_and_edit_writes_shopservices(
    helm: Helm,
) -> None:
    objects = _render(helm)
    view, edit = (only(objects, "ClusterRole", f"shop-operator-{name}") for name in ("view", "edit"))

    assert _aggregated(view) == {"view", "edit", "admin"}
    assert _aggregated(edit) == {"edit", "admin"}
    assert {verb for verbs in _rights(view).values() for verb in verbs} == {"get", "list", "watch"}
    optional = {(kind.api_version.rpartition("/")[0], kind.plural) for kind in KINDS if kind.optional}
    assert {name for name in _rights(view) if name[0] != "shopservice.dev"} == optional
    assert ("shopservice.dev", "shopservices/status") not in _rights(edit), "status is the operator's alone"


@pytest.mark.parametrize(("lowest", "expected"), [("edit", {"edit", "admin"}), ("admin", {"admin"})])
def test_given_the_lowest_role_with_write_access_then_no_lower_role_has_it(
    helm: Helm, lowest: str, expected: set[str]
) -> None:
    edit = only(_render(helm, {"rbac": {"write": lowest}}), "ClusterRole", "shop-operator-edit")

    assert _aggregated(edit) == expected


def test_given_no_role_with_write_access_then_the_standard_roles_only_read(helm: Helm) -> None:
    objects = names(_render(helm, {"rbac": {"write": "none"}}))

    assert "ClusterRole/shop-operator-view" in objects
    assert "ClusterRole/shop-operator-edit" not in objects


def test_given_defaults_then_the_policy_admits_only_monitoring_and_allows_the_api_server_and_dns(
    helm: Helm,
) -> None:
    objects = _render(helm)
    spec = only(objects, "NetworkPolicy")["spec"]
    pods = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]

    assert spec["podSelector"]["matchLabels"].items() <= pods.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert spec["ingress"] == [{"from": [namespace], "ports": [{"protocol": "TCP", "port": "metrics"}]}]
    assert [{(each["protocol"], each["port"]) for each in rule["ports"]} for rule in spec["egress"]] == [
        {("UDP", 53), ("TCP", 53)},
        {("TCP", port) for port in (443, 6443, 8443, 16443)},
    ]


def test_given_no_metrics_namespace_then_the_network_policy_admits_no_connection(helm: Helm) -> None:
    values = {"networkPolicy": {"metricsNamespaces": [], "apiServerPorts": [8443]}}
    spec = only(_render(helm, values), "NetworkPolicy")["spec"]

    assert "ingress" not in spec
    assert spec["egress"][1]["ports"] == [{"protocol": "TCP", "port": 8443}]


def test_given_a_disabled_network_policy_then_the_chart_renders_none(helm: Helm) -> None:
    assert "NetworkPolicy/shop-operator" not in names(_render(helm, {"networkPolicy": {"enabled": False}}))


def test_given_admission_policies_then_each_is_bound_to_the_watched_namespaces(helm: Helm) -> None:
    assert not any("Admission" in name for name in names(_render(helm)))

    policies = {"admissionPolicies": {"serviceAccounts": True, "gateways": True}}
    objects = _render(helm, {**policies, "watchNamespaces": ["shop"]})

    for resource in ("serviceaccounts", "gateways"):
        binding = only(objects, "ValidatingAdmissionPolicyBinding", f"shop-operator-use-{resource}")
        assert f"ValidatingAdmissionPolicy/{binding['spec']['policyName']}" in names(objects)
        assert binding["spec"]["validationActions"] == ["Deny"]
        (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["shop"]


def test_given_defaults_then_two_replicas_have_a_budget_spread_constraints_and_probes(helm: Helm) -> None:
    objects = _render(helm)
    spec = only(objects, "Deployment")["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]

    assert spec["replicas"] == 2
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    assert {"POD_NAME", "POD_NAMESPACE"} <= {each["name"] for each in container["env"]}
    assert set(container["resources"]) == {"requests", "limits"}


def test_given_defaults_then_the_pod_is_restricted_and_writes_only_to_tmp(helm: Helm) -> None:
    pod = only(_render(helm), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 65532)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108  # an emptyDir


def test_given_another_metrics_port_then_container_and_service_use_it(helm: Helm) -> None:
    objects = _render(helm, {"metrics": {"port": 9090}})
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    service = only(objects, "Service")

    assert "--metrics-port=9090" in container["args"]
    assert container["ports"][0]["containerPort"] == 9090
    assert (service["spec"]["ports"][0]["port"], service["spec"]["ports"][0]["targetPort"]) == (
        9090,
        "metrics",
    )


def test_given_a_servicemonitor_then_it_selects_the_metrics_service(helm: Helm) -> None:
    objects = _render(
        helm, {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    )
    monitor, service = only(objects, "ServiceMonitor"), only(objects, "Service")

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "interval": "30s"}]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, f"registry.invalid/shop-operator:{version()}"),
        ({"repository": "reg.example/shop-operator"}, f"reg.example/shop-operator:{version()}"),
        ({"registry": "reg.example"}, f"reg.example/shop-operator:{version()}"),
        ({"registry": "reg.example/team/", "tag": "v2"}, "reg.example/team/shop-operator:v2"),
        (
            {"registry": "reg.example", "digest": "sha256:" + "0" * 64},
            f"reg.example/shop-operator:{version()}@sha256:" + "0" * 64,
        ),
    ],
)
def test_given_image_values_then_the_image_reference_is_composed_of_them(
    helm: Helm, image: dict[str, str], reference: str
) -> None:
    deployment = only(_render(helm, {"image": image}), "Deployment")

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == reference


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replica": 1}, "additional properties 'replica' not allowed"),
        ({"replicas": "two"}, "at '/replicas': got string, want integer"),
        ({"replicas": -1}, "at '/replicas': minimum: got -1, want 0"),
        ({"logLevel": "loud"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"watchNamespaces": ["Shop"]}, "at '/watchNamespaces/0': 'Shop' does not match pattern"),
        ({"watchNamespaces": "shop"}, "at '/watchNamespaces': got string, want array"),
        ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
        ({"metrics": {"port": 80}}, "at '/metrics/port': minimum: got 80, want 1,024"),
        ({"resources": {"limit": {}}}, "at '/resources': additional properties 'limit' not allowed"),
        (
            {"serviceAccount": {"create": False}},
            "set it to an existing ServiceAccount, or enable serviceAccount.create",
        ),
        (
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor selects the metrics Service: set metrics.service.enabled too",
        ),
    ],
)
def test_given_an_invalid_value_then_the_error_names_it(
    helm: Helm, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        _render(helm, values)

    assert sentence in caught.value.sentence


def test_given_a_pod_security_level_and_protected_namespaces_then_the_arguments_contain_them(
    helm: Helm,
) -> None:
    def args(values: dict[str, Any]) -> list[str]:
        (container,) = only(_render(helm, values), "Deployment")["spec"]["template"]["spec"]["containers"]
        return [a for a in container["args"] if a.startswith(("--pod-security", "--protected-namespace"))]

    assert args({}) == [
        "--pod-security=restricted",
        "--protected-namespace=kube-system",
        "--protected-namespace=kube-public",
        "--protected-namespace=kube-node-lease",
    ]
    assert args({"podSecurity": "baseline", "protectedNamespaces": ["platform"]}) == [
        "--pod-security=baseline",
        "--protected-namespace=platform",
    ]


def test_given_allowed_queue_endpoints_then_the_arguments_contain_them(helm: Helm) -> None:
    def args(values: dict[str, Any]) -> list[str]:
        (container,) = only(_render(helm, values), "Deployment")["spec"]["template"]["spec"]["containers"]
        return [a for a in container["args"] if a.startswith("--allowed-queue-endpoint")]

    assert args({}) == []
    assert args({"allowedQueueEndpoints": ["http://aws.emulator.svc:4566"]}) == [
        "--allowed-queue-endpoint=http://aws.emulator.svc:4566"
    ]
    for bad in ("aws:4566", "http://*", "http://a@b"):
        with pytest.raises(Refused):
            _render(helm, {"allowedQueueEndpoints": [bad]})
