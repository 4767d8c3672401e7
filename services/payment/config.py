"""The settings of the payment service, read from environment variables."""

from typing import ClassVar, Literal

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings and the settings of the payment service."""

    service: ClassVar[str] = "payment"

    tokens_table: str = Field(
        description="name of the DynamoDB table that stores the payment tokens from the order service"
    )
    provider: Literal["sandbox"] = Field(
        description="payment provider; `sandbox` is built in and moves no money"
    )
    provider_seconds: float = Field(
        5.0, gt=0, le=30, description="seconds to wait for a response of the provider"
    )
