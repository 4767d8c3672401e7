"""The process: the command line and the object graph. No logic of its own."""

import asyncio
import contextlib
import itertools
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import kopf
import yaml

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.cache.config_hashes import KINDS as CONFIG_KINDS
from shop_operator.cache.config_hashes import Configs, DigestKey
from shop_operator.cache.guard import Unreadable
from shop_operator.cache.hearing import Hearing
from shop_operator.cache.hostnames import Hostnames
from shop_operator.cache.in_flight import InFlight
from shop_operator.cache.kopf_watch import Watches
from shop_operator.cache.namespaces import KIND as NAMESPACE
from shop_operator.cache.namespaces import Namespaces
from shop_operator.cache.reflector import Comparison, Reflector, Sink
from shop_operator.cache.store import Store
from shop_operator.kubernetes.client import PARENT, Kube
from shop_operator.kubernetes.connection import Connection, NoCluster, locate
from shop_operator.kubernetes.events import Events
from shop_operator.kubernetes.lease import Alone, Elector
from shop_operator.names import Key
from shop_operator.observability.health import PortUnavailable, listen, serve
from shop_operator.observability.metrics import Metrics
from shop_operator.reconcile.queue import WorkQueue
from shop_operator.reconcile.reconciler import Reconciler
from shop_operator.reconcile.runner import Engine
from shop_operator.render import KINDS
from shop_operator.settings import BadSetting, CrdSettings, RunSettings, from_process, parse
from shop_operator.status.writer import Reporter
from shop_operator.wording import printable

_log = logging.getLogger(__name__)

USAGE: Final = 2
_STANDARD_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def main(argv: list[str] | None = None) -> int:
    """Run the console script `shop-operator`.

    Returns:
        0 after a stop that was asked for, 2 for a setting that cannot be used.
    """
    try:
        settings = parse(sys.argv[1:] if argv is None else argv, from_process())
        if isinstance(settings, CrdSettings):
            sys.stdout.write(yaml.safe_dump(crd(), sort_keys=False, width=110))
            return 0
        _log_as_json(settings.log_level)
        # The port is bound before the first request to the API server, so that a process without probes never takes the lease.
        asyncio.run(_run(settings, locate(), listen(settings.metrics_port)))
    except (BadSetting, NoCluster, PortUnavailable) as error:
        sys.stderr.write(f"shop-operator: {error}\n")
        return USAGE
    return 0


async def _run(settings: RunSettings, info: kopf.ConnectionInfo, listener: socket.socket) -> None:
    asked = asyncio.Event()
    signals = partial(_signals, asked)
    # At once: without a handler, the first process of a container ignores SIGTERM.
    signals()
    metrics = Metrics(lease=settings.lease_name)
    unreadable = Unreadable(metrics.unreadable)
    store = Store(unreadable, Hostnames(lambda keys: engine.wake(keys), lambda: engine.synced))  # noqa: PLW0108
    queue: WorkQueue[Key] = WorkQueue(metrics, lane=lambda key: key.namespace)

    def changed(*, leads: bool) -> None:
        metrics.leading(leads=leads)
        engine.lead(leads=leads)

    namespaces = settings.namespaces or (None,)
    metrics.workers(settings.workers)
    connection = Connection(info, metrics)
    # The lease is kept by the client that it fences.
    kube = Kube(connection.session, connection.server, lambda: elector.remaining())  # noqa: PLW0108
    events = Events(kube, settings.identity)
    home = settings.lease_namespace or connection.default_namespace
    configs = Configs(
        kube,
        DigestKey(kube, home),
        lambda keys: engine.wake(keys),  # noqa: PLW0108
        enabled=settings.watch_config,
        unreadable=unreadable,
    )
    in_flight = InFlight(lambda event, obj: engine.seen(event, obj))  # noqa: PLW0108
    labels = Namespaces(
        settings.pod_security,
        settings.protected,
        lambda name: engine.wake(store.in_namespace(name)),
        lambda: engine.arrived(NAMESPACE),
        unreadable,
    )
    engine = Engine(
        store,
        queue,
        Reconciler(
            kube,
            store,
            Reporter(
                kube,
                store,
                events,
                metrics,
                lambda keys: engine.wake(keys),  # noqa: PLW0108
                in_flight=in_flight,
                logs=settings.diagnose_logs,
            ),
            metrics,
            configs=configs,
            served=lambda: engine.served,
            namespaces=labels,
            common=settings.common,
            queue_endpoints=settings.allowed_queue_endpoints,
            in_flight=in_flight,
        ),
        metrics,
        kinds=[k.kind for k in (PARENT, *KINDS)],
        namespaces=namespaces,
        awaited=[NAMESPACE],
        in_flight=in_flight,
    )
    hearing = Hearing(_sources(settings))
    metrics.listen(hearing.silence)
    shops = [
        Comparison(kube, engine, PARENT.kind, each, resync=settings.resync_seconds) for each in namespaces
    ]
    follow = partial(_reflectors, kube, hearing, settings.resync_seconds)
    children = [
        *follow(engine, [kind.kind for kind in KINDS], namespaces, engine.knows),
        *follow(configs, _config_kinds(settings), namespaces),
        *follow(labels, [NAMESPACE], (None,)),
    ]
    elector: Elector | Alone = Alone(changed)
    if settings.leader_elect:
        elector = Elector(kube, home, settings.lease_name, settings.identity, changed)

    def relisted() -> None:
        for each in shops:
            each.relisted()

    starts = [*engine.tasks(settings.workers), *(each.run for each in (*shops, *children)), events.run]
    work = [asyncio.create_task(start()) for start in starts]
    election = asyncio.create_task(elector.run())

    watches = Watches(
        connection,
        engine,
        relisted,
        signals,
        identity=settings.identity,
        namespaces=settings.namespaces,
        heard=partial(hearing.heard, (PARENT.kind, "")),
    )

    def alive() -> str | None:
        ended = [t for t in (*work, election) if t.done()]
        return "a task of the engine has ended" if ended else hearing.hopeless(connection.answered)

    def ready() -> str | None:
        return hearing.problem() if engine.synced else "the caches are not synced yet"

    ending = [asyncio.create_task(watches.run()), asyncio.create_task(asked.wait())]
    try:
        async with serve(listener, metrics, alive=alive, ready=ready):
            _log.info("started", extra={"port": listener.getsockname()[1], "server": connection.server})
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Workers first: the next holder of the lease must be the only writer.
        await _stop(*work)
        await _stop(election)
        await _stop(*ending)
        await connection.close()
    _log.info("stopped")


def _signals(asked: asyncio.Event) -> None:
    """Have the signals to stop, also those that kopf took: it would wait 5 s for whatever else goes on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)


def _reflectors(
    kube: Kube,
    hearing: Hearing,
    resync: float,
    sink: Sink,
    kinds: Iterable[str],
    namespaces: Iterable[str | None],
    knows: Callable[[str, Mapping[str, str]], bool] | None = None,
) -> list[Reflector]:
    """What keeps a sink like the cluster, one for each kind and namespace."""
    return [
        Reflector(
            kube,
            sink,
            kind,
            each,
            resync=resync,
            heard=partial(hearing.heard, (kind, each or "")),
            known=partial(knows, kind) if knows else None,
        )
        for kind, each in itertools.product(kinds, namespaces)
    ]


def _config_kinds(settings: RunSettings) -> tuple[str, ...]:
    return CONFIG_KINDS if settings.watch_config else ()


def _sources(settings: RunSettings) -> list[tuple[str, str]]:
    """Every kind that is watched, by namespace; ShopServices are watched by one kopf for all."""
    kinds = [*(kind.kind for kind in KINDS), *_config_kinds(settings)]
    return [(PARENT.kind, ""), (NAMESPACE, ""), *itertools.product(kinds, settings.namespaces or ("",))]


async def _stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("task had failed", exc_info=result)


def _log_as_json(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf tells of every failed request at length; its own retries are not news.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))


class _Json(logging.Formatter):
    """One JSON object a line: ts, level, logger, msg, and what the caller gave as extra."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _STANDARD_RECORD},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(_printable(line), default=str, ensure_ascii=False)


def _printable(value: Any) -> Any:
    """What is logged, without characters that a terminal acts on."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_printable(each) for each in value]
    return value if isinstance(value, int | float | bool | None) else printable(str(value))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
