"""The settings of the function, read from environment variables."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings. Lambda receives the messages of the queue, and the service publishes no events."""

    service: ClassVar[str] = "sales"

    tasks_queue_url: str = Field("", description="not used: this service handles no tasks")
    events_topic_arn: str = Field("", description="not used: this service publishes no events")
