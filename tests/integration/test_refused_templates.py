"""A podTemplate that the API server rejects ends as Refused, with the API server's message."""

from typing import Any

import pytest

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for


def scratch(limit: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": limit}}]}


def resources(amount: Any) -> dict[str, Any]:
    return {"containers": [{"name": "app", "resources": {"requests": {"memory": amount}}}]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (scratch("1.2.3"), "quantities must match the regular expression"),
        (scratch("lots"), "quantities must match the regular expression"),
        (scratch("-1.x"), "quantities must match the regular expression"),
        (scratch({"a": 1}), "sizeLimit"),
        (scratch([1]), "sizeLimit"),
        (scratch(limit=True), "quantities must match"),
        (resources("1.2.3"), "quantities must match the regular expression"),
        ({"terminationGracePeriodSeconds": "soon"}, "terminationGracePeriodSeconds"),
        ({"terminationGracePeriodSeconds": 1.5}, "terminationGracePeriodSeconds"),
        ({"terminationGracePeriodSeconds": 10**30}, "terminationGracePeriodSeconds"),
        ({"enableServiceLinks": "no"}, "enableServiceLinks"),
        ({"frobnicate": 1}, "frobnicate"),
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
        ({"nodeSelector": ["ssd"]}, "nodeSelector"),
        ({"tolerations": [{"tolerationSeconds": "soon"}]}, "tolerationSeconds"),
        ({"hostAliases": [{"ip": "10.0.0.1", "hostnames": "web"}]}, "hostnames"),
        ({"dnsPolicy": "Sometimes"}, "dnsPolicy"),
        ({"containers": [{"name": "side"}]}, "image"),
    ],
    ids=str,
)
def test_given_a_pod_template_with_an_invalid_value_then_the_shopservice_stalls_and_ready_names_the_value(
    cluster: Cluster, operator: Operator, namespace: str, spec: dict[str, Any], said: str
) -> None:
    cluster.create(shopservice(namespace, podTemplate={"spec": spec}))

    def stalled() -> dict[str, Any]:
        found = cluster.get("ShopService", namespace, "web")
        return condition(found, "Ready") if condition(found, "Stalled")["status"] == "True" else {}

    told = wait_for(stalled)
    assert told["reason"] in {"Refused", "InvalidSpec"}
    assert said in told["message"]
