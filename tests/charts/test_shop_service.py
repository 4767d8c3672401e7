"""charts/shop-service: values become the fields of the same name, and maps become lists."""

from typing import Any

import pytest

from shop_operator.api.v1alpha1.crd import crd
from tests.charts.helm import Helm, Object, Refused, only

IMAGE = {"image": {"repository": "cart", "tag": "v1"}}
FULL: dict[str, Any] = {
    "image": {
        "registry": "reg.example",
        "repository": "team/cart",
        "tag": "v1",
        "digest": "sha256:" + "a" * 64,
    },
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "command": ["python"],
    "args": ["-m", "cart"],
    "port": 9000,
    "autoscaling": {"minReplicas": 2, "maxReplicas": 5, "cpu": 60},
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "128Mi"}},
    "env": {
        "LOG_LEVEL": "debug",
        "PASSWORD": {"valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
    },
    "envFrom": [{"configMapRef": {"name": "cart"}}],
    "probes": {"readiness": {"httpGet": {"path": "/ready"}}},
    "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
    "terminationGracePeriodSeconds": 60,
    "routes": [{"path": "/carts", "methods": ["GET", "POST"]}],
    "gateway": {"name": "shop", "namespace": "edge"},
    "gateways": [{"name": "internal"}],
    "discovery": {"hostname": "carts.shop.internal"},
    "workers": {"mailer": {"command": ["mail"], "env": {"BATCH": "10"}, "replicas": 0}},
    "serviceAccount": {"annotations": {"a/b": "c"}},
    "rollout": {"autoRollback": True},
    "disruption": {"maxUnavailable": "50%"},
    "commonMetadata": {"labels": {"team": "checkout"}},
    "podTemplate": {"spec": {"containers": [{"name": "app", "livenessProbe": {"$patch": "delete"}}]}},
    "suspend": True,
    "dependsOn": ["product"],
    "networkPolicy": {"egress": [{"ports": [{"port": 443}]}]},
    "monitoring": {"interval": "1m"},
}


def _spec(helm: Helm, values: dict[str, Any]) -> Object:
    return dict(only(helm.template("shop-service", values, release="cart"), "ShopService")["spec"])


def test_given_only_an_image_then_the_spec_contains_nothing_else(helm: Helm) -> None:
    objects = helm.template("shop-service", IMAGE, release="cart", namespace="team")

    assert len(objects) == 1
    assert objects[0]["metadata"]["name"] == "cart"
    assert objects[0]["metadata"]["namespace"] == "team"
    assert objects[0]["spec"] == {"image": "cart:v1"}


def test_given_every_value_then_each_becomes_the_field_of_the_same_name(helm: Helm) -> None:
    spec = _spec(helm, FULL)

    assert spec == FULL | {
        "image": "reg.example/team/cart:v1@sha256:" + "a" * 64,
        "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "PASSWORD", **FULL["env"]["PASSWORD"]}],
        "workers": [
            {"name": "mailer", "command": ["mail"], "env": [{"name": "BATCH", "value": "10"}], "replicas": 0}
        ],
    }


def test_given_every_field_of_the_crd_then_the_chart_has_a_value_for_it(helm: Helm) -> None:
    fields = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]

    assert set(_spec(helm, FULL)) | {"replicas"} == set(fields)


def test_given_zero_replicas_then_the_spec_contains_zero(helm: Helm) -> None:
    assert _spec(helm, IMAGE | {"replicas": 0})["replicas"] == 0


def test_given_an_empty_block_then_the_spec_contains_it(helm: Helm) -> None:
    spec = _spec(helm, IMAGE | {"networkPolicy": {}, "monitoring": {}})

    assert (spec["networkPolicy"], spec["monitoring"]) == ({}, {})


def test_given_an_empty_variable_then_it_overrides_the_shared_one(helm: Helm) -> None:
    spec = _spec(helm, IMAGE | {"global": {"env": {"A": "shared", "B": "shared"}}, "env": {"A": ""}})

    assert spec["env"] == [{"name": "A", "value": ""}, {"name": "B", "value": "shared"}]


def test_given_null_then_a_value_of_an_earlier_file_is_removed(helm: Helm) -> None:
    taken = {
        "env": {"A": None},
        "workers": {"mailer": None},
        "autoscaling": None,
        "routes": None,
        "envFrom": None,
    }
    spec = _spec(helm, IMAGE | {"global": {"env": {"A": "shared"}}} | taken)

    assert spec == {"image": "cart:v1"}


def test_given_shared_values_then_those_of_the_service_take_precedence(helm: Helm) -> None:
    shared = {
        "image": {"registry": "shared.example", "tag": "v0"},
        "envFrom": [{"secretRef": {"name": "shared"}}],
        "gateway": {"name": "shared"},
        "imagePullSecrets": [{"name": "shared"}],
    }
    bare = _spec(helm, {"image": {"repository": "cart"}, "global": shared})
    own = _spec(helm, FULL | {"global": shared})

    assert bare == {
        "image": "shared.example/cart:v0",
        "envFrom": shared["envFrom"],
        "gateway": shared["gateway"],
        "imagePullSecrets": shared["imagePullSecrets"],
    }
    assert own == _spec(helm, FULL)


def test_given_labels_then_they_take_precedence_over_those_of_the_chart(helm: Helm) -> None:
    values = IMAGE | {
        "labels": {"app.kubernetes.io/part-of": "webshop", "team": "cart"},
        "annotations": {"a": "b"},
    }
    metadata = only(helm.template("shop-service", values, release="cart"), "ShopService")["metadata"]

    assert metadata["labels"]["app.kubernetes.io/part-of"] == "webshop"
    assert metadata["labels"]["team"] == "cart"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert metadata["annotations"] == {"a": "b"}


def test_given_a_name_then_it_takes_precedence_over_that_of_the_release(helm: Helm) -> None:
    objects = helm.template("shop-service", IMAGE | {"name": "basket"}, release="cart")

    assert objects[0]["metadata"]["name"] == "basket"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"image": {"repository": "cart"}},
            "image.tag of cart is empty: set it, or image.digest, or global.image.tag",
        ),
        ({"image": {"tag": "v1"}}, "image.repository of cart is empty: set the name of the image"),
        (
            IMAGE | {"replicas": 2, "autoscaling": {"minReplicas": 1, "maxReplicas": 2}},
            "cart has both replicas and autoscaling: they cannot be combined",
        ),
        (IMAGE | {"replica": 2}, "additional properties 'replica' not allowed"),
        (IMAGE | {"image": "cart:v1"}, "at '/image': got string, want object"),
        (IMAGE | {"port": "http"}, "at '/port': got string, want "),
        (IMAGE | {"port": 70000}, "at '/port': maximum: got 70,000, want 65,535"),
        (IMAGE | {"env": {"PORT": []}}, "at '/env/PORT': got array, want "),
        (IMAGE | {"env": {"A": {"value": "x"}}}, "at '/env/A': additional properties 'value' not allowed"),
        (IMAGE | {"env": [{"name": "A", "value": "x"}]}, "at '/env': got array, want "),
        (
            IMAGE | {"env": {"A": {"valueFrom": {"secretRef": {"name": "s"}}}}},
            "at '/env/A/valueFrom': additional properties 'secretRef' not allowed",
        ),
        (
            IMAGE | {"routes": [{"path": "/a", "methods": ["FETCH"]}]},
            "at '/routes/0/methods/0': value must be one of",
        ),
        (IMAGE | {"routes": [{"methods": ["GET"]}]}, "at '/routes/0': missing property 'path'"),
        (IMAGE | {"autoscaling": {"max": 3}}, "at '/autoscaling': additional properties 'max' not allowed"),
        (IMAGE | {"workers": [{"name": "a"}]}, "at '/workers': got array, want "),
        (
            IMAGE | {"workers": {"a": {"comand": ["x"]}}},
            "at '/workers/a': additional properties 'comand' not allowed",
        ),
        (IMAGE | {"workers": {"A_b": {"command": ["x"]}}}, "does not match pattern"),
        (IMAGE | {"imagePullPolicy": "Sometimes"}, "at '/imagePullPolicy': value must be one of"),
        (IMAGE | {"probes": {"startap": {}}}, "at '/probes': additional properties 'startap' not allowed"),
    ],
)
def test_given_an_invalid_value_then_the_error_names_it(
    helm: Helm, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        _spec(helm, values)

    assert sentence in caught.value.sentence
