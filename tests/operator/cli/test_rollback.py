"""`kubectl shop rollback`: the spec gets the release before."""

from typing import Any

import pytest

from shop_operator.cli.errors import NotThere
from shop_operator.cli.explain import Facts, explain
from shop_operator.cli.rollback import way_back
from tests.operator.cli.conftest import Program
from tests.operator.cli.objects import shopservice
from tests.operator.cli.server import Server
from tests.operator.fake_api import merge_patched
from tests.operator.world import (
    CAREFUL,
    World,
    given_up,
    rolled_out,
    rolling,
    template_of,
)

BROKEN: dict[str, Any] = {"env": [{"name": "BROKEN", "value": "yes"}]}


def replicaset(revision: str, image: str) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
    }


OLDER = [replicaset("1", "web:0"), replicaset("2", "web:2"), replicaset("3", "web:2")]


def rejected(last: dict[str, Any] | None, image: str = "web:2", **spec: Any) -> dict[str, Any]:
    """A ShopService whose web:2 was rolled back to that release."""
    found = shopservice(reason="RolledBack", **spec)
    found["status"]["rollout"] = {
        "lastAvailableImage": image,
        **({"lastAvailable": {"image": image, "port": 8080, **last}} if last is not None else {}),
        "rejectedImage": "web:2",
        "rejectedRelease": "v2 x",
    }
    return found


@pytest.mark.parametrize(
    ("status", "replicasets", "image"),
    [
        ({"rollout": {"lastAvailableImage": "web:0"}}, [], "web:0"),
        ({"rollout": {"lastAvailableImage": "web:1"}, "image": "web:0"}, [], "web:0"),
        ({"image": "web:1"}, [("1", "web:a"), ("3", "web:1"), ("2", "web:b")], "web:b"),
        ({}, [("1", "web:a"), ("x", "web:b"), ("9" * 5_000, "web:c")], "web:a"),
        # The release that runs is good, and an older one is asked for.
        (
            {"rollout": {"lastAvailableImage": "web:1", "lastAvailable": {"image": "web:1"}}},
            [("1", "web:0")],
            "web:0",
        ),
    ],
)
def test_given_a_status_and_replicasets_then_the_rollback_image_is_the_last_available_one(
    status: dict[str, Any], replicasets: list[tuple[str, str]], image: str
) -> None:
    web = {"metadata": shopservice()["metadata"], "spec": {"image": "web:1"}, "status": status}

    assert way_back(web, lambda: [replicaset(*each) for each in replicasets]) == {"image": image}


@pytest.mark.parametrize(
    ("found", "replicasets", "words"),
    [
        (shopservice(), [], "no image before web:2 is known for web"),
        (shopservice(), [replicaset("1", "web:2")], "no image before web:2 is known for web"),
        (shopservice(), OLDER, "no image before web:2 is known for web"),
        (rejected(None, **BROKEN), OLDER, "the spec already has it"),
        (rejected({}), OLDER, "correct the ConfigMap or Secret"),
    ],
    ids=["nothing", "the same image", "the image of a good release", "too large to be kept", "same spec"],
)
def test_given_no_known_earlier_release_when_rollback_runs_then_it_is_refused(
    found: dict[str, Any], replicasets: list[dict[str, Any]], words: str
) -> None:
    known = {} if not replicasets or len(replicasets) == 1 else {"lastAvailableImage": "web:2"}
    found["status"]["rollout"] = {**found["status"]["rollout"], "lastAvailableImage": "web:2", **known}

    with pytest.raises(NotThere, match=words):
        way_back(found, lambda: replicasets)


def test_given_a_rejected_release_when_rollback_runs_then_the_spec_gets_all_fields_of_the_available_one(
    server: Server, program: Program
) -> None:
    template = {"metadata": {"annotations": {"a": "1"}}}
    last = {"args": ["--old"], "podTemplate": template, "workers": [{"name": "relay", "command": ["x"]}]}
    server.objects.append(
        rejected(
            last,
            "web:1",
            **BROKEN,
            podTemplate={**template, "spec": {"hostname": "web"}},
            workers=[{"name": "relay", "command": ["y"], "replicas": 3}],
            replicas=4,
        )
    )

    said = program("rollback", "web").stdout

    assert "its last available release (web:1), which changes spec.args, spec.env, spec.image, " in said
    assert server.objects[0]["spec"] == {
        "image": "web:1",
        "port": 8080,
        "args": ["--old"],
        "podTemplate": template,
        "workers": [{"name": "relay", "command": ["x"], "replicas": 3}],
        "replicas": 4,
    }


@pytest.mark.parametrize(
    ("last", "command"), [({}, "kubectl shop rollback web -n shop"), (None, "kubectl edit shopservice web")]
)
def test_given_a_rejected_release_when_explain_runs_then_it_names_rollback_only_if_the_release_is_kept(
    last: dict[str, Any] | None, command: str
) -> None:
    told = explain(Facts(rejected(last, **BROKEN)))

    assert told.next.startswith(command)
    assert "new image" in told.cure


NULL: dict[str, Any] = {"podTemplate": {"spec": {"containers": [{"name": "app", "livenessProbe": None}]}}}


def test_given_a_field_removed_by_null_or_by_patch_delete_then_the_releases_are_equal() -> None:
    deleted = {"containers": [{"name": "app", "livenessProbe": {"$patch": "delete"}}]}

    found = rejected({"podTemplate": {"spec": deleted}}, "web:1", port=8080, **NULL)

    assert way_back(found, lambda: OLDER) == {"image": "web:1"}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({}, BROKEN),
        ({}, {"image": "shop:2", "probes": {"readiness": {"httpGet": {"path": "/only-in-two"}}}}),
        ({}, {"image": "shop:2", "workers": [{"name": "relay", "command": ["y"]}]}),
        ({}, {"podTemplate": {"spec": {"hostname": "other"}}}),
        (NULL, {"image": "shop:2"}),
        (NULL, {"image": "shop:2", **NULL}),
    ],
    ids=["env", "image and probe", "image and worker", "podTemplate", "null that is gone", "null"],
)
async def test_given_an_automatic_rollback_when_rollback_runs_then_the_pods_stay_as_they_are(
    good: dict[str, Any], bad: dict[str, Any]
) -> None:
    world = World()
    await rolled_out(world, **good)
    world.shop(**CAREFUL, **bad)
    await world.pass_()
    await given_up(world)
    await world.pass_()
    rolling(world, available=1)
    await world.pass_()
    restored = template_of(world)
    found = world.api.objects["ShopService", "ns", "web"]
    assert found["status"]["rollout"]["rejectedRelease"]

    world.shop(**merge_patched(found["spec"], way_back(found, lambda: OLDER)))
    await world.pass_()

    assert template_of(world) == restored
    assert world.condition("Ready")["status"] == "True"
