"""Members of unions, items of lists with several keys, and the order of items, in an overlay and in drift."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.objects.compare import drift, owned_part
from shop_operator.objects.incompatible_fields import fields_of_others, without_incompatible_fields
from shop_operator.objects.kubernetes_schema import of_kind, types
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
def test_a_hook_of_the_overlay_replaces_the_default_pause(handler: dict[str, Any]) -> None:
    assert app(lifecycle={"preStop": handler})["lifecycle"] == {"preStop": handler}


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize("handler", [EXEC, {"grpc": {"port": 1}}, {"tcpSocket": {"port": 1}}])
def test_a_handler_of_the_overlay_replaces_the_default_handler_and_keeps_its_timing(
    probe: str, handler: dict[str, Any]
) -> None:
    default = app()[probe]

    assert app(**{probe: handler})[probe] == {
        **{key: value for key, value in default.items() if key != "httpGet"},
        **handler,
    }


def test_the_same_handler_is_merged() -> None:
    assert app(livenessProbe={"httpGet": {"path": "/live"}})["livenessProbe"]["httpGet"] == {
        **app()["livenessProbe"]["httpGet"],
        "path": "/live",
    }


@pytest.mark.parametrize("source", [each for (each,) in types()["Volume"].unions[0].members])
def test_a_volume_of_the_operator_accepts_any_other_source(source: str) -> None:
    volumes = pod({"volumes": [{"name": "tmp", source: {"some": "value"}}]})["volumes"]

    assert volumes == [{"name": "tmp", source: {"some": "value"}}]


def test_a_localhost_profile_of_the_overlay_sets_its_type_and_another_type_removes_it() -> None:
    local = {"type": "Localhost", "localhostProfile": "some"}

    context = pod({"securityContext": {"seccompProfile": {"localhostProfile": "some"}}})["securityContext"]
    assert context["seccompProfile"] == local
    assert pod({"securityContext": {"seccompProfile": local}})["securityContext"]["seccompProfile"] == local


@pytest.mark.parametrize("away", [None, {"$patch": "delete"}])
def test_a_member_can_be_removed_explicitly_beside_the_one_that_is_set(away: Any) -> None:
    hook = app(lifecycle={"preStop": {"sleep": away, **EXEC}})["lifecycle"]

    assert hook == {"preStop": EXEC}


def test_two_members_in_one_overlay_are_rejected() -> None:
    with pytest.raises(InvalidSpec) as refused:
        app(livenessProbe={**EXEC, "tcpSocket": {"port": 1}})

    assert (
        f"{APP}.livenessProbe: exec and tcpSocket are mutually exclusive; remove one" in refused.value.message
    )


def test_two_protocols_can_have_the_same_port_number() -> None:
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
def test_constraints_are_matched_by_both_of_their_keys(
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
def test_items_of_one_overlay_are_never_merged_into_each_other(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        pod(spec)

    assert sentence in refused.value.message


def test_an_atomic_list_keeps_duplicates() -> None:
    twice = [{"key": "spot", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}]

    assert pod({"tolerations": [{"$patch": "replace"}, *twice]})["tolerations"] == twice


def deployment(**container: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", **container}]}}},
    }


def env(*variables: dict[str, Any]) -> dict[str, Any]:
    return deployment(env=list(variables))


SECRET = {"secretKeyRef": {"name": "db", "key": "password"}}
LIVE_APP = "spec.template.spec.containers[name=app]"


@pytest.mark.parametrize(
    ("desired", "live", "paths"),
    [
        (
            env({"name": "A", "valueFrom": SECRET}),
            env({"name": "A", "value": "typed"}),
            [f"{LIVE_APP}.env[name=A].value"],
        ),
        (
            env({"name": "A", "value": "x"}),
            env({"name": "A", "valueFrom": SECRET}),
            [f"{LIVE_APP}.env[name=A].valueFrom"],
        ),
        (env({"name": "A"}), env({"name": "A", "value": "typed"}), [f"{LIVE_APP}.env[name=A].value"]),
        (
            deployment(livenessProbe={"httpGet": {"port": 1}}),
            deployment(livenessProbe={"httpGet": {"port": 1, "scheme": "HTTP"}, **EXEC}),
            [f"{LIVE_APP}.livenessProbe.exec"],
        ),
        # The order matters for variables and containers only.
        (
            env({"name": "A", "value": "1"}, {"name": "B", "value": "2"}),
            env({"name": "B", "value": "2"}, {"name": "X"}, {"name": "A", "value": "1"}),
            [f"{LIVE_APP}.env"],
        ),
        (
            env({"name": "A", "value": "1"}, {"name": "B", "value": "2"}),
            env({"name": "X"}, {"name": "A", "value": "1"}, {"name": "Y"}, {"name": "B", "value": "2"}),
            [],
        ),
        (
            deployment(volumeMounts=[{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]),
            deployment(volumeMounts=[{"name": "b", "mountPath": "/b"}, {"name": "a", "mountPath": "/a"}]),
            [],
        ),
        # The last of two variables with the same name applies.
        (
            env({"name": "A", "value": "1"}),
            env({"name": "A", "value": "1"}, {"name": "A", "value": "2"}),
            [f"{LIVE_APP}.env[name=A]"],
        ),
        (env({"name": "A", "value": ""}), env({"name": "A"}), []),
        # Defaults of the API server inside an atomic value are not drift.
        (
            env({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
            env({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}),
            [],
        ),
        (
            {"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}},
            {"kind": "Deployment", "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}},
            ["spec.strategy.type", "spec.strategy.rollingUpdate"],
        ),
        (
            {"kind": "Deployment", "spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}},
            {"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}},
            ["spec.strategy.type"],
        ),
        (
            {"kind": "PodDisruptionBudget", "spec": {"maxUnavailable": 1}},
            {"kind": "PodDisruptionBudget", "spec": {"minAvailable": 1}},
            ["spec.minAvailable"],
        ),
    ],
)
def test_another_member_another_order_and_a_duplicate_are_drift(
    desired: dict[str, Any], live: dict[str, Any], paths: list[str]
) -> None:
    assert drift(desired, live) == paths


def test_the_owned_part_contains_fields_that_an_apply_removes() -> None:
    desired, live = env({"name": "A", "valueFrom": SECRET}), env({"name": "A", "value": "typed"})

    assert owned_part(desired, live)["spec"] == live["spec"]


def test_given_no_incompatible_fields_then_none_are_removed() -> None:
    live = deployment(image="old", tty=True)
    live["spec"]["template"]["spec"]["containers"].append({"name": "proxy"})

    assert without_incompatible_fields(deployment(image="new"), live) is None
    assert (
        without_incompatible_fields({"kind": "ServiceAccount", "automountServiceAccountToken": False}, live)
        is None
    )


def test_given_another_member_of_a_union_then_it_is_replaced_and_other_fields_are_kept() -> None:
    desired = env({"name": "A", "valueFrom": SECRET}, {"name": "B", "value": "b"})
    live = env({"name": "X", "value": "theirs"}, {"name": "A", "value": "typed"})
    live["spec"]["replicas"] = 7

    spec = without_incompatible_fields(desired, live)

    assert spec is not None
    assert spec["replicas"] == 7
    (container,) = spec["template"]["spec"]["containers"]
    assert container["env"] == [
        {"name": "A", "valueFrom": SECRET},
        {"name": "B", "value": "b"},
        {"name": "X", "value": "theirs"},
    ]


def test_a_port_with_the_same_name_is_removed() -> None:
    desired = {"kind": "Service", "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}
    live = {"spec": {"ports": [{"name": "http", "port": 99, "protocol": "TCP"}, {"name": "more", "port": 9}]}}

    spec = without_incompatible_fields(desired, live)

    assert spec == {"ports": [*desired["spec"]["ports"], {"name": "more", "port": 9}]}  # type: ignore[index]


def managed(manager: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": {"f:spec": spec}, **more}


def test_given_a_rejected_apply_then_fields_of_others_are_removed_except_counts_and_sidecars() -> None:
    live: dict[str, Any] = {
        "metadata": {
            "managedFields": [
                managed("shop-operator", {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}}}}),
                managed(
                    "kubectl-edit",
                    {
                        "f:ports": {'k:{"port":9,"protocol":"TCP"}': {".": {}, "f:port": {}}},
                        "f:replicas": {},
                        "f:externalName": {},
                    },
                ),
                managed("a-controller", {"f:sessionAffinity": {}}, subresource="status"),
            ]
        },
        "spec": {
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 9, "protocol": "TCP"}],
            "externalName": "x",
            "replicas": 3,
            "sessionAffinity": "None",
        },
    }
    desired: dict[str, Any] = {
        "kind": "Service",
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    }

    others = fields_of_others(live, {"shop-operator"})

    assert without_incompatible_fields(desired, live) is None
    assert without_incompatible_fields(desired, live, others) == {
        "ports": desired["spec"]["ports"],
        "replicas": 3,
        "sessionAffinity": "None",
    }


def test_an_unknown_kind_has_no_unions() -> None:
    assert of_kind("Teapot").unions == ()
    assert drift({"kind": "Teapot", "spec": {"a": 1}}, {"kind": "Teapot", "spec": {"a": 1, "b": 2}}) == []
