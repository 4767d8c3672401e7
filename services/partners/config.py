"""Settings of the function and the command, from the environment."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service; there is no queue, and no fact is published."""

    service: ClassVar[str] = "partners"

    tasks_queue_url: str = Field("", description="this service takes no tasks")
    events_topic_arn: str = Field("", description="this service publishes no facts")
    pepper_secret_id: str = Field(description="ARN or name of the secret that keys are hashed with")
