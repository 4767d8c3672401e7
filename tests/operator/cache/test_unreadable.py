"""No object that the API server can store ends a task, raises out of the store, or hides another object."""

import asyncio
import copy
import logging
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.cache.config_digests import ConfigDigests
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.snapshot import Child, Scaler, Shop
from shop_operator.cache.store import Store
from shop_operator.cache.unreadable import Unreadable
from shop_operator.errors import InvalidSpec
from shop_operator.kubernetes.wire import Listed, parsed
from shop_operator.names import ChildId, Key
from shop_operator.objects.lenient import Unparsed, digits
from shop_operator.objects.summary import summary
from shop_operator.render import KINDS
from shop_operator.status.compute import status
from shop_operator.status.observed import Observed
from shop_operator.status.verdicts.deployment import overdue, waiting
from tests.operator.world import World

WEB = Key("ns", "web")
OTHER = Key("ns", "other")

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "7", "True", "Ready"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "f:spec"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def whole(kind: str) -> dict[str, Any]:
    """An object with every field that the operator reads."""
    condition = {
        "type": "Available",
        "status": "True",
        "reason": "R",
        "message": "m",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    labels = {"shopservice.dev/name": "web"}
    return {
        "apiVersion": "x/v1",
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "ns",
            "uid": "u1",
            "resourceVersion": "5",
            "generation": 1,
            "labels": labels,
            "annotations": {"a": "b"},
            "finalizers": ["f"],
            "ownerReferences": [{"kind": "ShopService", "name": "web", "uid": "s1", "controller": True}],
            "managedFields": [
                {
                    "manager": "kubectl",
                    "operation": "Update",
                    "time": "2026-01-01T00:00:00Z",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}},
                }
            ],
        },
        "spec": {
            "replicas": 2,
            "dependsOn": ["other"],
            "port": 80,
            "image": "i",
            "template": {
                "metadata": {"annotations": {"shopservice.dev/config-checksum": "c"}},
                "spec": {
                    "containers": [{"name": "app", "image": "i", "resources": {"limits": {"cpu": "1"}}}]
                },
            },
            "parentRefs": [{"name": "gate", "namespace": "ns"}],
            "hostnames": ["a.test"],
            "rules": [{"matches": [{"path": {"value": "/"}}]}],
            "metrics": [{"resource": {"name": "cpu", "target": {"type": "Utilization"}}}],
        },
        "status": {
            "observedGeneration": 1,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "conditions": [condition],
            "parents": [{"conditions": [{**condition, "type": "Accepted"}]}],
            "children": [{"kind": "Deployment", "name": "web", "ready": True, "message": ""}],
        },
    }


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(path for key, inner in items for path in paths(inner, (*before, key)))]


KIND_NAMES = ["ShopService", *(kind.kind for kind in KINDS), "ConfigMap", "Secret", "Unheard"]
PLACES = paths(whole("Deployment"))[1:]


@st.composite
def odd_objects(draw: st.DrawFn) -> dict[str, Any]:
    """An object of one of our kinds, some fields of which are missing, null, of another type, or nested deeply."""
    obj: Any = whole(draw(st.sampled_from(KIND_NAMES)))
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4)):
        holder = obj
        for step in path[:-1]:
            try:
                holder = holder[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            change(holder, path[-1], draw(st.just(...) | st.integers(250, 900) | anything))
    return obj  # type: ignore[no-any-return]


def change(holder: Any, key: Any, value: Any) -> None:
    if isinstance(value, int) and value >= 250:
        value = orjson.loads(b"[" * value + b"]" * value)
    if isinstance(holder, dict) or (isinstance(holder, list) and isinstance(key, int) and key < len(holder)):
        if value is ... and isinstance(holder, dict):
            holder.pop(key, None)
        elif value is ...:
            del holder[key]
        else:
            holder[key] = value


@pytest.fixture
def counted() -> dict[str, int]:
    return {}


@given(obj=odd_objects(), event=st.sampled_from(["put", "merge", "remove", "file"]))
def test_given_an_object_with_any_content_then_the_store_raises_nothing_and_keeps_the_others(
    obj: Any, event: str
) -> None:
    store = Store()
    store.put(other())
    good = whole("Service")
    given_ = copy.deepcopy(obj)
    assert isinstance(given_, dict)

    if event == "merge":
        assert WEB in store.merge([obj, good])
    elif event == "file":
        store.file(WEB, obj)
        store.put(good)
    else:
        getattr(store, event)(obj)
        store.put(good)

    assert store.shop(OTHER) is not None
    kept = store.children(WEB).get(ChildId("Service", "web"))
    assert kept is not None or obj["kind"] == "Service" or event == "remove"
    for key in store.keys():  # noqa: SIM118  a method of the store
        shop = store.shop(key)
        assert shop is not None
        assert isinstance(shop.object, dict)
        for child in store.children(key).values():
            assert isinstance(child.state, dict)


@given(obj=odd_objects())
def test_given_an_object_with_any_content_then_a_status_is_computed(obj: Any) -> None:
    obj["kind"] = obj["kind"] if isinstance(obj.get("kind"), str) else "Deployment"
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    kept = orjson.loads(orjson.dumps(summary(obj), default=str)) if small(obj) else summary(obj)
    shop = ShopService("web", "ns", "s1", 1, {}, {"image": "i"})
    children = {(obj["kind"], "web"): kept}

    told = status(shop, Observed(children), {})

    waiting(children)
    overdue(children)
    assert {each["type"] for each in told["conditions"]} >= {"Ready", "Stalled"}


def small(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


class NothingToRead:
    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        raise AssertionError(kind, namespace, name)


class NoKey:
    async def get(self) -> bytes:
        return b""


@given(obj=odd_objects())
async def test_given_an_object_with_any_content_then_the_configuration_digests_raise_nothing(
    obj: Any,
) -> None:
    config_digests = ConfigDigests(NothingToRead(), NoKey(), wake=lambda _: None)

    config_digests.merge([obj, whole("ConfigMap")])
    config_digests.seen("DELETED", obj)


def other() -> dict[str, Any]:
    obj = whole("ShopService")
    obj["metadata"] |= {"name": "other", "uid": "u2"}
    return obj


def test_given_an_unreadable_object_then_it_is_counted_and_logged_once_until_it_is_readable(
    counted: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(Unreadable(counted.__setitem__))
    bad = whole("Deployment")
    del bad["metadata"]["resourceVersion"]

    with caplog.at_level(logging.WARNING):
        store.put(bad)
        store.put(bad)
        store.merge([bad])

    assert counted == {"Deployment": 1}
    (record,) = caplog.records
    assert (record.kind, record.namespace, record.object) == ("Deployment", "ns", "web")  # type: ignore[attr-defined]
    store.put(whole("Deployment"))
    assert counted == {"Deployment": 0}


@pytest.mark.parametrize("how", ["deleted", "listed without it"])
def test_given_an_unreadable_object_when_it_has_gone_then_it_is_no_longer_counted(
    how: str, counted: dict[str, int]
) -> None:
    store = Store(Unreadable(counted.__setitem__))
    bad = whole("Service")
    bad["metadata"]["resourceVersion"] = "none"
    store.put(bad)
    assert counted == {"Service": 1}

    if how == "deleted":
        store.remove(bad)
    else:
        store.sweep("Service", None, set(), 9)

    assert counted == {"Service": 0}


def test_given_an_unreadable_secret_then_the_log_contains_no_value_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = whole("Secret")
    bad["metadata"]["resourceVersion"] = "hunter2"

    with caplog.at_level(logging.WARNING):
        Store().put(bad)

    assert "hunter2" not in str([vars(each) for each in caplog.records])


def test_given_managed_fields_without_a_manager_name_then_the_author_is_empty() -> None:
    obj = whole("Deployment")
    del obj["metadata"]["managedFields"][0]["manager"]

    child = Child.of(obj)

    assert (child.author("Deployment", ["spec.replicas"]), child.scaled_by) == ("", Scaler.OTHER)


@pytest.mark.parametrize("levels", [260, 300, 900])
def test_given_a_shopservice_nested_too_deeply_then_it_is_kept_without_its_spec_and_reports_the_limit(
    levels: int,
) -> None:
    obj = whole("ShopService")
    change(obj["spec"], "podTemplate", levels)

    shop = Shop.of(obj)

    assert shop.flaw is not None
    assert "254 levels" in shop.flaw
    assert "spec" not in shop.object
    assert shop.object["status"] == obj["status"]
    assert shop.object["metadata"]["generation"] == 1


def test_given_a_shopservice_that_is_too_large_then_it_is_kept_without_its_spec_and_reports_the_limit() -> (
    None
):
    obj = whole("ShopService")
    obj["spec"]["podTemplate"] = {"a": [{}] * 100_000}

    shop = Shop.of(obj)

    assert shop.flaw is not None
    assert "podTemplate must not exceed 64 KiB" in shop.flaw
    assert len(shop.body) < 2_000


def test_given_a_pod_template_too_large_to_parse_then_the_shopservice_reports_the_limit() -> None:
    obj = whole("ShopService")
    obj["spec"]["podTemplate"] = {"a": [{}] * 400_000}

    shop = Shop.of(parsed(orjson.dumps(obj)))

    assert shop.flaw is not None
    assert "podTemplate must not exceed 64 KiB" in shop.flaw
    assert "spec" not in shop.object


def test_given_a_shopservice_with_a_megabyte_of_variables_then_it_is_kept_whole() -> None:
    obj = whole("ShopService")
    obj["spec"]["env"] = [{"name": f"V{number}", "value": "x" * 32_000} for number in range(32)]

    shop = Shop.of(obj)

    assert shop.flaw is None
    assert shop.object["spec"] == obj["spec"]


def test_given_a_child_nested_too_deeply_then_its_shallow_fields_are_still_compared() -> None:
    obj = whole("ScaledObject")
    change(obj["spec"], "advanced", 900)

    child = Child.of(obj)

    assert child.object is not None
    assert child.object["spec"]["replicas"] == 2


@pytest.mark.parametrize("levels", [65, 250])
def test_given_a_pod_template_nested_too_deeply_then_it_is_refused_with_the_limit(levels: int) -> None:
    template = orjson.loads(b'{"spec":' * levels + b"{}" + b"}" * levels)
    shop = ShopService("web", "ns", "s1", 1, {}, {"image": "i", "podTemplate": template})

    with pytest.raises(InvalidSpec, match="must not be nested more than 64 levels deep"):
        _ = shop.spec


def unparsed(kind: str, **metadata: str) -> Unparsed:
    found = Unparsed(
        metadata={"namespace": "ns", "name": "web", "uid": "u1", "resourceVersion": "6"} | metadata
    )
    found["kind"] = kind
    return found


def test_given_a_page_with_an_unparsable_object_then_the_page_is_merged_and_the_known_state_is_kept(
    counted: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(Unreadable(counted.__setitem__))
    store.put(whole("Service"))
    before = store.children(WEB)[ChildId("Service", "web")]
    items = [orjson.dumps(each) for each in (whole("Service"), other())]
    items[0] = items[0].replace(b'"port":80', b'"port":1e400')
    raw = b'{"metadata":{"resourceVersion":"9"},"items":[%b]}' % b",".join(items)
    listed = list(Listed(raw).objects())
    listed[0]["kind"] = "Service"

    with caplog.at_level(logging.WARNING):
        store.merge(listed)
        store.merge(listed[:1])

    assert store.shop(OTHER) is not None
    assert store.children(WEB)[ChildId("Service", "web")] == before
    assert counted == {"Service": 1}
    assert [record.object for record in caplog.records] == ["web"]  # type: ignore[attr-defined]
    store.remove(listed[0])
    assert counted == {"Service": 0}
    assert not store.children(WEB)


def test_given_an_object_without_identity_then_it_is_counted_until_a_list_is_without_it(
    counted: dict[str, int],
) -> None:
    store = Store(Unreadable(counted.__setitem__))
    store.merge([Unparsed(metadata={}, kind="Deployment")])

    store.sweep("Deployment", None, {"", "u9"}, 9)
    assert counted == {"Deployment": 1}
    store.sweep("Deployment", None, {"u9"}, 9)

    assert counted == {"Deployment": 0}


@pytest.mark.parametrize("metadata", [{}, {"name": "web"}])
def test_given_a_secret_without_identity_then_it_is_counted_as_unreadable(
    metadata: dict[str, str], counted: dict[str, int]
) -> None:
    config_digests = ConfigDigests(
        NothingToRead(), NoKey(), wake=lambda _: None, unreadable=Unreadable(counted.__setitem__)
    )

    config_digests.merge([Unparsed(metadata=metadata, kind="Secret"), whole("Secret")])

    assert counted == {"Secret": 1}


def labelled(**changes: Any) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "ns", "uid": "u1", "resourceVersion": "5", "labels": labels}
    return {"kind": "Namespace", "metadata": metadata | changes}


@pytest.mark.parametrize(
    "bad",
    [
        unparsed("Namespace", namespace="", name="ns"),
        Unparsed(metadata={}, kind="Namespace"),
        {"kind": "Namespace"},
        labelled(resourceVersion="none"),
        labelled(labels=7),
    ],
)
def test_given_an_unreadable_namespace_then_it_keeps_its_level_and_the_others_are_read(
    bad: dict[str, Any], counted: dict[str, int]
) -> None:
    changed: list[str] = []
    namespaces = Namespaces(
        "baseline", frozenset(), changed.append, lambda: None, Unreadable(counted.__setitem__)
    )
    namespaces.merge([labelled()])

    namespaces.seen("MODIFIED", bad)
    namespaces.merge([bad, labelled(name="other", uid="u2")])

    assert (namespaces.level("ns"), namespaces.level("other")) == ("restricted", "restricted")
    assert changed == ["ns", "other"]
    assert counted == {"Namespace": 1}
    namespaces.end_list("Namespace", None, {"u1", "u2"} - {"u1"}, 9)
    assert counted == {"Namespace": 0}
    assert namespaces.level("ns") == "baseline"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 0),
        ("9" * 5_000, 0),
        ("", 0),
        ("-1", 0),
        (7, 0),
        (None, 0),
    ],
)
def test_given_a_number_as_text_then_only_up_to_18_digits_are_accepted(value: Any, number: int) -> None:
    assert digits(value) == number


async def test_given_two_oversized_shopservices_then_their_statuses_are_written_one_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(name: str) -> Key:
        obj = whole("ShopService")
        obj["metadata"] |= {"name": name, "uid": name}
        obj["spec"]["podTemplate"] = {"a": [{}] * 100_000}
        world.see(obj)
        return Key(obj["metadata"]["namespace"], name)

    first, second = large("first"), large("second")
    asked, answered, patch = asyncio.Event(), asyncio.Event(), world.api.patch_status

    async def slow(*args: Any, **options: Any) -> dict[str, Any]:
        asked.set()
        await answered.wait()
        return await patch(*args, **options)

    monkeypatch.setattr(world.api, "patch_status", slow)
    writing = asyncio.create_task(world.reconciler.reconcile(first))
    await asked.wait()

    # It does not wait, which would keep a worker from other ShopServices.
    again = await world.reconciler.reconcile(second)
    assert again is not None
    assert 0 < again <= 5
    assert world.api.writes == []
    answered.set()
    assert await writing is None
    assert await world.reconciler.reconcile(second) is None
    assert world.api.writes == ["status ShopService first", "status ShopService second"]
