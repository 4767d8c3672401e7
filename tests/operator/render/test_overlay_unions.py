"""Members of unions and items of lists with several keys in an overlay."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.objects.kubernetes_schema import types
from shop_operator.render import Surroundings, render

POD = "spec.podTemplate.spec"
APP = f"{POD}.containers[name=app]"


def pod(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    document = {"image": "web:1", "podTemplate": {"spec": spec}, **fields}
    around = Surroundings(pod_security="privileged")
    children = render(ShopService("web", "shop", "u", 1, document=document), live=None, around=around)
    (deployment,) = (each for each in children if each["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def app(**fields: Any) -> dict[str, Any]:
    (container,) = pod({"containers": [{"name": "app", **fields}]})["containers"]
    found: dict[str, Any] = container
    return found


EXEC = {"exec": {"command": ["true"]}}


@pytest.mark.parametrize("handler", [EXEC, {"httpGet": {"port": 1}}, {"tcpSocket": {"port": 1}}])
def test_given_a_pre_stop_hook_in_the_overlay_then_it_replaces_the_default_pause(
    handler: dict[str, Any],
) -> None:
    assert app(lifecycle={"preStop": handler})["lifecycle"] == {"preStop": handler}


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize("handler", [EXEC, {"grpc": {"port": 1}}, {"tcpSocket": {"port": 1}}])
def test_given_a_probe_handler_in_the_overlay_then_it_replaces_the_default_handler_and_keeps_the_timings(
    probe: str, handler: dict[str, Any]
) -> None:
    default = app()[probe]

    assert app(**{probe: handler})[probe] == {
        **{key: value for key, value in default.items() if key != "httpGet"},
        **handler,
    }


def test_given_the_default_handler_in_the_overlay_then_it_is_merged() -> None:
    assert app(livenessProbe={"httpGet": {"path": "/live"}})["livenessProbe"]["httpGet"] == {
        **app()["livenessProbe"]["httpGet"],
        "path": "/live",
    }


@pytest.mark.parametrize("source", [each for (each,) in types()["Volume"].unions[0].members])
def test_given_another_volume_source_in_the_overlay_then_it_replaces_the_default_source(source: str) -> None:
    volumes = pod({"volumes": [{"name": "tmp", source: {"some": "value"}}]})["volumes"]

    assert volumes == [{"name": "tmp", source: {"some": "value"}}]


def test_given_a_seccomp_profile_in_the_overlay_then_its_type_becomes_localhost() -> None:
    local = {"type": "Localhost", "localhostProfile": "some"}

    context = pod({"securityContext": {"seccompProfile": {"localhostProfile": "some"}}})["securityContext"]
    assert context["seccompProfile"] == local
    assert pod({"securityContext": {"seccompProfile": local}})["securityContext"]["seccompProfile"] == local


@pytest.mark.parametrize("away", [None, {"$patch": "delete"}])
def test_given_an_overlay_that_removes_one_member_and_sets_another_then_only_the_latter_remains(
    away: Any,
) -> None:
    hook = app(lifecycle={"preStop": {"sleep": away, **EXEC}})["lifecycle"]

    assert hook == {"preStop": EXEC}


def test_given_two_union_members_in_one_overlay_then_they_are_refused_as_mutually_exclusive() -> None:
    with pytest.raises(InvalidSpec) as refused:
        app(livenessProbe={**EXEC, "tcpSocket": {"port": 1}})

    assert (
        f"{APP}.livenessProbe: exec and tcpSocket are mutually exclusive; remove one" in refused.value.message
    )


def test_given_one_port_number_with_two_protocols_then_both_ports_are_kept() -> None:
    ports = [
        {"name": "dns-tcp", "containerPort": 5353, "protocol": "TCP"},
        {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
    ]

    containers = pod({"containers": [{"name": "resolver", "image": "r:1", "ports": ports}]})["containers"]

    assert containers[1]["ports"] == ports


def spread(when: str | None = None, key: str = "kubernetes.io/hostname", **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, **({"whenUnsatisfiable": when} if when else {}), **more}


def constraints(*patch: dict[str, Any]) -> list[tuple[str, str, int]]:
    found = pod({"topologySpreadConstraints": list(patch)})["topologySpreadConstraints"]
    return [(each["topologyKey"], each["whenUnsatisfiable"], each["maxSkew"]) for each in found]


SOFT_HOST = ("kubernetes.io/hostname", "ScheduleAnyway", 1)
SOFT_ZONE = ("topology.kubernetes.io/zone", "ScheduleAnyway", 1)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([], [SOFT_HOST, SOFT_ZONE]),
        (
            [spread("DoNotSchedule", maxSkew=2), spread("ScheduleAnyway", maxSkew=3)],
            [
                ("kubernetes.io/hostname", "ScheduleAnyway", 3),
                SOFT_ZONE,
                ("kubernetes.io/hostname", "DoNotSchedule", 2),
            ],
        ),
        # An item with a unique first key replaces the default with that key.
        ([spread("DoNotSchedule")], [("kubernetes.io/hostname", "DoNotSchedule", 1), SOFT_ZONE]),
        ([spread(maxSkew=5)], [("kubernetes.io/hostname", "ScheduleAnyway", 5), SOFT_ZONE]),
        ([spread(**{"$patch": "delete"})], [SOFT_ZONE]),
        ([spread("ScheduleAnyway", **{"$patch": "delete"})], [SOFT_ZONE]),
        ([spread("DoNotSchedule", **{"$patch": "delete"})], [SOFT_HOST, SOFT_ZONE]),
    ],
)
def test_given_topology_spread_constraints_then_they_are_merged_by_both_of_their_keys(
    patch: list[dict[str, Any]], expected: list[tuple[str, str, int]]
) -> None:
    assert constraints(*patch) == expected


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"hostAliases": [{"ip": "127.0.0.1", "hostnames": [each]} for each in ("a", "b")]},
            f"{POD}.hostAliases: two items have ip 127.0.0.1, and the API server keeps one of them",
        ),
        (
            {"containers": [{"name": "app", "env": [{"name": "X", "value": each} for each in "ab"]}]},
            f"{APP}.env: two items have name X, and",
        ),
        (
            {"containers": [{"name": "side", "ports": [{"containerPort": 1}, {"containerPort": 1}]}]},
            "ports: two items have containerPort 1, protocol TCP, and",
        ),
        ({"containers": [{"name": "app"}, {"name": "app"}]}, f"{POD}.containers: two items have name app"),
        ({"volumes": [{"name": "a"}, {"name": "a"}]}, f"{POD}.volumes: two items have name a"),
        (
            {"topologySpreadConstraints": [{"topologyKey": "rack"}]},
            f"{POD}.topologySpreadConstraints: every item requires the key whenUnsatisfiable",
        ),
        (
            {"topologySpreadConstraints": [spread(maxSkew=1), spread(maxSkew=2)]},
            f"{POD}.topologySpreadConstraints: two items have topologyKey kubernetes.io/hostname",
        ),
        ({"volumes": [{"name": {"a": 1}}]}, f"{POD}.volumes: every item requires the key name"),
    ],
)
def test_given_two_items_with_the_same_key_in_one_overlay_then_they_are_refused(
    spec: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        pod(spec)

    assert sentence in refused.value.message


def test_given_an_atomic_list_with_equal_items_then_all_of_them_are_kept() -> None:
    twice = [{"key": "spot", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}]

    assert pod({"tolerations": [{"$patch": "replace"}, *twice]})["tolerations"] == twice
