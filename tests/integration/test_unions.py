"""A union member that is set by hand beside or in place of the operator's is removed and blocks no later release.

The members come from the table of types, so a new union of Kubernetes is not covered until it has an example.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from shop_operator.objects.kubernetes_schema import types
from tests.integration.cluster import Cluster, condition
from tests.integration.operators import run
from tests.integration.shopservices import shopservice
from tests.waiting import wait_for

Spec = dict[str, Any]
AT_ONCE: Final = 5.0
NEW: Final = "registry.test/shop-product:2"

pytestmark = pytest.mark.usefixtures("operator")

_REF: Final = {"name": "some", "key": "key"}
_PATH: Final = {"path": "file", "fieldRef": {"fieldPath": "metadata.name"}}
_CLAIM: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_EXEC: Final = {"command": ["true"]}
_HTTP: Final = {"path": "/", "port": 8080}

# An example of every member, by type.
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "AppArmorProfile": {
        "localhostProfile": {"type": "Localhost", "localhostProfile": "some"},
        "type": {"type": "Unconfined"},
    },
    "EnvVar": {"value": "some", "valueFrom": {"secretKeyRef": _REF}},
    "EnvVarSource": {
        "configMapKeyRef": _REF,
        "fieldRef": {"fieldPath": "metadata.name"},
        "resourceFieldRef": {"resource": "limits.cpu"},
        "secretKeyRef": _REF,
    },
    "FCVolumeSource": {"wwids": ["some"], "targetWWNs": {"targetWWNs": ["some"], "lun": 1}},
    "FlockerVolumeSource": {"datasetName": "some", "datasetUUID": "some"},
    "LifecycleHandler": {
        "exec": _EXEC,
        "httpGet": _HTTP,
        "sleep": {"seconds": 1},
        "tcpSocket": {"port": 8080},
    },
    "PodResourceClaim": {"resourceClaimName": "some", "resourceClaimTemplateName": "some"},
    "Probe": {"exec": _EXEC, "grpc": {"port": 8080}, "httpGet": _HTTP, "tcpSocket": {"port": 8080}},
    "SeccompProfile": {
        "localhostProfile": {"type": "Localhost", "localhostProfile": "some"},
        "type": {"type": "RuntimeDefault"},
    },
    "Volume": {
        "awsElasticBlockStore": {"volumeID": "some"},
        "azureDisk": {"diskName": "some", "diskURI": "https://some"},
        "azureFile": {"secretName": "some", "shareName": "some"},
        "cephfs": {"monitors": ["some"]},
        "cinder": {"volumeID": "some"},
        "configMap": {"name": "some"},
        "csi": {"driver": "some.test"},
        "downwardAPI": {"items": [_PATH]},
        "emptyDir": {},
        "ephemeral": {"volumeClaimTemplate": {"spec": _CLAIM}},
        "fc": {"wwids": ["some"]},
        "flexVolume": {"driver": "some/driver"},
        "flocker": {"datasetName": "some"},
        "gcePersistentDisk": {"pdName": "some"},
        "gitRepo": {"repository": "some"},
        "glusterfs": {"endpoints": "some", "path": "some"},
        "hostPath": {"path": "/some"},
        "iscsi": {"targetPortal": "some", "iqn": "iqn.2026-01.test:some", "lun": 1},
        "nfs": {"server": "some", "path": "/some"},
        "persistentVolumeClaim": {"claimName": "some"},
        "photonPersistentDisk": {"pdID": "some"},
        "portworxVolume": {"volumeID": "some"},
        "projected": {"sources": [{"secret": {"name": "some"}}]},
        "quobyte": {"registry": "some:1", "volume": "some"},
        "rbd": {"monitors": ["some"], "image": "some"},
        "scaleIO": {
            "gateway": "https://some",
            "system": "some",
            "volumeName": "some",
            "secretRef": {"name": "some"},
        },
        "secret": {"secretName": "some"},
        "storageos": {"volumeName": "some"},
        "vsphereVolume": {"volumePath": "some"},
    },
    "VolumeMount": {"subPath": "some", "subPathExpr": "$(SOME)"},
}
# Of an alpha feature: the API server that does not have it turned on takes the field away.
GATED: Final = {("EnvVarSource", "fileKeyRef"), ("Volume", "image")}
# Unions inside of lists that are one value: drift of the list is drift of all in it.
IN_ATOMIC_LISTS: Final = {
    *("ClusterTrustBundleProjection", "EnvFromSource", "MetricSpec", "MetricTarget"),
    *("NetworkPolicyPeer", "VolumeProjection"),
}
# Each has a test of its own below.
OTHERS: Final = {"DeploymentStrategy", "PodDisruptionBudgetSpec", "ServiceSpec"}


class Place(NamedTuple):
    """Where objects of a type are: a pod that has them, and they in a pod."""

    pod: Callable[[list[Spec]], Spec]
    find: Callable[[Spec], list[Spec]]


def _in_sidecars(make: Callable[[Spec], Spec], find: Callable[[Spec], Spec]) -> Place:
    """One in each of several containers beside ours."""
    return Place(
        lambda each: {
            "containers": [
                {"name": f"side-{number}", "image": "registry.test/side:1", **make(obj)}
                for number, obj in enumerate(each)
            ]
        },
        lambda pod: [find(each) for each in pod["containers"] if each["name"].startswith("side-")],
    )


def _in_volumes(source: str = "") -> Place:
    def pod(each: list[Spec]) -> Spec:
        return {
            "volumes": [
                {"name": f"some-{number}", **({source: obj} if source else obj)}
                for number, obj in enumerate(each)
            ]
        }

    def find(pod: Spec) -> list[Spec]:
        ours = [each for each in pod["volumes"] if each["name"].startswith("some-")]
        return [each[source] for each in ours] if source else ours

    return Place(pod, find)


PLACES: Final[dict[str, Place]] = {
    "AppArmorProfile": _in_sidecars(
        lambda obj: {"securityContext": {"appArmorProfile": obj}},
        lambda each: each["securityContext"]["appArmorProfile"],
    ),
    "EnvVar": _in_sidecars(
        lambda obj: {"env": [{"name": "SOME", **obj}]},
        lambda each: each["env"][0],
    ),
    "EnvVarSource": _in_sidecars(
        lambda obj: {"env": [{"name": "SOME", "valueFrom": obj}]},
        lambda each: each["env"][0]["valueFrom"],
    ),
    "FCVolumeSource": _in_volumes("fc"),
    "FlockerVolumeSource": _in_volumes("flocker"),
    "LifecycleHandler": _in_sidecars(
        lambda obj: {"lifecycle": {"preStop": obj}},
        lambda each: each["lifecycle"]["preStop"],
    ),
    "PodResourceClaim": Place(
        lambda objs: {"resourceClaims": [{"name": f"some-{n}", **obj} for n, obj in enumerate(objs)]},
        lambda pod: pod["resourceClaims"],
    ),
    "Probe": _in_sidecars(lambda obj: {"livenessProbe": obj}, lambda each: each["livenessProbe"]),
    "SeccompProfile": _in_sidecars(
        lambda obj: {"securityContext": {"seccompProfile": obj}},
        lambda each: each["securityContext"]["seccompProfile"],
    ),
    "Volume": _in_volumes(),
    "VolumeMount": _in_sidecars(
        lambda obj: {
            "env": [{"name": "SOME", "value": "some"}],
            "volumeMounts": [{"name": "tmp", "mountPath": "/some", **obj}],
        },
        lambda each: each["volumeMounts"][0],
    ),
}


def members(kind: str) -> list[Spec]:
    """An object for each member of the unions of a type."""
    return [
        value if isinstance(value, dict) and name in value else {name: value}
        for name, value in EXAMPLES[kind].items()
    ]


def test_given_every_union_of_the_schema_table_then_the_examples_cover_its_members() -> None:
    for name, found in types().items():
        if not found.unions or name in {*IN_ATOMIC_LISTS, *OTHERS}:
            continue
        wanted = {member[0] for union in found.unions for member in union.members}
        wanted |= {union.discriminator for union in found.unions if union.discriminator}
        assert wanted - {field for kind, field in GATED if kind == name} == set(EXAMPLES[name]), name
        assert name in PLACES


@pytest.fixture
def site(cluster: Cluster, namespace: str) -> "Site":
    """A namespace in which an administrator lets pods do anything, so that no member is refused for what it is."""
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    cluster.http.patch(
        f"/api/v1/namespaces/{namespace}",
        json={"metadata": {"labels": labels}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    return Site(cluster, namespace)


class Site:
    """One ShopService and its children."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def create(self, **spec: Any) -> None:
        """Make the ShopService and wait for its Deployment."""
        self._cluster.create(shopservice(self._namespace, **spec))
        wait_for(lambda: self.get("Deployment"), what="a Deployment")

    def get(self, kind: str) -> dict[str, Any]:
        """A child, or the ShopService."""
        return self._cluster.get(kind, self._namespace, "web")

    def pod(self) -> Spec:
        """The pod of the web part."""
        found: Spec = self.get("Deployment")["spec"]["template"]["spec"]
        return found

    def edit(self, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
        """`kubectl edit`."""
        path = self._cluster.path(kind, self._namespace, "web")

        def written() -> bool:
            obj = self.get(kind)
            change(obj["spec"])
            answer = self._cluster.http.put(path, json=obj, params={"fieldManager": "kubectl-edit"})
            assert answer.is_success, answer.text
            return True

        wait_for(written, what="a hand edit")

    def patch(self, **spec: Any) -> None:
        """Change the ShopService."""
        self._cluster.patch("ShopService", self._namespace, "web", {"spec": spec})

    def settled(self) -> None:
        """Nothing is refused, and the operator has left no field to the manager of its repairs."""
        shop = self.get("ShopService")
        assert shop["status"]["observedGeneration"] == shop["metadata"]["generation"]
        assert condition(shop, "Stalled")["status"] == "False", condition(shop, "Stalled")["message"]
        managers = {each["manager"] for each in self.get("Deployment")["metadata"]["managedFields"]}
        assert "shop-operator-repair" not in managers

    def release_arrives(self) -> None:
        """A new image is rolled out."""
        self.patch(image=NEW)

        def there() -> bool:
            (app,) = (each for each in self.pod()["containers"] if each["name"] == "app")
            assert app["image"] == NEW, condition(self.get("ShopService"), "Ready")["message"]
            self.settled()
            return True

        wait_for(there, AT_ONCE, what="the release")


def _replace(objs: list[Spec], ours: list[Spec], theirs: list[Spec]) -> None:
    for obj, own, other in zip(objs, ours, theirs, strict=True):
        for field in own:
            obj.pop(field, None)
        obj.update(other)


def _next(each: list[Spec]) -> list[Spec]:
    return [*each[1:], each[0]]


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_given_a_union_member_when_an_edit_sets_another_then_it_is_reverted_and_releases_are_rolled_out(
    site: Site, kind: str
) -> None:
    ours, place = members(kind), PLACES[kind]
    theirs = _next(ours)
    site.create(podTemplate={"spec": place.pod(ours)})
    before = place.find(site.pod())

    site.edit("Deployment", lambda spec: _replace(place.find(spec["template"]["spec"]), ours, theirs))

    def healed() -> bool:
        assert place.find(site.pod()) == before
        site.settled()
        assert site.get("ShopService")["status"]["drift"]["last"]["object"] == "Deployment web"
        return True

    wait_for(healed, AT_ONCE, what=kind)
    assert site.get("ShopService")["status"]["drift"]["last"]["manager"] == "kubectl-edit"
    site.release_arrives()
    assert place.find(site.pod()) == before


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_given_an_edited_union_while_suspended_when_a_release_sets_a_third_member_then_it_is_rolled_out(
    site: Site, kind: str
) -> None:
    ours, place = members(kind), PLACES[kind]
    theirs = _next(ours)
    site.create(podTemplate={"spec": place.pod(ours)})
    site.patch(suspend=True)
    wait_for(lambda: condition(site.get("ShopService"), "Ready")["reason"] == "Suspended")
    site.edit("Deployment", lambda spec: _replace(place.find(spec["template"]["spec"]), ours, theirs))

    site.patch(suspend=None, podTemplate={"spec": place.pod(_next(theirs))})

    def there() -> bool:
        for obj, wanted in zip(place.find(site.pod()), _next(theirs), strict=True):
            gone = {field for each in ours for field in each} - wanted.keys()
            assert not gone & obj.keys()
            assert wanted.keys() <= obj.keys()
        site.settled()
        return True

    wait_for(there, AT_ONCE, what=kind)


def _rolls(spec: Spec) -> None:
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}


def _recreates(spec: Spec) -> None:
    spec["strategy"] = {"type": "Recreate"}


def _of_minimum(spec: Spec) -> None:
    spec.pop("maxUnavailable", None)
    spec["minAvailable"] = 1


def _of_maximum(spec: Spec) -> None:
    spec.pop("minAvailable", None)
    spec["maxUnavailable"] = "50%"


def _renumbers(spec: Spec) -> None:
    spec["ports"][0]["port"] = 9999


def _renames(spec: Spec) -> None:
    spec["ports"] = [{"port": 9999, "protocol": "UDP"}]


def _adds_a_namesake(spec: Spec) -> None:
    spec["ports"][0]["name"] = "other"
    spec["ports"].append({"name": "http", "port": 9999})


def _keeps_sessions(spec: Spec) -> None:
    spec["ports"][0]["port"] = 9999
    spec["sessionAffinity"] = "ClientIP"
    spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 60}}


def _balances_load(spec: Spec) -> None:
    spec |= {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "loadBalancerClass": "some.test/class",
        "allocateLoadBalancerNodePorts": False,
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
    }


def _opens_node_ports(spec: Spec) -> None:
    spec |= {"type": "NodePort", "externalTrafficPolicy": "Local"}


def _names_another(spec: Spec) -> None:
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
        spec.pop(field, None)
    spec |= {"type": "ExternalName", "externalName": "elsewhere.test"}


def _renumbers_the_container(spec: Spec) -> None:
    (app,) = spec["template"]["spec"]["containers"]
    app["ports"][0]["containerPort"] = 9999


def _measures_pods(spec: Spec) -> None:
    target = {"type": "AverageValue", "averageValue": "10"}
    spec["metrics"] = [{"type": "Pods", "pods": {"metric": {"name": "some"}, "target": target}}]


def _measures_a_value(spec: Spec) -> None:
    target = {"type": "AverageValue", "averageValue": "100m"}
    for each in spec["metrics"]:
        (source,) = each.keys() - {"type"}
        each[source]["target"] = target


def _lets_a_range_in(spec: Spec) -> None:
    spec["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]


def _lets_nobody_in(spec: Spec) -> None:
    spec["policyTypes"] = ["Egress"]
    spec.pop("ingress", None)


SCALED: Final = {"autoscaling": {"minReplicas": 2, "maxReplicas": 4, "cpu": 50}}
BOUNDED: Final = {"replicas": 2, "disruption": {"minAvailable": 1}}


EDITS: Final = pytest.mark.parametrize(
    ("kind", "spec", "change"),
    [
        ("Deployment", {}, _recreates),
        ("Deployment", {"rollout": {"type": "Recreate"}}, _rolls),
        ("Deployment", {}, _renumbers_the_container),
        ("Service", {}, _renumbers),
        ("Service", {}, _renames),
        ("Service", {}, _adds_a_namesake),
        ("Service", {}, _keeps_sessions),
        ("Service", {}, _balances_load),
        ("Service", {}, _names_another),
        ("Service", {}, _opens_node_ports),
        ("PodDisruptionBudget", {"replicas": 2}, _of_minimum),
        ("PodDisruptionBudget", BOUNDED, _of_maximum),
        ("HorizontalPodAutoscaler", SCALED, _measures_pods),
        ("HorizontalPodAutoscaler", SCALED, _measures_a_value),
        ("NetworkPolicy", {"networkPolicy": {"enabled": True}}, _lets_a_range_in),
        ("NetworkPolicy", {"networkPolicy": {"enabled": True}}, _lets_nobody_in),
    ],
)


@EDITS
def test_given_any_child_when_an_edit_changes_its_kind_of_configuration_then_the_operator_reverts_it(
    site: Site, kind: str, spec: Spec, change: Callable[[Spec], None]
) -> None:
    site.create(resources={"requests": {"cpu": "100m"}}, **spec)
    before = wait_for(lambda: site.get(kind)["spec"], what=kind)
    wait_for(lambda: _is_settled(site), AT_ONCE)

    site.edit(kind, change)

    def healed() -> bool:
        live = site.get(kind)["spec"]
        for field in before.keys() - FREE:
            assert live[field] == before[field], field
        drift = site.get("ShopService")["status"]["drift"]
        assert drift["last"]["object"] == f"{kind} web"
        return _is_settled(site)

    wait_for(healed, AT_ONCE, what=kind)
    site.release_arrives()


@EDITS
def test_given_any_child_edited_while_suspended_when_it_is_resumed_and_released_then_the_edit_is_reverted(
    site: Site, kind: str, spec: Spec, change: Callable[[Spec], None]
) -> None:
    site.create(resources={"requests": {"cpu": "100m"}}, **spec)
    before = wait_for(lambda: site.get(kind)["spec"], what=kind)
    wait_for(lambda: _is_settled(site), AT_ONCE)
    site.patch(suspend=True)
    wait_for(lambda: condition(site.get("ShopService"), "Ready")["reason"] == "Suspended")
    site.edit(kind, change)

    site.patch(suspend=None)
    site.release_arrives()

    def healed() -> bool:
        live = site.get(kind)["spec"]
        for field in before.keys() - FREE - {"template"}:
            assert live[field] == before[field], field
        return _is_settled(site)

    wait_for(healed, AT_ONCE, what=kind)


# Fields that only the API server owns, and fields that the operator does not manage.
FREE: Final = {
    *("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "sessionAffinity"),
}


def _is_settled(site: Site) -> bool:
    site.settled()
    return True


def _reversed(name: str) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        pod = spec["template"]["spec"]
        place = pod if name == "initContainers" else pod["containers"][0]
        place[name].reverse()

    return change


def _doubled(spec: Spec) -> None:
    env = spec["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "HOST", "value": "twice"})


@pytest.mark.parametrize("change", [_reversed("env"), _reversed("initContainers"), _doubled])
def test_given_a_list_whose_order_matters_when_the_order_is_edited_then_the_operator_restores_it(
    site: Site, change: Callable[[Spec], None]
) -> None:
    """A variable refers to those before it, and of two of one name the last one counts; init containers run in order."""
    inits = [{"name": name, "image": "registry.test/init:1"} for name in ("first", "second", "third")]
    site.create(
        env=[{"name": "HOST", "value": "db"}, {"name": "URL", "value": "http://$(HOST)"}],
        podTemplate={"spec": {"initContainers": inits}},
    )

    def order() -> tuple[list[tuple[str, str]], list[str]]:
        pod = site.pod()
        env = [(each["name"], each["value"]) for each in pod["containers"][0]["env"]]
        return env, [each["name"] for each in pod["initContainers"]]

    before = order()
    wait_for(lambda: _is_settled(site), AT_ONCE)
    site.edit("Deployment", change)

    def healed() -> bool:
        assert order() == before
        return _is_settled(site) and bool(site.get("ShopService")["status"]["drift"])

    wait_for(healed, AT_ONCE)
    # Who did it is not known: the order of a list has no owner, nor has one of two variables of one name.
    assert site.get("ShopService")["status"]["drift"]["last"]["manager"] in {"", "kubectl-edit"}


def test_given_a_sidecar_added_by_hand_when_the_spec_is_refused_then_ready_names_the_field_of_the_spec(
    site: Site,
) -> None:
    site.create()
    side = {"name": "side", "image": "registry.test/side:1", "ports": [{"containerPort": 9999}]}
    site.edit("Deployment", lambda spec: spec["template"]["spec"]["containers"].append(side))

    site.patch(podTemplate={"spec": {"priorityClassName": "no valid name"}})

    def refused() -> str:
        shop = site.get("ShopService")
        assert condition(shop, "Stalled")["status"] == "True"
        found: str = condition(shop, "Ready")["message"]
        return found

    assert "priorityClassName" in wait_for(refused, AT_ONCE)
    assert [each["name"] for each in site.pod()["containers"]] == ["app", "side"]


def test_given_a_pod_template_with_other_union_members_than_the_defaults_then_they_replace_the_defaults(
    site: Site,
) -> None:
    hook, probe, source = {"exec": _EXEC}, {"tcpSocket": {"port": 8080}}, {"hostPath": {"path": "/some"}}
    constraint = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
    both = [
        {**constraint, "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
        {**constraint, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1},
    ]
    ports = [
        {"name": f"dns-{each.lower()}", "containerPort": 5353, "protocol": each} for each in ("TCP", "UDP")
    ]
    site.create(
        podTemplate={
            "spec": {
                "topologySpreadConstraints": both,
                "volumes": [{"name": "tmp", **source}],
                "containers": [
                    {"name": "app", "lifecycle": {"preStop": hook}, "livenessProbe": probe},
                    {"name": "side", "image": "registry.test/side:1", "ports": ports},
                ],
            }
        }
    )

    wait_for(lambda: _is_settled(site), AT_ONCE)
    app, side = site.pod()["containers"]
    assert app["lifecycle"]["preStop"] == hook
    assert app["livenessProbe"].keys() & {"httpGet", "tcpSocket"} == {"tcpSocket"}
    assert side["ports"] == ports
    assert [each["name"] for each in site.pod()["volumes"] if "hostPath" in each] == ["tmp"]
    hosts = [each for each in site.pod()["topologySpreadConstraints"] if "hostname" in each["topologyKey"]]
    assert {(each["whenUnsatisfiable"], each["maxSkew"]) for each in hosts} == {
        ("DoNotSchedule", 2),
        ("ScheduleAnyway", 1),
    }


def test_given_a_restarted_deployment_when_kubectl_scales_it_then_the_drift_names_kubectl_as_the_manager(
    site: Site, kubectl: Path, cluster: Cluster, namespace: str
) -> None:
    site.create(replicas=2)
    wait_for(lambda: _is_settled(site), AT_ONCE)
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace]
    run([*command, "rollout", "restart", "deployment/web"])

    run([*command, "scale", "deployment/web", "--replicas=5"])

    def told() -> dict[str, Any]:
        found: dict[str, Any] = site.get("ShopService")["status"]["drift"]["last"]
        return found

    last = wait_for(told, AT_ONCE)
    assert (last["fields"], last["manager"]) == (["spec.replicas"], "kubectl")


def test_given_a_field_when_kubectl_removes_it_then_the_drift_names_no_manager(
    site: Site, kubectl: Path, cluster: Cluster, namespace: str
) -> None:
    site.create(env=[{"name": "SOME", "value": "some"}])
    wait_for(lambda: _is_settled(site), AT_ONCE)
    command: list[str | Path] = [kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace]
    run([*command, "rollout", "restart", "deployment/web"])

    run([*command, "set", "env", "deployment/web", "SOME-"])

    def told() -> dict[str, Any]:
        found: dict[str, Any] = site.get("ShopService")["status"]["drift"]["last"]
        return found

    assert wait_for(told, AT_ONCE)["manager"] == ""


@pytest.mark.parametrize(
    ("env", "arguments"),
    [
        ({"name": "SOME", "valueFrom": {"secretKeyRef": _REF}}, ["SOME=typed"]),
        ({"name": "SOME", "value": "some"}, ["--from=secret/some", "--keys=some"]),
    ],
)
def test_given_a_variable_when_kubectl_set_env_changes_its_kind_of_value_then_the_operator_reverts_it(
    site: Site,
    kubectl: Path,
    cluster: Cluster,
    namespace: str,
    env: Spec,
    arguments: list[str],
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "some"}, "data": {"some": "eA=="}}
    cluster.http.post(f"/api/v1/namespaces/{namespace}/secrets", json=secret).raise_for_status()
    site.create(env=[env])
    wait_for(lambda: _is_settled(site), AT_ONCE)

    run(
        [
            *(kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace),
            *("set", "env", "deployment/web", *arguments),
        ]
    )

    def healed() -> bool:
        assert site.pod()["containers"][0]["env"] == [env]
        assert site.get("ShopService")["status"]["drift"]["count"] == 1
        return _is_settled(site)

    wait_for(healed, AT_ONCE)
    site.release_arrives()


def test_given_a_foreign_field_that_contradicts_the_next_release_then_the_release_replaces_it(
    site: Site,
) -> None:
    """On the host's network a container's port is the host's as well, so a port of ours cannot move."""
    site.create()
    wait_for(lambda: _is_settled(site), AT_ONCE)

    def by_hand(spec: Spec) -> None:
        pod = spec["template"]["spec"]
        pod["hostNetwork"] = True
        pod["containers"][0]["ports"][0]["hostPort"] = 8080

    site.edit("Deployment", by_hand)
    site.patch(port=9090)

    def moved() -> bool:
        (port,) = site.pod()["containers"][0]["ports"]
        assert port["containerPort"] == 9090
        return _is_settled(site)

    wait_for(moved, AT_ONCE)


def test_given_a_reverted_field_when_the_spec_drops_it_then_it_is_removed(site: Site) -> None:
    """Whatever the manager of repairs would own, no apply could take away again."""
    site.create(env=[{"name": "SOME", "value": "some"}, {"name": "OTHER", "value": "other"}])

    def by_hand(spec: Spec) -> None:
        (some, other) = spec["template"]["spec"]["containers"][0]["env"]
        other["value"] = "typed"
        some.pop("value")
        some["valueFrom"] = {"fieldRef": {"fieldPath": "metadata.name"}}

    site.edit("Deployment", by_hand)
    wait_for(lambda: site.get("ShopService")["status"].get("drift"), AT_ONCE)
    wait_for(lambda: _is_settled(site), AT_ONCE)

    site.patch(env=[{"name": "OTHER"}])

    def dropped() -> bool:
        assert site.pod()["containers"][0]["env"] == [{"name": "OTHER"}]
        return True

    wait_for(dropped, AT_ONCE)
