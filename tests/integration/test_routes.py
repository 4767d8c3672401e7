"""HTTPRoutes on a real API server with the Gateway API: rendered routes are accepted, and an HTTPRoute stays the same object."""

from typing import Any, Final

from tests.integration.cluster import Cluster, condition
from tests.integration.operators import Operator
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

GATEWAY: Final = {"name": "public"}
LEGACY: Final = "web-0a1b2c3d"
"""As an earlier release called an HTTPRoute with host names."""


def routed(namespace: str, *routes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return shopservice(namespace, gateway=GATEWAY, routes=list(routes), **spec)


def uid(cluster: Cluster, namespace: str, name: str) -> str:
    return str(cluster.get("HTTPRoute", namespace, name)["metadata"]["uid"])


def test_given_twenty_routes_then_two_httproutes_contain_all_of_them(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(routed(namespace, *({"path": f"/{number}"} for number in range(20))))

    wait_for(lambda: cluster.names("HTTPRoute", namespace) == {"web", "web-routes-2"})
    rules = [
        rule["matches"][0]["path"]["value"]
        for name in ("web", "web-routes-2")
        for rule in cluster.get("HTTPRoute", namespace, name)["spec"]["rules"]
    ]
    assert rules == [f"/{number}" for number in range(20)]


def test_given_every_kind_of_match_filter_and_backend_then_the_api_server_accepts_it_without_drift(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    prefix = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
    cluster.apply(
        routed(
            namespace,
            {
                "path": "/a",
                "methods": ["GET", "POST"],
                "headers": [{"name": "X-A", "value": "1"}],
                "queryParams": [{"name": "q", "value": "a+", "type": "RegularExpression"}],
                "timeouts": {"request": "10s", "backendRequest": "500ms"},
                "backendRefs": [{"name": "web", "weight": 9}, {"name": "canary", "port": 9090}],
                "filters": [
                    {"type": "URLRewrite", "urlRewrite": prefix},
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {"set": [{"name": "X-B", "value": "2"}], "remove": []},
                    },
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["Server"]}},
                ],
            },
            {
                "path": "/b",
                "methods": ["GET", "HEAD"],
                "filters": [{"type": "RequestRedirect", "requestRedirect": {**prefix, "statusCode": 308}}],
            },
            gateways=[{"name": "internal", "namespace": "edge"}],
        )
    )

    wait_for(lambda: cluster.names("HTTPRoute", namespace) == {"web"})
    found = cluster.get("HTTPRoute", namespace, "web")["spec"]
    assert [len(rule["matches"]) for rule in found["rules"]] == [1, 1, 1, 1]
    assert [parent["name"] for parent in found["parentRefs"]] == ["public", "internal"]
    wait_for(lambda: condition(cluster.get("ShopService", namespace, "web"), "Stalled")["status"] == "False")
    assert "drift" not in cluster.get("ShopService", namespace, "web")["status"]


def test_given_a_route_when_its_hostnames_change_then_the_httproute_stays_the_same_object(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    cluster.apply(routed(namespace, {"path": "/", "hostnames": ["a.example"]}))
    wait_for(lambda: cluster.names("HTTPRoute", namespace) == {"web"})
    before = uid(cluster, namespace, "web")

    for hostnames in (["a.example", "b.example"], ["b.example"], ["c.example"]):
        cluster.apply(routed(namespace, {"path": "/", "hostnames": hostnames}))
        wait_for(
            lambda wanted=hostnames: (  # type: ignore[misc]  # bound per round
                cluster.get("HTTPRoute", namespace, "web")["spec"]["hostnames"] == wanted
            )
        )

    assert cluster.names("HTTPRoute", namespace) == {"web"}
    assert uid(cluster, namespace, "web") == before


def test_given_an_httproute_with_the_name_of_an_earlier_release_then_it_is_kept_and_no_other_is_created(
    cluster: Cluster, operator: Operator, namespace: str
) -> None:
    route = {"path": "/", "hostnames": ["a.example"]}
    shop = cluster.create(routed(namespace, route, suspend=True))
    owner = {
        "apiVersion": shop["apiVersion"],
        "kind": "ShopService",
        "name": "web",
        "uid": shop["metadata"]["uid"],
        "controller": True,
    }
    cluster.http.post(
        cluster.path("HTTPRoute", namespace),
        json={
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {
                "name": LEGACY,
                "labels": {"shopservice.dev/name": "web"},
                "ownerReferences": [owner],
            },
            "spec": {"hostnames": ["a.example"], "rules": [{"matches": [{"path": {"value": "/"}}]}]},
        },
    ).raise_for_status()
    before = uid(cluster, namespace, LEGACY)

    cluster.patch("ShopService", namespace, "web", {"spec": {"suspend": False}})

    def reconciled() -> bool:
        spec = cluster.get("HTTPRoute", namespace, LEGACY)["spec"]
        return "Deployment/web" in cluster.children(namespace) and "backendRefs" in spec["rules"][0]

    wait_for(reconciled)
    assert cluster.names("HTTPRoute", namespace) == {LEGACY}
    assert uid(cluster, namespace, LEGACY) == before
