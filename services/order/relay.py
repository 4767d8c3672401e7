"""The relay process of the order service: starts the workflows and publishes the events that no other process has sent.

The API and the consumer send the records that they write. Those of a process that was killed, and those of the function
`place-order`, are left to this process. Run it with `python -m services.order.relay`. Several instances share the work.
"""

from typing import Final

from services.common.messaging.relay import Relay
from services.common.runtime.worker import run_workers
from services.order import app, senders
from services.order.config import Settings

# Maximum delay in seconds of the first order after a pause that the function `place-order` accepts.
LONGEST_PAUSE: Final = 5.0


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    outbox = app.storage(settings).outbox
    run_workers(settings, [Relay(outbox, senders.of(settings), longest=LONGEST_PAUSE)])


if __name__ == "__main__":
    main()
