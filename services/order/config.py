"""The settings of the order service, read from environment variables."""

from typing import ClassVar

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings and the settings of the order service."""

    service: ClassVar[str] = "order"

    tokens_table: str = Field(
        description="name of the DynamoDB table that stores payment tokens for the payment service"
    )
    events_queue_url: str = Field(
        description="URL of the SQS queue of events that this service subscribes to"
    )
    state_machine_arn: str = Field(
        description="ARN of the Step Functions state machine that runs the workflow of an order"
    )
    payment_url: str = Field("http://payment", description="URL of the payment service")
    shipping_url: str = Field("http://shipping", description="URL of the shipping service")
    details_timeout_seconds: float = Field(
        1.0,
        gt=0,
        le=10,
        description="seconds to wait for the payment and the shipping service in the details of an order",
    )
