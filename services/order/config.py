"""What the order service's processes are told by their environment."""

from typing import ClassVar

from pydantic import Field

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service, and the order service's own."""

    service: ClassVar[str] = "order"

    events_queue_url: str = Field(description="URL of the SQS queue of facts that this service follows")
    state_machine_arn: str = Field(
        description="ARN of the Step Functions state machine of an order's workflow"
    )
    demo_customer: str = Field(
        "guest", min_length=1, max_length=64, description="whose orders are placed and shown: nobody logs in"
    )
