"""The caches of the operator and their part in the health of the process."""

import pytest

from shop_operator.kubernetes.client import Kube
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo
from shop_operator.observability.health import Health
from shop_operator.observability.metrics import Metrics
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.render import KINDS
from shop_operator.settings import RunSettings, parse
from shop_operator.wiring import Caches


@pytest.fixture
async def caches() -> Caches:
    connection = Connection(ConnectionInfo(server="http://api.test"), Metrics(lease="x"))
    await connection.close()
    settings = parse(["run", "--namespace", "a"], {})
    assert isinstance(settings, RunSettings)
    metrics = Metrics(lease="x")
    kube = Kube(connection, lambda: 0.0)
    return Caches(settings, kube, "ops", WorkQueue(metrics), metrics)


async def test_given_unsynced_caches_when_every_kind_is_listed_then_the_process_is_ready(
    caches: Caches,
) -> None:
    health = Health(caches.lists, caches.watch_health, lambda: 0.0, [])
    for kind in ("ShopService", *(kind.kind for kind in KINDS)):
        assert health.ready() == "the caches are not synced yet"
        caches.intake.begin_list()
        caches.intake.end_list(kind, "a", frozenset(), 1)

    assert health.ready() == "the caches are not synced yet"
    caches.namespaces.end_list("Namespace", None, frozenset(), 1)
    assert health.ready() is None
