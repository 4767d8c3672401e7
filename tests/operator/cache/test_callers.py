"""Which ShopServices may call which others."""

from typing import Any

from shop_operator.cache.callers import Callers
from shop_operator.cache.store import Store
from shop_operator.names import ChildId, Key
from tests.operator.world import (
    KEY,
)


def test_given_a_caller_by_its_template_then_it_is_admitted_until_the_template_changes_or_goes() -> None:
    callers = Callers()
    callers.put("shop", "shop", ["db"], rolling=False)
    callers.put("shop-relay", "shop", ["db"], rolling=False)
    callers.put("db", "db", ["db"], rolling=False)
    assert callers.of("db") == {"shop"}
    assert callers.of("shop") == frozenset()

    callers.put("shop", "shop", [], rolling=False)
    assert callers.of("db") == {"shop"}

    callers.remove("shop-relay")
    callers.remove("unknown")
    assert callers.of("db") == frozenset()
    assert callers

    callers.remove("db")
    assert not callers


def test_given_a_caller_with_a_rollout_in_progress_then_every_other_shopservice_admits_it() -> None:
    callers = Callers()
    callers.put("shop", "shop", [], rolling=True)
    assert callers.of("db") == {"shop"}
    assert callers.of("shop") == frozenset()

    callers.put("shop", "shop", [], rolling=False)
    assert callers.of("db") == frozenset()
    assert not callers


def test_given_a_former_dependant_when_it_changes_then_the_shopservices_that_still_admit_it_are_queued() -> (
    None
):
    store = Store()

    def see(kind: str, name: str, version: int, **more: Any) -> set[Key]:
        metadata = {
            "namespace": "ns",
            "name": name,
            "uid": f"{kind}{name}",
            "resourceVersion": str(version),
            "labels": {"shopservice.dev/name": name},
            "managedFields": [
                {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ingress": {}}}}
            ],
        }
        return store.put({"kind": kind, "metadata": metadata, **more})

    peer = {"podSelector": {"matchLabels": {"shopservice.dev/name": "caller"}}}
    see("ShopService", "web", 1, spec={})
    see("ShopService", "caller", 2, spec={"dependsOn": ["web"]})
    see("NetworkPolicy", "web", 3, spec={"ingress": [{"from": [peer]}]})
    caller = Key("ns", "caller")
    assert see("Deployment", "caller", 4, spec={"replicas": 1}) == {caller}

    assert see("ShopService", "caller", 5, spec={}) == {KEY, caller}
    assert see("Deployment", "caller", 6, spec={"replicas": 2}) == {KEY, caller}
    assert see("ShopService", "caller", 7, spec={}, status={"observedGeneration": 2}) == {KEY, caller}
    gone = {
        "namespace": "ns",
        "name": "caller",
        "uid": "Deploymentcaller",
        "resourceVersion": "8",
    }
    assert store.remove({"kind": "Deployment", "metadata": gone}) == {KEY, caller}

    see("NetworkPolicy", "web", 9, spec={"ingress": []})
    assert see("ShopService", "caller", 10, spec={}, status={}) == {caller}


def test_given_a_kept_port_when_ports_or_pods_change_then_the_waiting_shopservices_are_queued() -> None:
    store = Store()

    def shop(name: str, version: int, **spec: Any) -> None:
        store.put(
            {
                "kind": "ShopService",
                "metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)},
                "spec": spec,
            }
        )

    def child(kind: str, of: str, version: int, spec: dict[str, Any]) -> set[Key]:
        return store.put(
            {
                "kind": kind,
                "metadata": {
                    "namespace": "ns",
                    "name": of,
                    "uid": f"{kind}{of}",
                    "resourceVersion": str(version),
                    "labels": {"shopservice.dev/name": of},
                },
                "spec": spec,
            }
        )

    def entry(name: str, number: int) -> dict[str, Any]:
        return {"name": name, "port": number, "targetPort": "http"}

    shop("web", 1)
    shop("caller", 2, dependsOn=["web"])
    child("Service", "web", 3, {"ports": [entry("http", 8080)]})
    child("Deployment", "caller", 4, {"replicas": 1})

    moved = child("Service", "web", 5, {"ports": [entry("http-8080", 8080), entry("http", 9090)]})
    assert moved == {KEY, Key("ns", "caller")}
    assert store.children(KEY)[ChildId("Service", "web")].state["ports"] == [9090, 8080]
    assert child("Deployment", "caller", 6, {"replicas": 2}) == {KEY, Key("ns", "caller")}

    child("Service", "web", 7, {"ports": [entry("http", 9090)]})
    assert child("Deployment", "caller", 8, {"replicas": 3}) == {Key("ns", "caller")}
