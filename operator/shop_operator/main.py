"""The process: the command line, the object graph, and kopf as informer and frame. No logic of its own.

kopf watches ShopServices and everything that carries our label, and hands each event to the engine. Of kopf's
own handling nothing is used: no finalizer, no annotation, no handler state, so that a ShopService can always
be deleted, with or without an operator.
"""

import asyncio
import contextlib
import json
import logging
import random
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import kopf
import yaml

from shop_operator.config import BadSetting, CrdSettings, RunSettings, from_process, parse
from shop_operator.connection import Connection, NoCluster, locate
from shop_operator.crd import crd
from shop_operator.engine import Engine
from shop_operator.health import serve
from shop_operator.kube import PARENT, Kube, collection
from shop_operator.leader import Alone, Elector
from shop_operator.metrics import Metrics
from shop_operator.queue import WorkQueue
from shop_operator.reconcile import Reconciler
from shop_operator.render import KINDS, ChildKind
from shop_operator.store import NAME_LABEL, Key, Store

_log = logging.getLogger(__name__)

USAGE: Final = 2
_KOPF_RESTART: Final = 2.0
# Frees the slot of a quiet object at once; kopf's own 5 s would hold one task per object that long.
_IDLE: Final = 0.05
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

    def relisted(path: str) -> None:
        kind = collection(path)
        if kind is not None:
            engine.relisted(kind)

    def changed(*, leads: bool) -> None:
        metrics.leading(leads=leads)
        engine.lead(leads=leads)

    connection = Connection(info, observe=metrics.request, listed=relisted)
    # The lease is kept by the client that it fences.
    kube = Kube(connection.session, connection.server, lambda: elector.remaining())  # noqa: PLW0108
    engine = Engine(
        store,
        queue,
        Reconciler(kube, store, metrics),
        kube,
        metrics,
        kinds=[k.kind for k in (PARENT, *KINDS)],
        namespaces=settings.namespaces or (None,),
        resync=settings.resync,
    )
    elector: Elector | Alone = Alone(changed)
    if settings.leader_elect:
        namespace = settings.lease_namespace or connection.default_namespace
        elector = Elector(kube, namespace, settings.lease_name, settings.identity, changed)

    work = [asyncio.create_task(start()) for start in engine.tasks(settings.workers)]
    election = asyncio.create_task(elector.run())
    watches = _Watches(connection, engine, settings)

    def alive() -> str | None:
        ended = [t for t in (*work, election) if t.done()]
        return "a task of the engine has ended" if ended else None

    def ready() -> str | None:
        return None if engine.synced else "the caches are not synced yet"

    try:
        async with serve(settings.metrics_port, metrics, alive=alive, ready=ready) as port:
            _log.info("started", extra={"port": port, "server": connection.server})
            await watches.run()
    finally:
        # Workers first: whoever takes the lease next must find nobody writing.
        await _stop(*work)
        await _stop(election)
        await connection.close()
    _log.info("stopped")


async def _stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("task had failed", exc_info=result)


class _Watches:
    """kopf, started again whenever it gives up: it treats some answers of the API server as fatal."""

    def __init__(self, connection: Connection, engine: Engine, settings: RunSettings) -> None:
        self._connection = connection
        self._engine = engine
        self._namespaces = settings.namespaces
        self._identity = settings.identity
        self._registry = self._handlers()

    async def run(self) -> None:
        """Watch until the process is told to stop (SIGTERM, SIGINT)."""
        while True:
            try:
                await kopf.operator(
                    registry=self._registry,
                    settings=_kopf_settings(),
                    # Told, since kopf would ask for the user name, and an image has no user of its number.
                    identity=self._identity,  # type: ignore[arg-type]  # kopf's type for it is private
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                )
            except Exception:  # noqa: BLE001  # whatever ended them, without watches the process is blind
                _log.exception("the watches ended, starting them again")
                await asyncio.sleep(_KOPF_RESTART * random.uniform(0.5, 1.5))  # noqa: S311
            else:
                return

    def _handlers(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        engine = self._engine

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return self._connection.login()

        async def shown(event: Mapping[str, Any], **_: Any) -> None:
            engine.seen(event["type"], event["object"])

        kopf.on.event(*_resource(PARENT), registry=registry)(shown)
        for kind in KINDS:
            kopf.on.event(*_resource(kind), labels={NAME_LABEL: kopf.PRESENT}, registry=registry)(shown)
        return registry


def _resource(kind: ChildKind) -> tuple[str, str, str]:
    group, _, version = kind.api_version.rpartition("/")
    return group, version, kind.plural


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = Backoffs()
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.queueing.idle_timeout = _IDLE
    settings.watching.chunk_size = 500
    for kind in KINDS:
        settings.watching.label_selectors[_resource(kind)] = NAME_LABEL
    return settings


class Backoffs:
    """Seconds between kopf's attempts of one request: without end, since an API server may be away for long."""

    def __iter__(self) -> Iterator[float]:
        """Doubling to 8 s, with jitter, for ever."""
        delay = 0.25
        while True:
            yield delay * random.uniform(0.8, 1.2)  # noqa: S311
            delay = min(delay * 2, 8.0)


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
