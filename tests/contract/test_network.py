"""The network: private by default, open to API Gateway alone, and told apart by the controllers that look for subnets."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from shopdev.cloudformation import stacks

DOCUMENT = stacks.document("network")
# CloudFormation types that the emulator does not know; each has to be off with the parameters of local.json.
NOT_EMULATED = {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::FlowLog"}


def of_type(kind: str) -> dict[str, Mapping[str, Any]]:
    """Logical name -> resource."""
    return {name: each for name, each in DOCUMENT["Resources"].items() if each["Type"] == kind}


def tags(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}


def test_given_a_subnet_then_its_tag_names_the_kind_of_load_balancer_for_it() -> None:
    roles = {
        name: [key for key in tags(each) if key.startswith("kubernetes.io/role/")]
        for name, each in of_type("AWS::EC2::Subnet").items()
    }

    assert roles == {
        **{f"Private{zone}": ["kubernetes.io/role/internal-elb"] for zone in "ABC"},
        **{f"Public{zone}": ["kubernetes.io/role/elb"] for zone in "ABC"},
    }


def test_given_the_subnets_then_their_address_ranges_are_distinct() -> None:
    blocks = [
        each["Properties"]["CidrBlock"]["Fn::Select"][0] for each in of_type("AWS::EC2::Subnet").values()
    ]

    assert len(set(blocks)) == len(blocks)


def test_given_a_private_subnet_then_its_only_route_to_the_internet_is_an_optional_nat_gateway() -> None:
    for zone in "ABC":
        table = {"Ref": f"PrivateRoutes{zone}"}
        (route,) = [
            each
            for each in of_type("AWS::EC2::Route").values()
            if each["Properties"]["RouteTableId"] == table
        ]
        assert "NatGatewayId" in route["Properties"]
        assert "GatewayId" not in route["Properties"]
        assert route["Condition"] in {"HasNat", "WayOutOfC"}


def test_given_the_load_balancer_then_it_admits_only_the_vpc_link() -> None:
    groups = of_type("AWS::EC2::SecurityGroup")
    (rule,) = groups["LoadBalancerSecurityGroup"]["Properties"]["SecurityGroupIngress"]

    assert rule["SourceSecurityGroupId"] == {"Ref": "VpcLinkSecurityGroup"}
    assert "CidrIp" not in rule
    assert "SecurityGroupIngress" not in groups["VpcLinkSecurityGroup"]["Properties"]


def test_given_a_security_group_then_it_names_its_ports_and_admits_no_traffic_from_the_internet() -> None:
    for name, group in of_type("AWS::EC2::SecurityGroup").items():
        properties = group["Properties"]
        assert properties["SecurityGroupEgress"], f"{name}: without rules AWS allows every way out"
        for rule in properties.get("SecurityGroupIngress", []):
            assert rule["IpProtocol"] == "tcp"
            assert rule.get("CidrIp") != "0.0.0.0/0", name
        for rule in properties["SecurityGroupEgress"]:
            assert rule["IpProtocol"] == "tcp"
            assert rule["CidrIp"] != "0.0.0.0/0" or rule["FromPort"] == rule["ToPort"] == 443, name


@pytest.mark.parametrize("platform", ["eks", "ecs"])
def test_given_a_function_that_calls_a_service_then_pods_and_tasks_admit_its_security_group(
    platform: str,
) -> None:
    source = {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-network-CallerSecurityGroupId"}}
    rules = [
        rule
        for resource in stacks.document(platform)["Resources"].values()
        for rule in (
            [resource["Properties"]]
            if resource["Type"] == "AWS::EC2::SecurityGroupIngress"
            else resource["Properties"].get("SecurityGroupIngress", [])
        )
    ]
    (rule,) = [each for each in rules if each.get("SourceSecurityGroupId") == source]

    assert (rule["FromPort"], rule["ToPort"]) == (8080, 8080)
    assert DOCUMENT["Outputs"]["CallerSecurityGroupId"]["Export"]["Name"] == {
        "Fn::Sub": "${Prefix}-network-CallerSecurityGroupId"
    }


def test_given_calls_to_s3_and_dynamodb_from_the_vpc_then_gateway_endpoints_carry_them() -> None:
    gateways = [
        each["Properties"]["ServiceName"]["Fn::Sub"].rpartition(".")[2]
        for each in of_type("AWS::EC2::VPCEndpoint").values()
        if each["Properties"]["VpcEndpointType"] == "Gateway"
    ]

    assert sorted(gateways) == ["dynamodb", "s3"]


@pytest.mark.parametrize("name", sorted(DOCUMENT["Resources"]))
def test_given_a_resource_type_that_the_emulator_lacks_then_a_condition_excludes_the_resource(
    name: str,
) -> None:
    resource = DOCUMENT["Resources"][name]

    assert resource["Type"] not in NOT_EMULATED or "Condition" in resource


@pytest.mark.parametrize("stack", ["network", "functions", "eks", "ecs"])
def test_given_an_imported_value_then_another_stack_exports_it(stack: str) -> None:
    exported = {
        output["Export"]["Name"]["Fn::Sub"]
        for each in stacks.FOLDER.glob("*.yaml")
        for output in stacks.document(each.stem).get("Outputs", {}).values()
        if "Export" in output
    }

    imported = set(re.findall(r'!ImportValue \{"Fn::Sub": "([^"]+)"\}', stacks.template(stack)))

    assert imported <= exported
