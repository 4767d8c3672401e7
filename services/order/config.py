"""What the order service's processes are told by their environment."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service, and the order service's own."""

    service: ClassVar[str] = "order"

    tokens_table: str = Field(
        description="name of the DynamoDB table in which payment tokens are handed over"
    )
    events_queue_url: str = Field(description="URL of the SQS queue of facts that this service follows")
    state_machine_arn: str = Field(
        description="ARN of the Step Functions state machine of an order's workflow"
    )
    payment_url: str = Field("http://payment", description="where the payment service answers")
    shipping_url: str = Field("http://shipping", description="where the shipping service answers")
    details_timeout_seconds: float = Field(
        1.0,
        gt=0,
        le=10,
        description="seconds that the details of an order wait for payment and shipping together",
    )
