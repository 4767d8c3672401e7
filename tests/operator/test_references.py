"""The ConfigMaps and Secrets whose change is a change of the pods."""

from typing import Any

from shop_operator.render.references import config_references
from shop_operator.spec import ShopService


def found(**spec: Any) -> frozenset[tuple[str, str]]:
    return config_references(ShopService("web", "shop", "u", 1, document={"image": "web:1", **spec}))


def variable(source: str, name: str) -> dict[str, Any]:
    return {"name": name.upper(), "valueFrom": {source: {"name": name, "key": "k"}}}


def test_a_shopservice_without_variables_refers_to_nothing() -> None:
    assert found() == frozenset()


def test_every_way_to_a_variable_is_a_reference_of_the_web_part_and_of_the_workers() -> None:
    references = found(
        env=[
            variable("configMapKeyRef", "a"),
            variable("secretKeyRef", "b"),
            {"name": "PLAIN", "value": "1"},
        ],
        envFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d", "optional": True}}],
        workers=[{"name": "relay", "command": ["relay"], "env": [variable("secretKeyRef", "e")]}],
    )

    assert references == {
        ("ConfigMap", "a"),
        ("Secret", "b"),
        ("ConfigMap", "c"),
        ("Secret", "d"),
        ("Secret", "e"),
    }


def test_the_variables_of_a_pod_template_are_references_too_and_what_is_no_pod_is_none() -> None:
    container = {
        "name": "app",
        "env": [variable("configMapKeyRef", "a"), {"name": "PLAIN"}, "hostile"],
        "envFrom": [{"secretRef": {"name": "b"}}, {"configMapRef": {"name": 1}}],
    }
    spec = {"containers": [container, 1], "initContainers": [{"env": [variable("secretKeyRef", "c")]}]}

    assert found(podTemplate={"spec": spec}) == {("ConfigMap", "a"), ("Secret", "b"), ("Secret", "c")}
    assert found(podTemplate={"spec": {"containers": "hostile"}}) == frozenset()
    assert found(podTemplate={"metadata": {"labels": {"a": "b"}}}) == frozenset()


def test_a_field_of_the_pod_and_the_secret_of_a_registry_are_no_references() -> None:
    field = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}

    assert found(env=[field], imagePullSecrets=[{"name": "registry"}]) == frozenset()
