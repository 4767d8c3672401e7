"""The consumer process of a service on AWS, which handles the workflow's tasks and publishes events from the outbox."""

from collections.abc import Callable, Mapping
from typing import Final

from services.common.aws import clients, faults
from services.common.aws.sqs import SqsQueue
from services.common.aws.stepfunctions import StepFunctionsAnswers
from services.common.messaging.consumer import Consumer, Handler
from services.common.messaging.outbox import Outbox
from services.common.messaging.relay import facts_relay
from services.common.messaging.tasks import TaskAnswers
from services.common.runtime.settings import ServiceSettings
from services.common.runtime.worker import run_workers

# For a service of which only consumers write records. Other processes leave those of a crash, with claims of half a minute.
RECORDS_OF_OTHERS_DELAYED: Final = 20.0


def run_tasks(
    settings: ServiceSettings,
    tasks: Callable[[TaskAnswers], Mapping[str, Handler]],
    outbox: Outbox,
    *,
    longest: float = RECORDS_OF_OTHERS_DELAYED,
) -> None:
    """Runs the process until it is stopped.

    Args:
        settings: settings of the service, with its queue and its topic.
        tasks: returns the handlers by task name, given the port that reports results of tasks.
        outbox: outbox of the service.
        longest: maximum delay in seconds of outbox records that other processes write.
    """
    answers = StepFunctionsAnswers(clients.client("stepfunctions", settings))
    queue = SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url, clients.receiver(settings))
    publisher = faults.publisher(settings)
    run_workers(
        settings,
        [Consumer(queue, tasks(answers), wait=settings.poll_seconds)],
        last=[facts_relay(outbox, publisher, longest)],
    )
