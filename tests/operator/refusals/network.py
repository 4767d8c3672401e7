"""Invalid network policies."""

from typing import Any

from shop_operator.api.v1alpha1 import network_policy
from tests.operator.refusals.refusal import Refusal

_TWO_PEERS = {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}


def _selecting(**expression: Any) -> dict[str, Any]:
    return {"podSelector": {"matchExpressions": [{"key": "a"} | expression]}}


def _to_port(port: Any) -> dict[str, Any]:
    return {"networkPolicy": {"egress": [{"ports": [{"port": port}]}]}}


REFUSALS = (
    Refusal(
        "a peer with a selector and an IP block",
        {"networkPolicy": {"ingress": [{"from": [_TWO_PEERS]}]}},
        network_policy.ONE_PEER,
    ),
    Refusal("an empty peer", {"networkPolicy": {"egress": [{"to": [{}]}]}}, network_policy.ONE_PEER),
    Refusal(
        "values for the operator Exists",
        {"networkPolicy": {"ingress": [{"from": [_selecting(operator="Exists", values=["a"])]}]}},
        network_policy.VALUES_MISMATCH,
    ),
    Refusal(
        "no values for the operator In",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="In")]}]}},
        network_policy.VALUES_MISMATCH,
    ),
    Refusal(
        "port 0 in a rule",
        {"networkPolicy": {"egress": [{"ports": [{"port": 0}]}]}},
        "spec.networkPolicy.egress[0].ports[0].port in body should be greater than or equal to 1",
        network_policy.INVALID_PORT_NAME,
    ),
    Refusal(
        "an excluded address without a mask",
        {
            "networkPolicy": {
                "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0"]}}]}]
            }
        },
        "except[0] in body should match '^(?<must_be_an_address_range_in_CIDR_notation_such_as_10_0_0_0_8_",
        "except[0]: must be an address range in CIDR notation, such as 10.0.0.0/8",
    ),
    Refusal(
        "an endPort below the port",
        {"networkPolicy": {"egress": [{"ports": [{"port": 9, "endPort": 8}]}]}},
        network_policy.INVALID_PORT_RANGE,
    ),
    Refusal(
        "an endPort with a named port",
        {"networkPolicy": {"egress": [{"ports": [{"port": "http", "endPort": 8}]}]}},
        network_policy.INVALID_PORT_RANGE,
    ),
    Refusal(
        "an endPort without a port",
        {"networkPolicy": {"ingress": [{"ports": [{"endPort": 8}]}]}},
        network_policy.INVALID_PORT_RANGE,
    ),
    Refusal(
        "a port name without a letter",
        {"networkPolicy": {"ingress": [{"ports": [{"port": "80"}]}]}},
        network_policy.INVALID_PORT_NAME,
    ),
    Refusal(
        "an address without a mask",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}},
        "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
    ),
    Refusal(
        "an address with an octet above 255",
        {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.256/32"}}]}]}},
        "must be an address range in CIDR notation, such as 10.0.0.0/8, 192.0.2.1/32 or fd00::/8",
    ),
    Refusal(
        "a label key with two slashes",
        {"networkPolicy": {"egress": [{"to": [_selecting(operator="Exists", key="a/b/c")]}]}},
        "matchExpressions[0].key in body should match '^(?<must_be_the_key_of_a_label_such_as_team_or_example_com_team>",
        "matchExpressions[0].key: must be the key of a label such as team or example.com/team",
    ),
    Refusal(
        "an empty list of gateway namespaces",
        {"networkPolicy": {"gatewayNamespaces": []}},
        "spec.networkPolicy.gatewayNamespaces in body should have at least 1 items",
        "spec.networkPolicy.gatewayNamespaces: must have at least 1 item",
    ),
    Refusal(
        "a selected label value with a space",
        {"networkPolicy": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b c"}}}]}]}},
        'podSelector.matchLabels[a]: Invalid value: "string": must be the value of a label: letters',
        "podSelector.matchLabels.a: must be the value of a label: letters",
    ),
    *(
        Refusal(f"the port name {port!r}", _to_port(port), network_policy.INVALID_PORT_NAME)
        for port in ("-a", "a-", "a--b", "A", "a_b", "1-2", "")
    ),
)
