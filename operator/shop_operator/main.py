"""The process: the command line and the object graph. No logic of its own."""

import asyncio
import contextlib
import json
import logging
import signal
import sys
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from shop_operator.config import BadSetting, CrdSettings, RunSettings, from_process, parse
from shop_operator.configs import KINDS as CONFIG_KINDS
from shop_operator.configs import Configs
from shop_operator.connection import Connection, NoCluster, locate
from shop_operator.crd import crd
from shop_operator.engine import Engine
from shop_operator.events import Events
from shop_operator.health import serve
from shop_operator.kube import PARENT, Kube
from shop_operator.leader import Alone, Elector
from shop_operator.metrics import Metrics
from shop_operator.queue import WorkQueue
from shop_operator.reconcile import Reconciler
from shop_operator.reflector import Comparison, Reflector
from shop_operator.render import KINDS
from shop_operator.report import Reporter
from shop_operator.store import Key, Store
from shop_operator.watches import Watches

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
        asyncio.run(_run(settings))
    except (BadSetting, NoCluster) as error:
        sys.stderr.write(f"shop-operator: {error}\n")
        return USAGE
    except OSError as error:
        sys.stderr.write(f"shop-operator: cannot listen on the metrics port ({error}); use --metrics-port.\n")
        return USAGE
    return 0


async def _run(settings: RunSettings) -> None:
    info = locate()
    metrics = Metrics(lease=settings.lease_name)
    store = Store()
    queue: WorkQueue[Key] = WorkQueue(metrics)

    def changed(*, leads: bool) -> None:
        metrics.leading(leads=leads)
        engine.lead(leads=leads)

    namespaces = settings.namespaces or (None,)
    metrics.workers(settings.workers)
    connection = Connection(info, metrics)
    # The lease is kept by the client that it fences.
    kube = Kube(connection.session, connection.server, lambda: elector.remaining())  # noqa: PLW0108
    events = Events(kube, settings.identity)
    configs = Configs(kube, lambda keys: engine.wake(keys), enabled=settings.watch_config)  # noqa: PLW0108
    engine = Engine(
        store,
        queue,
        Reconciler(
            kube,
            store,
            Reporter(kube, store, events, metrics, lambda keys: engine.wake(keys)),  # noqa: PLW0108
            metrics,
            configs=configs,
            served=lambda: engine.served,
        ),
        metrics,
        kinds=[k.kind for k in (PARENT, *KINDS)],
        namespaces=namespaces,
    )
    shops = [Comparison(kube, engine, PARENT.kind, each, resync=settings.resync) for each in namespaces]
    children = [
        Reflector(kube, engine, kind.kind, each, resync=settings.resync)
        for kind in KINDS
        for each in namespaces
    ]
    elector: Elector | Alone = Alone(changed)
    if settings.leader_elect:
        namespace = settings.lease_namespace or connection.default_namespace
        elector = Elector(kube, namespace, settings.lease_name, settings.identity, changed)

    if settings.watch_config:
        children += [
            Reflector(kube, configs, kind, each, resync=settings.resync)
            for kind in CONFIG_KINDS
            for each in namespaces
        ]

    def relisted() -> None:
        for each in shops:
            each.relisted()

    starts = [*engine.tasks(settings.workers), *(each.run for each in (*shops, *children)), events.run]
    work = [asyncio.create_task(start()) for start in starts]
    election = asyncio.create_task(elector.run())
    asked = asyncio.Event()

    def listen() -> None:
        """Have the signals again, which kopf answers by waiting 5 s for whatever else goes on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, asked.set)

    watches = Watches(
        connection, engine, relisted, listen, identity=settings.identity, namespaces=settings.namespaces
    )

    def alive() -> str | None:
        ended = [t for t in (*work, election) if t.done()]
        return "a task of the engine has ended" if ended else None

    def ready() -> str | None:
        return None if engine.synced else "the caches are not synced yet"

    ending = [asyncio.create_task(watches.run()), asyncio.create_task(asked.wait())]
    try:
        async with serve(settings.metrics_port, metrics, alive=alive, ready=ready) as port:
            _log.info("started", extra={"port": port, "server": connection.server})
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Workers first: whoever takes the lease next must find nobody writing.
        await _stop(*work)
        await _stop(election)
        await _stop(*ending)
        await connection.close()
    _log.info("stopped")


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
        return json.dumps(line, default=str, ensure_ascii=False)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
