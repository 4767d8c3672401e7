"""The cluster: each ServiceAccount has one role, each role one service's policy, and nothing is wider than AWS makes it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.render import render
from shopdev.checkout import SERVICES
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
    """What a role asks of who takes it."""
    (statement,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    found: Mapping[str, Any] = statement["Condition"]["StringEquals"]
    return found


def test_given_the_charts_when_their_pods_start_then_each_serviceaccount_has_its_services_role(
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

    assert used == {service: {service} for service in SERVICES}
    assert associated == {service: f"{service.capitalize()}Role" for service in SERVICES}
    assert DOCUMENT["Parameters"]["Namespace"]["Default"] == "shop"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_services_role_when_read_then_it_has_that_services_policy_and_nothing_else(
    service: str,
) -> None:
    role = ROLES[f"{service.capitalize()}Role"]

    assert role["ManagedPolicyArns"] == [
        {"Fn::ImportValue": {"Fn::Sub": f"${{Prefix}}-{service}-AccessPolicyArn"}}
    ]
    assert "Policies" not in role


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_given_a_pods_role_when_another_cluster_or_account_asks_for_it_then_it_is_refused(name: str) -> None:
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


def test_given_the_roles_when_counted_then_each_serviceaccount_has_one_and_none_is_shared() -> None:
    accounts = [(str(each["Namespace"]), each["ServiceAccount"]) for each in ASSOCIATIONS.values()]

    assert len(set(accounts)) == len(accounts)
    assert len(set(POD_ROLES)) == len(POD_ROLES)
    assert {
        name.removesuffix("Identity"): (each["Namespace"], each["ServiceAccount"])
        for name, each in ASSOCIATIONS.items()
        if isinstance(each["Namespace"], str)
    } == ADD_ONS


def test_given_a_role_when_not_a_pods_then_it_is_of_the_cluster_its_nodes_or_its_network() -> None:
    assert set(ROLES) - set(POD_ROLES) == {"ClusterRole", "NodeRole", "NetworkRole"}


def test_given_the_policies_when_read_then_none_grants_more_than_aws_lets_it_say() -> None:
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


def test_given_externaldns_when_it_registers_services_then_it_has_the_right_that_the_namespaces_stack_grants() -> (
    None
):
    role = ROLES["ExternalDnsRole"]

    assert role["ManagedPolicyArns"] == [
        {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-discovery-ExternalDnsPolicyArn"}}
    ]
    assert "Policies" not in role


def test_given_keda_when_it_reads_queues_then_they_are_the_ones_that_services_consume() -> None:
    consumed = sum(
        1
        for service in SERVICES
        for each in stacks.document(service)["Resources"].values()
        if each["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in each["Properties"]
    )
    (statement,) = [statement for role, statement in statements() if role == "KedaRole"]

    assert statement["Action"] == "sqs:GetQueueAttributes"
    assert len(statement["Resource"]) == consumed


def test_given_the_images_of_the_project_when_pushed_then_each_has_a_scanned_registry_with_fixed_tags() -> (
    None
):
    repositories = of_type("AWS::ECR::Repository").values()

    assert {each["RepositoryName"]["Fn::Sub"] for each in repositories} == {
        f"${{Prefix}}/{images.image_name(target)}" for target in images.SOURCES
    }
    for each in repositories:
        assert each["ImageTagMutability"] == "IMMUTABLE"
        assert each["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert "sinceImagePushed" in each["LifecyclePolicy"]["LifecyclePolicyText"]


def test_given_the_cluster_when_made_then_secrets_are_encrypted_and_everything_is_logged() -> None:
    (cluster,) = of_type("AWS::EKS::Cluster").values()
    (key,) = of_type("AWS::KMS::Key").values()
    kinds = {each["Type"] for each in cluster["Logging"]["ClusterLogging"]["EnabledTypes"]}

    assert cluster["EncryptionConfig"] == [
        {"Resources": ["secrets"], "Provider": {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}}}
    ]
    assert key["EnableKeyRotation"] is True
    assert kinds == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert cluster["AccessConfig"]["AuthenticationMode"] == "API"


def test_given_either_mode_when_the_cluster_is_made_then_pods_get_their_roles() -> None:
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


def test_given_a_node_when_a_pod_asks_for_its_role_then_the_metadata_is_out_of_reach() -> None:
    (template,) = of_type("AWS::EC2::LaunchTemplate").values()

    assert template["LaunchTemplateData"]["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }


def test_given_the_pipeline_when_it_enters_then_it_stays_in_the_shops_namespace() -> None:
    (policy,) = RESOURCES["DeployEntry"]["Properties"]["AccessPolicies"]

    assert policy["AccessScope"] == {"Type": "namespace", "Namespaces": [{"Ref": "Namespace"}]}
