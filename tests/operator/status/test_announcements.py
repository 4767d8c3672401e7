"""The Events about a change of status."""

from typing import Any

from shop_operator.errors import Conflict
from shop_operator.status.announcements import Announcement, of_change, of_recreation, of_rejection
from shop_operator.status.compute import status
from shop_operator.status.observed import Observed
from tests.operator.status.observing import NOW, SHOP, deployment, seen


def of(observed: Observed, previous: dict[str, Any] | None = None) -> dict[str, Any]:
    return status(SHOP, observed, previous or {}, now=lambda: NOW)


def test_when_a_shopservice_becomes_ready_then_one_event_is_emitted() -> None:
    rolling, ready = of(seen(deployment(updated=1))), of(seen(deployment()))

    assert list(of_change(SHOP, rolling, ready)) == [Announcement("Ready", "2/2 pods of web:2 are ready.")]
    assert list(of_change(SHOP, ready, ready)) == []


def test_when_a_shopservice_stalls_then_one_warning_event_is_emitted_for_each_reason() -> None:
    ready, stalled = of(seen(deployment())), of(seen(deployment(), error=Conflict("Service web exists.")))

    assert list(of_change(SHOP, ready, stalled)) == [
        Announcement("Conflict", "Service web exists.", warning=True)
    ]
    assert list(of_change(SHOP, stalled, stalled)) == []


def test_when_a_release_is_rejected_then_the_event_names_both_images_and_the_cause() -> None:
    found = of_rejection(
        "web:2", {"rollout": {"lastAvailableImage": "web:1", "message": "Deployment web: no"}}
    )

    assert found == Announcement(
        "RollingBack", "Rolled back to web:1: the rollout of web:2 failed. Deployment web: no.", warning=True
    )


def test_given_a_recreated_deployment_then_the_event_names_its_replica_count() -> None:
    service, one, two = (
        of_recreation(child, count).note
        for child, count in (("Service web", None), ("Deployment web", 1), ("Deployment web", 2))
    )

    assert service == "Service web was deleted by another client and has been recreated."
    assert one.endswith("recreated with 1 replica.")
    assert two.endswith("recreated with 2 replicas.")
