"""What the function is told by its environment."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service; Lambda takes the messages out of the queue, and no fact is published."""

    service: ClassVar[str] = "sales"

    tasks_queue_url: str = Field("", description="nobody asks this service to act")
    events_topic_arn: str = Field("", description="this service says nothing of its own")
