"""Removal of fields that are incompatible with an apply."""

from typing import Any

from shop_operator.objects.incompatible_fields import fields_of_others, without_incompatible_fields
from tests.operator.objects.deployments import SECRET, deployment, env


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


def test_given_a_live_port_with_the_name_of_a_desired_one_then_it_is_removed() -> None:
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
