"""Drift, and fields that belong to other managers."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shop_operator.objects.compare import applied_hash, differences


def container(**more: Any) -> dict[str, Any]:
    return {"name": "app", "image": "shop:1", **more}


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return of("Deployment", {"template": {"spec": {"containers": list(containers), **more}}})


def of(kind: str, spec: Any) -> dict[str, Any]:
    return {"kind": kind, "spec": spec}


def projected(**source: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "a", "projected": {"sources": [source]}}])


PATH = "spec.template.spec.containers[name=app]"


@pytest.mark.parametrize(
    ("case", "desired", "live"),
    [
        ("equal", pod(container()), pod(container())),
        ("defaults", pod(container()), pod(container(imagePullPolicy="Always"), restartPolicy="Always")),
        ("injected sidecar", pod(container()), pod({"name": "proxy"}, container())),
        (
            "user's label",
            {"metadata": {"labels": {"a": "1"}}},
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
        ),
        (
            "env of another manager",
            pod(container(env=[{"name": "A", "value": "1"}])),
            pod(container(env=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}])),
        ),
        (
            "quantities",
            pod(container(resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": 1}})),
            pod(container(resources={"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "1"}})),
        ),
        (
            "port protocol default",
            pod(container(ports=[{"containerPort": 8080}])),
            pod(container(ports=[{"containerPort": 8080, "protocol": "TCP"}])),
        ),
        ("empty list is not stored", pod(container(env=[])), pod(container())),
        (
            "false and zero that are not stored",
            pod(
                container(
                    stdin=False,
                    ports=[{"containerPort": 80, "hostPort": 0}],
                    volumeMounts=[{"mountPath": "/a", "name": "a", "readOnly": False}],
                    livenessProbe={"initialDelaySeconds": 0},
                ),
                hostNetwork=False,
                hostPID=False,
            ),
            pod(
                container(
                    ports=[{"containerPort": 80, "protocol": "TCP"}],
                    volumeMounts=[{"mountPath": "/a", "name": "a"}],
                    livenessProbe={},
                )
            ),
        ),
        (
            "a default in place of zero",
            pod(container(livenessProbe={"periodSeconds": 0}), dnsPolicy=""),
            pod(container(livenessProbe={"periodSeconds": 10}), dnsPolicy="ClusterFirst"),
        ),
        (
            "the expiration of a projected token",
            projected(serviceAccountToken={"path": "a"}),
            projected(serviceAccountToken={"path": "a", "expirationSeconds": 3600}),
        ),
        (
            "the expiration of a projected certificate",
            projected(podCertificate={"keyType": "ED25519", "signerName": "a/b"}),
            projected(
                podCertificate={"keyType": "ED25519", "signerName": "a/b", "maxExpirationSeconds": 86400}
            ),
        ),
        ("null is not set by us", pod(container(command=None)), pod(container(command=["x"]))),
        (
            "service port gets a node port",
            of("Service", {"ports": [{"port": 80, "targetPort": "http"}]}),
            of(
                "Service",
                {"ports": [{"port": 80, "protocol": "TCP", "targetPort": "http", "nodePort": 30000}]},
            ),
        ),
    ],
)
def test_given_a_live_object_that_matches_the_desired_fields_then_no_drift_is_reported(
    case: str, desired: dict[str, Any], live: dict[str, Any]
) -> None:
    assert list(differences(desired, live)) == [], case


@pytest.mark.parametrize(
    ("desired", "live", "paths"),
    [
        (pod(container()), pod(container(image="evil")), [f"{PATH}.image"]),
        (pod(container()), pod({"name": "proxy"}), [PATH]),
        (
            pod(container(env=[{"name": "A", "value": "0.5"}])),
            pod(container(env=[{"name": "A", "value": "500m"}])),
            [f"{PATH}.env[name=A].value"],
        ),
        (
            pod(container(resources={"limits": {"cpu": "1"}})),
            pod(container(resources={"limits": {"cpu": "2"}})),
            [f"{PATH}.resources.limits.cpu"],
        ),
        (pod(container(args=["a"])), pod(container(args=["a", "b"])), [f"{PATH}.args"]),
        (
            of("Service", {"selector": {"a": "1"}}),
            of("Service", {"selector": {"a": "1", "b": "2"}}),
            ["spec.selector.b"],
        ),
        (
            of("NetworkPolicy", {"podSelector": {"matchLabels": {"a": "1"}}}),
            of("NetworkPolicy", {"podSelector": {"matchLabels": {"a": "1", "b": "2"}}}),
            ["spec.podSelector.matchLabels.b"],
        ),
        (
            of("NetworkPolicy", {"ingress": []}),
            of("NetworkPolicy", {"ingress": [{}]}),
            ["spec.ingress"],
        ),
        (
            of("HorizontalPodAutoscaler", {"metrics": [{"type": "Resource"}]}),
            of("HorizontalPodAutoscaler", {"metrics": [{"type": "Resource", "extra": 1}]}),
            ["spec.metrics[0].extra"],
        ),
        (
            pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a"]}]),
            pod(hostAliases=[{"ip": "10.0.0.2"}, {"ip": "10.0.0.1", "hostnames": ["b"]}]),
            ["spec.template.spec.hostAliases[ip=10.0.0.1].hostnames[0]"],
        ),
        (pod(hostNetwork=False), pod(hostNetwork=True), ["spec.template.spec.hostNetwork"]),
        # Zero values that are stored.
        (
            pod(automountServiceAccountToken=False, enableServiceLinks=False),
            pod(),
            ["spec.template.spec.automountServiceAccountToken", "spec.template.spec.enableServiceLinks"],
        ),
        (
            pod(container(securityContext={"allowPrivilegeEscalation": False, "runAsUser": 0})),
            pod(container(securityContext={})),
            [
                f"{PATH}.securityContext.allowPrivilegeEscalation",
                f"{PATH}.securityContext.runAsUser",
            ],
        ),
        (
            projected(serviceAccountToken={"path": "a"}),
            projected(serviceAccountToken={"path": "a", "expirationSeconds": 7200}),
            ["spec.template.spec.volumes[name=a].projected.sources[0].serviceAccountToken.expirationSeconds"],
        ),
        (of("HTTPRoute", {"rules": 0}), of("HTTPRoute", {}), ["spec.rules"]),
        ({"spec": {"replicas": 2}}, {"spec": {}}, ["spec.replicas"]),
        ({"metadata": {"labels": {"a": "1"}}}, {"metadata": {}}, ["metadata.labels"]),
        ({"spec": {"emptyDir": {}}}, {"spec": {"hostPath": {}}}, ["spec.emptyDir"]),
        ({"a": {"b": 1}}, {"a": "text"}, ["a"]),
        ({"a": [1]}, {"a": "text"}, ["a"]),
    ],
)
def test_given_a_live_object_that_differs_then_drift_names_the_paths(
    desired: dict[str, Any], live: dict[str, Any], paths: list[str]
) -> None:
    assert list(differences(desired, live)) == paths


# Integers of the Kubernetes API are 64 bits wide.
int64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | int64 | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@example({"kind": []})
@given(st.dictionaries(st.text(min_size=1, max_size=5), json_values, max_size=4))
def test_given_any_object_when_it_is_compared_with_itself_then_no_drift_is_reported(
    obj: dict[str, Any],
) -> None:
    assert list(differences(obj, obj)) == []


@given(st.dictionaries(st.text(max_size=5), int64, max_size=4))
def test_given_two_orders_of_keys_then_the_hash_is_the_same(obj: dict[str, int]) -> None:
    assert applied_hash(obj) == applied_hash(dict(reversed(obj.items())))


def test_given_two_configurations_then_their_hashes_differ() -> None:
    assert applied_hash({"a": 1}) != applied_hash({"a": 2})


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1", "1000m", True),
        ("1k", "1000", True),
        ("1Ki", "1024", True),
        ("1e3", "1k", True),
        ("1.5Gi", "1536Mi", True),
        ("1E", "1000P", True),
        ("1", "2", False),
        ("abc", "def", False),
        ("1Mi", "1M", False),
    ],
)
def test_given_two_quantities_then_they_are_compared_by_value(one: str, other: str, equal: bool) -> None:
    desired, live = (pod(container(resources={"limits": {"x": each}})) for each in (one, other))

    assert (list(differences(desired, live)) == []) is equal
