"""The relay process of the order service: starts workflows and publishes events from the outbox.

Run it with `python -m services.order.relay`. Several instances share the work.
"""

from services.common.aws import clients
from services.common.aws.sns import SnsPublisher
from services.common.messaging.relay import Relay
from services.common.runtime.worker import run_workers
from services.order import app
from services.order.config import Settings
from services.order.senders import senders
from services.order.workflow import StepFunctionsWorkflow


def main() -> None:
    """Runs the process."""
    settings = Settings.load()
    workflow = StepFunctionsWorkflow(clients.client("stepfunctions", settings), settings.state_machine_arn)
    publisher = SnsPublisher(clients.client("sns", settings), settings.events_topic_arn)
    run_workers(settings, [Relay(app.storage(settings).outbox, senders(workflow, publisher))])


if __name__ == "__main__":
    main()
