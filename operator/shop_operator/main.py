"""The command line of the process."""

import asyncio
import contextlib
import gc
import sys
from typing import Final

import yaml

from shop_operator.api.v1alpha1.crd import crd
from shop_operator.kubernetes.credentials import NoCluster, locate
from shop_operator.observability.health import PortUnavailable, listen
from shop_operator.observability.logs import log_as_json
from shop_operator.settings import BadSetting, CrdSettings, from_process, parse
from shop_operator.wiring import run

USAGE: Final = 2


def main(argv: list[str] | None = None) -> int:
    """Run the console script `shop-operator`.

    Returns:
        0 after a requested stop, 2 for an unusable setting.
    """
    try:
        settings = parse(sys.argv[1:] if argv is None else argv, from_process())
        if isinstance(settings, CrdSettings):
            sys.stdout.write(yaml.safe_dump(crd(), sort_keys=False, width=110))
            return 0
        log_as_json(settings.log_level)
        # Modules are never garbage: without them, a full collection is short and hardly delays an event.
        gc.freeze()
        # Parsed objects are freed by their counters; the default of 700 would look for cycles several times in each of them.
        gc.set_threshold(10_000, 10, 10)
        # The port is bound before the first request to the API server, so that a process without probes never takes the Lease.
        asyncio.run(run(settings, locate(), listen(settings.metrics_port)))
    except (BadSetting, NoCluster, PortUnavailable) as error:
        sys.stderr.write(f"shop-operator: {error}\n")
        return USAGE
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
