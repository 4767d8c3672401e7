"""The process of a service that does the workflow's tasks and tells its facts, on AWS."""

from collections.abc import Callable, Mapping

from services.common.aws import clients
from services.common.aws.sns import SnsPublisher
from services.common.aws.sqs import SqsQueue
from services.common.aws.stepfunctions import StepFunctionsAnswers
from services.common.messaging.consumer import Consumer, Handler
from services.common.messaging.outbox import Outbox
from services.common.messaging.relay import facts_relay
from services.common.messaging.tasks import TaskAnswers
from services.common.runtime.settings import ServiceSettings
from services.common.runtime.worker import run_workers


def run_tasks(
    settings: ServiceSettings, tasks: Callable[[TaskAnswers], Mapping[str, Handler]], outbox: Outbox
) -> None:
    """Runs until the process is told to stop.

    Args:
        settings: the service's, with its queue and its topic.
        tasks: makes the handlers, by the task's name, from where the tasks are answered.
        outbox: the facts that the handlers leave to be told.
    """
    answers = StepFunctionsAnswers(clients.client("stepfunctions", settings))
    queue = SqsQueue(clients.client("sqs", settings), settings.tasks_queue_url)
    publisher = SnsPublisher(clients.client("sns", settings), settings.events_topic_arn)
    run_workers(
        settings,
        [
            Consumer(queue, tasks(answers), wait=settings.poll_seconds),
            facts_relay(outbox, publisher),
        ],
    )
