"""What the payment service's processes are told by their environment."""

from typing import ClassVar, Literal

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service, and the payment service's own."""

    service: ClassVar[str] = "payment"

    tokens_table: str = Field(
        description="name of the DynamoDB table in which payment tokens are handed over"
    )
    provider: Literal["sandbox"] = Field(
        description="who takes payments; `sandbox` is built in and moves no money"
    )
    provider_seconds: float = Field(
        5.0, gt=0, le=30, description="seconds that the provider may take to respond"
    )
