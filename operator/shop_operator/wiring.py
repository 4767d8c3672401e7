"""The object graph of `shop-operator run`, and the order in which its parts start and stop."""

import asyncio
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from shop_operator.cache.config_digests import KINDS as CONFIG_KINDS
from shop_operator.cache.config_digests import ConfigDigests, DigestKey
from shop_operator.cache.hostnames import Hostnames
from shop_operator.cache.kopf_watch import KopfWatch
from shop_operator.cache.namespaces import KIND as NAMESPACE
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.reflector import Comparison, Reflector, Sink
from shop_operator.cache.store import Store
from shop_operator.cache.synced import InitialLists, ServedKinds
from shop_operator.cache.unreadable import Unreadable
from shop_operator.cache.watch_health import WatchHealth
from shop_operator.kubernetes.client import PARENT, Kube
from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo
from shop_operator.kubernetes.events import Events
from shop_operator.kubernetes.lease import Alone, Elector, Fence
from shop_operator.names import Key
from shop_operator.observability.health import Health, serve
from shop_operator.observability.metrics import Metrics
from shop_operator.observability.tracing import start as start_tracing
from shop_operator.reconcile.gate import Gate, Wake
from shop_operator.reconcile.intake import Intake
from shop_operator.reconcile.leadership import Leadership
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.reconcile.runner import Workers
from shop_operator.render import KINDS
from shop_operator.settings import RunSettings, from_process
from shop_operator.status.writer import StatusWriter

_log = logging.getLogger(__name__)

_CHILDREN: Final = tuple(kind.kind for kind in KINDS)

Task = Callable[[], Coroutine[Any, Any, None]]


async def run(settings: RunSettings, info: ConnectionInfo, listener: socket.socket) -> None:
    """Run the operator until a signal stops it.

    Args:
        settings: of the command line.
        info: the API server and the credentials.
        listener: of /healthz, /readyz and /metrics.
    """
    stop = StopSignals()
    # At once: without a handler, the first process of a container ignores SIGTERM.
    stop.handle()
    metrics = Metrics(lease=settings.lease_name)
    metrics.workers(settings.workers)
    connection = Connection(info, metrics)
    fence = Fence()
    tracing = start_tracing(from_process())
    connect = tracing.kube if tracing else Kube
    kube = connect(connection, fence.remaining)
    home = settings.lease_namespace or connection.default_namespace
    queue: WorkQueue[Key] = WorkQueue(metrics, lane=lambda key: key.namespace)
    caches = Caches(settings, kube, home, queue, metrics)
    events = Events(kube, settings.identity)
    writer = _writer(settings, kube, caches, events, metrics)
    reconciler = _reconciler(settings, kube, caches, writer, metrics)
    passes = tracing.passes(reconciler) if tracing else reconciler
    workers = Workers(caches.store, queue, caches.gate, passes, metrics)
    leadership = Leadership(
        caches.intake, [reconciler, writer, caches.config_digests, queue, events], metrics
    )
    elector: Elector | Alone = Alone(leadership, fence)
    if settings.leader_elect:
        elector = Elector(kube, home, settings.lease_name, settings.identity, leadership, fence)

    work = _started(*workers.tasks(settings.workers), *caches.tasks(), events.run)
    (election,) = _started(elector.run)
    health = Health(caches.lists, caches.watch_health, lambda: connection.answered, [*work, election])
    ending = _started(caches.kopf(connection, stop, settings.identity).run, stop.wait)
    try:
        async with serve(listener, metrics, alive=health.alive, ready=health.ready):
            _log.info("started", extra={"port": listener.getsockname()[1], "server": connection.server})
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # The workers first: the next holder of the Lease must be the only writer.
        await _stopped(*work)
        await _stopped(election)
        await _stopped(*ending)
        await connection.close()
        if tracing:
            await asyncio.to_thread(tracing.stop)
    _log.info("stopped")


class StopSignals:
    """SIGINT and SIGTERM, which stop the process."""

    def __init__(self) -> None:
        self._received = asyncio.Event()

    def handle(self) -> None:
        """Handle the signals, also after kopf has replaced the handlers: kopf would wait 5 s for all other tasks."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._received.set)

    async def wait(self) -> None:
        """Wait for one of them."""
        await self._received.wait()


class Caches:
    """The state of the cluster that is available without a request, and the watches that update it.

    Attributes:
        store: the ShopServices and their children.
        served: the kinds that the API server serves.
        lists: the initial LISTs.
        gate: open while ShopServices may be reconciled.
        wake: enqueues ShopServices.
        intake: the path of an event into the store and the queue.
        config_digests: the digests of ConfigMaps and Secrets.
        namespaces: the pod-security levels.
        watch_health: the silence of each watch.
    """

    def __init__(
        self, settings: RunSettings, kube: Kube, home: str, queue: WorkQueue[Key], metrics: Metrics
    ) -> None:
        self._kube = kube
        self._resync = float(settings.resync_seconds)
        self._where: tuple[str | None, ...] = settings.namespaces or (None,)
        self._config_kinds = CONFIG_KINDS if settings.watch_config else ()
        kinds = (PARENT.kind, *_CHILDREN)
        unreadable = Unreadable(metrics.unreadable)
        self.lists = InitialLists([*itertools.product(kinds, self._where), (NAMESPACE, None)])
        self.gate = Gate(self.lists)
        self.wake = Wake(queue, self.gate)
        self.store = Store(unreadable, Hostnames(self.wake, self.lists.complete))
        self.served = ServedKinds(kinds)
        self.intake = Intake(self.store, self.wake, self.gate, self.lists, self.served, metrics.shops)
        self.config_digests = ConfigDigests(
            kube,
            DigestKey(kube, home),
            self.wake,
            enabled=settings.watch_config,
            unreadable=unreadable,
        )
        self.namespaces = Namespaces(
            settings.pod_security,
            settings.protected,
            self.intake.wake_namespace,
            partial(self.intake.synced, NAMESPACE),
            unreadable,
        )
        watched = itertools.product((*_CHILDREN, *self._config_kinds), settings.namespaces or ("",))
        # One kopf watches the ShopServices of all namespaces.
        self.watch_health = WatchHealth([(PARENT.kind, ""), (NAMESPACE, ""), *watched])
        metrics.listen(self.watch_health.silence)
        self._shops = {
            each: Comparison(kube, self.intake, PARENT.kind, each, resync=self._resync)
            for each in self._where
        }

    def tasks(self) -> list[Task]:
        """The reflectors of everything but the watch of ShopServices."""
        children = [self._reflector(self.intake, *each) for each in itertools.product(_CHILDREN, self._where)]
        return [each.run for each in (*self._shops.values(), *children, *self._others())]

    def kopf(self, connection: Connection, stop: StopSignals, identity: str) -> KopfWatch:
        """The watch of ShopServices."""
        return KopfWatch(
            connection,
            self.intake,
            partial(self.intake.knows, PARENT.kind),
            self._shops,
            stop.handle,
            served=self.served,
            identity=identity,
            heard=partial(self.watch_health.heard, (PARENT.kind, "")),
        )

    def _others(self) -> list[Reflector]:
        """The reflectors of what ShopServices use: their configuration and their namespaces."""
        watched = itertools.product(self._config_kinds, self._where)
        return [
            *(self._reflector(self.config_digests, *each) for each in watched),
            self._reflector(self.namespaces, NAMESPACE, None),
        ]

    def _reflector(self, sink: Sink, kind: str, namespace: str | None) -> Reflector:
        return Reflector(
            self._kube,
            sink,
            kind,
            namespace,
            resync=self._resync,
            heard=partial(self.watch_health.heard, (kind, namespace or "")),
            known=partial(self.intake.knows, kind) if sink is self.intake else None,
        )


def _writer(
    settings: RunSettings, kube: Kube, caches: Caches, events: Events, metrics: Metrics
) -> StatusWriter:
    return StatusWriter(
        kube,
        caches.store,
        events,
        metrics,
        caches.wake,
        in_flight=caches.intake.in_flight,
        logs=settings.diagnose_logs,
    )


def _reconciler(
    settings: RunSettings, kube: Kube, caches: Caches, writer: StatusWriter, metrics: Metrics
) -> Reconciler:
    return Reconciler(
        kube,
        caches.store,
        writer,
        metrics,
        config_digests=caches.config_digests,
        served=caches.served,
        namespaces=caches.namespaces,
        common=settings.common,
        queue_endpoints=settings.allowed_queue_endpoints,
        prometheus=settings.prometheus_address,
        in_flight=caches.intake.in_flight,
    )


def _started(*tasks: Task) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(each()) for each in tasks]


async def _stopped(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("task failed", exc_info=result)
