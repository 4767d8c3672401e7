"""A podTemplate that is invalid, or that changes a field which the operator owns, is rejected with a remedy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.pod_template import TEMPLATE_TOO_LARGE
from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.render import render

OWNED = "must not be changed here; use the corresponding field of the ShopService's spec."


def rendered(template: dict[str, Any]) -> list[dict[str, Any]]:
    spec = {
        "image": "web:1",
        "env": [{"name": "TABLE", "value": "orders"}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
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
        (app(envFrom=[]), f"spec.containers[name=app].envFrom {OWNED}"),
        (
            app(envFrom=[{"configMapRef": {"name": "others"}}]),
            f"spec.containers[name=app].envFrom {OWNED}",
        ),
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
        ({"spec": {"containers": ["app"]}}, "spec.podTemplate.spec.containers: must be a list of maps"),
        ({"spec": {"containers": "app"}}, "spec.podTemplate.spec.containers: must be a list of maps"),
        (app(env="TABLE"), "containers[name=app].env: must be a list of maps, each with the key name"),
        (
            {"spec": {"volumes": [{"emptyDir": {}}]}},
            "spec.podTemplate.spec.volumes: every item requires the key name",
        ),
        (
            {"spec": {"$retainKeys": ["a"]}},
            "spec.podTemplate.spec.$retainKeys: the only supported directive is $patch",
        ),
        (
            {"spec": {"tolerations": [{"$patch": "delete"}]}},
            "spec.podTemplate.spec.tolerations[0].$patch: must be replace, or delete in a field or in an item",
        ),
        ({"spec": {"affinity": {"$patch": "merge"}}}, "spec.podTemplate.spec.affinity.$patch: must be"),
        ({"spec": {"$patch": "delete"}}, f"spec {OWNED}"),
        ({"spec": {"serviceAccount": "root"}}, f"spec.serviceAccount {OWNED}"),
        (
            {"metadata": {"annotations": {"shopservice.dev/config-checksum": "x"}}},
            f"metadata.annotations.shopservice.dev/config-checksum {OWNED}",
        ),
        (app(env=[{"name": "X", "value": "x" * 70000}]), TEMPLATE_TOO_LARGE),
    ],
)
def test_given_a_pod_template_that_sets_operator_fields_or_is_no_patch_then_it_is_refused(
    template: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        rendered(template)

    assert sentence in refused.value.message
    assert refused.value.message.startswith("spec.podTemplate")


def pods(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod specs of the web workload and of the worker."""
    return [
        child["spec"]["template"]["spec"] for child in rendered(template) if child["kind"] == "Deployment"
    ]


def test_given_a_replace_directive_then_the_map_is_replaced_and_a_list_without_keys_always_is() -> None:
    pod, relay = pods(
        {
            "spec": {
                "securityContext": {
                    "$patch": "replace",
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "Localhost"},
                },
                "tolerations": [{"key": "a", "value": None}],
            }
        }
    )

    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    assert pod["tolerations"] == relay["tolerations"] == [{"key": "a"}]


def test_given_a_replace_directive_in_a_keyed_list_then_the_list_is_replaced_wherever_it_stands() -> None:
    pod, _ = pods({"spec": {"volumes": [{"name": "a"}, {"$patch": "replace"}, {"name": "b"}]}})

    assert pod["volumes"] == [{"name": "a"}, {"name": "b"}]


def test_given_null_or_a_delete_directive_then_the_field_is_removed() -> None:
    pod, _ = pods(app(livenessProbe=None, startupProbe={"$patch": "delete"}))

    (container,) = pod["containers"]
    assert "readinessProbe" in container
    assert not {"livenessProbe", "startupProbe"} & container.keys()


def test_given_containers_app_and_relay_then_app_patches_every_deployment_and_relay_only_its_worker() -> None:
    both = {"containers": [{"name": "app", "tty": True}, {"name": "relay", "stdin": True}]}

    pod, relay = pods({"spec": both})

    assert [(c["name"], c.get("tty"), c.get("stdin")) for c in pod["containers"]] == [("app", True, None)]
    assert [(c["name"], c.get("tty"), c.get("stdin")) for c in relay["containers"]] == [("relay", True, True)]


def test_given_an_empty_map_that_kubernetes_does_not_store_then_it_is_not_sent() -> None:
    pod, _ = pods({"spec": {"nodeSelector": {}, "volumes": [{"name": "more", "emptyDir": {}}]}})

    assert "nodeSelector" not in pod
    assert {"name": "more", "emptyDir": {}} in pod["volumes"]


def test_given_a_label_named_like_a_list_of_kubernetes_then_it_is_kept_as_a_label() -> None:
    pod, _ = pods({"metadata": {"labels": {"env": "test"}}, "spec": {"nodeSelector": {"ports": "fast"}}})

    assert pod["nodeSelector"] == {"ports": "fast"}


_WORDS = st.sampled_from(["name", "$patch", "env", "ports", "containers", "value", "mountPath", "labels"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["app", "relay", "delete", "replace"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)
_CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["app", "relay", "other"]),
            **dict.fromkeys(("env", "ports", "volumeMounts", "resources", "$patch"), _ANYTHING),
        },
    ),
    max_size=3,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "containers": _CONTAINERS | _ANYTHING,
            "initContainers": _CONTAINERS | _ANYTHING,
            **dict.fromkeys(("volumes", "securityContext", "tolerations", "$patch"), _ANYTHING),
        },
    )
)
def test_given_any_pod_spec_then_it_is_refused_or_merged_without_touching_operator_fields(
    pod_spec: dict[str, Any],
) -> None:
    try:
        merged = pods({"spec": pod_spec})
    except InvalidSpec:
        return

    for pod, without in zip(merged, pods({}), strict=True):
        own = without["containers"][0]
        (container,) = (each for each in pod["containers"] if each["name"] == own["name"])
        owned = {"image", "command", "args", "ports"}
        assert {k: container.get(k) for k in owned} == {k: own.get(k) for k in owned}
        assert own["env"][0] in container["env"]
        assert "$patch" not in str(pod)
