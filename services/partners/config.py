"""The settings of the authorizer and of the admin command, read from environment variables."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings and the settings of this service. It has no queue and publishes no events."""

    service: ClassVar[str] = "partners"

    tasks_queue_url: str = Field("", description="not used: this service handles no tasks")
    events_topic_arn: str = Field("", description="not used: this service publishes no events")
    pepper_secret_id: str = Field(
        description="ARN or name of the secret in AWS Secrets Manager that keys are hashed with"
    )
