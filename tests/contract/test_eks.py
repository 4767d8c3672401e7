"""The cluster: each ServiceAccount has one role, each role one service's policy, and nothing is wider than AWS makes it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import SERVICES, SHOPSERVICES
from shopdev.cloudformation import stacks
from shopdev.demo import images
from tests.charts.helm import Helm

DOCUMENT = stacks.document("eks")
RESOURCES: Mapping[str, Mapping[str, Any]] = DOCUMENT["Resources"]
ADD_ONS = {
    "ExternalDns": ("external-dns", "external-dns"),
    "Keda": ("keda", "keda-operator"),
    "LoadBalancerController": ("kube-system", "aws-load-balancer-controller"),
}
# Statement -> why `*` is all that it can say. The service authorization reference of each service lists, per action,
# the resource types that it can be narrowed to; for all actions here that list is empty.
EVERYWHERE = {
    ("LoadBalancerControllerRole", "Look"): "EC2's and ELB's Describe actions take no resource",
}
READING = ("Describe", "Discover", "Get", "List")


def of_type(kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> properties."""
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


ROLES = of_type("AWS::IAM::Role")
ASSOCIATIONS = of_type("AWS::EKS::PodIdentityAssociation")
POD_ROLES = [each["RoleArn"]["Fn::GetAtt"][0] for each in ASSOCIATIONS.values()]


def statements() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Role and statement of everything that the roles' own policies grant."""
    for name, role in ROLES.items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def conditions(role: str) -> Mapping[str, Any]:
    """Conditions for assuming a role."""
    (statement,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    found: Mapping[str, Any] = statement["Condition"]["StringEquals"]
    return found


def test_given_the_pods_of_the_chart_then_each_serviceaccount_is_associated_with_the_role_of_its_service(
    helm: Helm,
) -> None:
    """A ShopService's workers run under its ServiceAccount, so a service is one identity."""
    used: dict[str, set[str]] = {}
    for shopservice in helm.template("shop", files=("values-eks.yaml",), namespace="shop"):
        if shopservice["kind"] != "ShopService":
            continue
        shopservice["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
        for child in render(ShopService.from_object(shopservice), live=None):
            if child["kind"] == "Deployment":
                account = child["spec"]["template"]["spec"]["serviceAccountName"]
                used.setdefault(shopservice["metadata"]["name"], set()).add(account)
    associated = {
        each["ServiceAccount"]: each["RoleArn"]["Fn::GetAtt"][0]
        for each in ASSOCIATIONS.values()
        if each["Namespace"] == {"Ref": "Namespace"}
    }

    assert used == {service: {service} for service in SHOPSERVICES}
    assert associated == {service: f"{service.capitalize()}Role" for service in SERVICES}
    assert DOCUMENT["Parameters"]["Namespace"]["Default"] == "shop"


@pytest.mark.parametrize("service", SERVICES)
def test_given_the_role_of_a_service_then_it_has_only_the_policy_of_that_service(
    service: str,
) -> None:
    role = ROLES[f"{service.capitalize()}Role"]

    assert role["ManagedPolicyArns"] == [
        {"Fn::ImportValue": {"Fn::Sub": f"${{Prefix}}-{service}-AccessPolicyArn"}}
    ]
    assert "Policies" not in role


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_given_the_role_of_a_pod_then_only_its_cluster_namespace_and_serviceaccount_can_assume_it(
    name: str,
) -> None:
    association = ASSOCIATIONS[name]
    role = association["RoleArn"]["Fn::GetAtt"][0]
    (statement,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert conditions(role) == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"},
        "aws:RequestTag/eks-cluster-name": {"Ref": "Prefix"},
        "aws:RequestTag/kubernetes-namespace": association["Namespace"],
        "aws:RequestTag/kubernetes-service-account": association["ServiceAccount"],
    }


def test_given_the_pod_identity_associations_then_each_serviceaccount_has_a_role_of_its_own() -> None:
    accounts = [(str(each["Namespace"]), each["ServiceAccount"]) for each in ASSOCIATIONS.values()]

    assert len(set(accounts)) == len(accounts)
    assert len(set(POD_ROLES)) == len(POD_ROLES)
    assert {
        name.removesuffix("Identity"): (each["Namespace"], each["ServiceAccount"])
        for name, each in ASSOCIATIONS.items()
        if isinstance(each["Namespace"], str)
    } == ADD_ONS


def test_given_a_role_without_a_pod_then_it_belongs_to_the_cluster_its_nodes_or_its_network() -> None:
    assert set(ROLES) - set(POD_ROLES) == {"ClusterRole", "NodeRole", "NetworkRole"}


def test_given_the_policies_of_the_roles_then_actions_are_named_and_only_reads_apply_to_all_resources() -> (
    None
):
    found = list(statements())
    assert found
    everywhere = set()
    for role, statement in found:
        actions = listed(statement["Action"])
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions if "*" in action], (
            f"{role} {statement['Sid']}: name the actions"
        )
        if "*" in listed(statement["Resource"]):
            everywhere.add((role, statement["Sid"]))
            writing = [action for action in actions if not action.split(":")[1].startswith(READING)]
            assert not writing, f"{role}: {writing} on everything"

    assert everywhere == set(EVERYWHERE)


def test_given_the_role_of_externaldns_then_it_has_only_the_policy_of_the_discovery_stack() -> None:
    role = ROLES["ExternalDnsRole"]

    assert role["ManagedPolicyArns"] == [
        {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-discovery-ExternalDnsPolicyArn"}}
    ]
    assert "Policies" not in role


def test_given_the_role_of_keda_then_it_reads_exactly_the_queues_that_services_consume() -> None:
    consumed = sum(
        1
        for service in SERVICES
        for each in stacks.document(service)["Resources"].values()
        if each["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in each["Properties"]
    )
    (statement,) = [statement for role, statement in statements() if role == "KedaRole"]

    assert statement["Action"] == "sqs:GetQueueAttributes"
    assert len(statement["Resource"]) == consumed


def test_given_the_images_of_the_project_then_each_has_a_scanned_repository_with_immutable_tags() -> None:
    repositories = of_type("AWS::ECR::Repository").values()

    assert {each["RepositoryName"]["Fn::Sub"] for each in repositories} == {
        f"${{Prefix}}/{images.image_name(target)}" for target in images.SOURCES
    }
    for each in repositories:
        assert each["ImageTagMutability"] == "IMMUTABLE"
        assert each["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert "sinceImagePushed" in each["LifecyclePolicy"]["LifecyclePolicyText"]


def test_given_the_eks_cluster_then_its_secrets_are_encrypted_and_all_its_components_log() -> None:
    (cluster,) = of_type("AWS::EKS::Cluster").values()
    (key,) = of_type("AWS::KMS::Key").values()
    kinds = {each["Type"] for each in cluster["Logging"]["ClusterLogging"]["EnabledTypes"]}

    assert cluster["EncryptionConfig"] == [
        {"Resources": ["secrets"], "Provider": {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}}}
    ]
    assert key["EnableKeyRotation"] is True
    assert kinds == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert cluster["AccessConfig"]["AuthenticationMode"] == "API"


def test_given_auto_mode_or_a_node_group_then_the_pod_identity_agent_is_present() -> None:
    """Auto Mode has the agent built in; a node group has it as an add-on before its nodes come."""
    (cluster,) = of_type("AWS::EKS::Cluster").values()
    condition, given, otherwise = cluster["ComputeConfig"]["Fn::If"]
    add_ons = {each["AddonName"]: name for name, each in of_type("AWS::EKS::Addon").items()}

    assert (condition, given["Enabled"], otherwise) == ("Auto", True, {"Ref": "AWS::NoValue"})
    assert cluster["KubernetesNetworkConfig"]["Fn::If"][0] == cluster["StorageConfig"]["Fn::If"][0] == "Auto"
    agent = add_ons["eks-pod-identity-agent"]
    assert RESOURCES[agent]["Condition"] == RESOURCES["NodeGroup"]["Condition"] == "Nodes"
    assert agent in RESOURCES["NodeGroup"]["DependsOn"]
    assert "Condition" not in RESOURCES[add_ons["metrics-server"]]


def test_given_a_node_then_its_pods_cannot_reach_the_instance_metadata() -> None:
    (template,) = of_type("AWS::EC2::LaunchTemplate").values()

    assert template["LaunchTemplateData"]["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }


def test_given_the_access_entry_of_the_pipeline_then_it_is_limited_to_the_namespace_of_the_shop() -> None:
    (policy,) = RESOURCES["DeployEntry"]["Properties"]["AccessPolicies"]

    assert policy["AccessScope"] == {"Type": "namespace", "Namespaces": [{"Ref": "Namespace"}]}
