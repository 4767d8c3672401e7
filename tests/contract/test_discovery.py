"""manifests/aws/discovery.yaml: the namespace, and the permissions of ExternalDNS in it."""

from collections.abc import Mapping
from typing import Any

from shopdev.cloudformation import stacks

DOCUMENT = stacks.document("discovery")
STATEMENTS: Mapping[str, Mapping[str, Any]] = {
    each["Sid"]: each
    for each in DOCUMENT["Resources"]["ExternalDnsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
}
# The calls of its provider aws-sd: the interface AWSSDClient in provider/awssd/aws_sd.go of the version in dev/tools.
CALLS = {
    "CreateService",
    "DeleteService",
    "DeregisterInstance",
    "DiscoverInstances",
    "ListNamespaces",
    "ListServices",
    "RegisterInstance",
    "UpdateService",
}
# Asked for by CreateService when it is given tags.
IMPLIED = {"TagResource"}


def actions(service: str) -> dict[str, Mapping[str, Any]]:
    """Action, without its service -> the statement that grants it."""
    found = {}
    for statement in STATEMENTS.values():
        named = statement["Action"]
        for action in [named] if isinstance(named, str) else named:
            if action.startswith(f"{service}:"):
                found[action.partition(":")[2]] = statement
    return found


def test_given_the_policy_of_externaldns_then_it_permits_exactly_the_calls_that_externaldns_makes() -> None:
    assert actions("servicediscovery").keys() == CALLS | IMPLIED


def test_given_a_modifying_action_then_the_policy_permits_it_only_on_services_of_the_shop() -> None:
    tagged = {"Ref": "Prefix"}
    for action, statement in actions("servicediscovery").items():
        if action.startswith(("List", "Discover")):
            continue
        (tag,) = statement["Condition"]["StringEquals"].items()
        made = action in {"CreateService", "TagResource"}
        assert tag == ("aws:RequestTag/app" if made else "aws:ResourceTag/app", tagged), action


def test_given_the_policy_of_externaldns_then_it_permits_record_changes_only_in_the_zone_of_the_namespace() -> (
    None
):
    (resource,) = actions("route53")["ChangeResourceRecordSets"]["Resource"].values()

    assert resource.endswith(":hostedzone/${Namespace.HostedZoneId}")


def test_given_the_namespace_then_it_is_private_to_the_vpc_of_the_shop() -> None:
    namespace = DOCUMENT["Resources"]["Namespace"]

    assert namespace["Type"] == "AWS::ServiceDiscovery::PrivateDnsNamespace"
    assert namespace["Properties"]["Vpc"] == {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-network-VpcId"}}
