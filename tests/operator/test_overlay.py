"""A podTemplate that changes what the operator owns, or is no patch, is refused with what to do instead."""

from typing import Any

import pytest

from shop_operator.errors import InvalidSpec
from shop_operator.render import render
from shop_operator.spec import TEMPLATE_TOO_LARGE, ShopService

OWNED = "must stay as the operator sets it; use the field of the ShopService's spec that is for it."


def rendered(template: dict[str, Any]) -> list[dict[str, Any]]:
    spec = {
        "image": "web:1",
        "env": [{"name": "TABLE", "value": "orders"}],
        "workers": [{"name": "relay", "command": ["relay"]}],
        "podTemplate": template,
    }
    return render(ShopService("web", "shop", "u", 1, document=spec), live=None)


def app(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", **fields}]}}


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (app(image="other"), f"spec.containers[name=app].image {OWNED}"),
        (app(command=["sh"]), f"spec.containers[name=app].command {OWNED}"),
        (app(args=["-c"]), f"spec.containers[name=app].args {OWNED}"),
        (app(ports=[{"containerPort": 9}]), f"spec.containers[name=app].ports {OWNED}"),
        (
            app(env=[{"name": "TABLE", "value": "others"}]),
            f"spec.containers[name=app].env[name=TABLE] {OWNED}",
        ),
        (
            {"spec": {"containers": [{"name": "app", "$patch": "delete"}]}},
            f"spec.containers[name=app] {OWNED}",
        ),
        ({"spec": {"containers": [{"$patch": "replace"}]}}, f"spec.containers[name=app] {OWNED}"),
        ({"spec": {"serviceAccountName": "root"}}, f"spec.serviceAccountName {OWNED}"),
        ({"spec": {"restartPolicy": "Never"}}, f"spec.restartPolicy {OWNED}"),
        ({"spec": {"terminationGracePeriodSeconds": 0}}, f"spec.terminationGracePeriodSeconds {OWNED}"),
        (
            {"metadata": {"labels": {"shopservice.dev/name": "x"}}},
            f"metadata.labels.shopservice.dev/name {OWNED}",
        ),
        ({"spec": {"containers": ["app"]}}, "spec.podTemplate.spec.containers: every item must be a map"),
        (
            {"spec": {"volumes": [{"emptyDir": {}}]}},
            "spec.podTemplate.spec.volumes: every item needs the key name",
        ),
        ({"spec": {"$retainKeys": ["a"]}}, "spec.podTemplate.spec: $retainKeys is not understood here"),
        (
            {"spec": {"affinity": {"$patch": "delete"}}},
            "spec.podTemplate.spec.affinity: there is nothing that 'delete' could change",
        ),
        (app(env=[{"name": "X", "value": "x" * 70000}]), TEMPLATE_TOO_LARGE),
    ],
)
def test_what_the_operator_owns_and_what_is_no_patch_is_refused(
    template: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        rendered(template)

    assert sentence in refused.value.message
    assert refused.value.message.startswith("spec.podTemplate")


def test_a_map_can_be_replaced_as_a_whole_and_a_list_without_keys_always_is() -> None:
    (pod, relay) = (
        child["spec"]["template"]["spec"]
        for child in rendered(
            {
                "spec": {
                    "securityContext": {"$patch": "replace", "runAsUser": 7},
                    "tolerations": [{"key": "a", "value": None}],
                }
            }
        )
        if child["kind"] == "Deployment"
    )

    assert pod["securityContext"] == {"runAsUser": 7}
    assert pod["tolerations"] == relay["tolerations"] == [{"key": "a"}]
