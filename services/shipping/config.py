"""The settings of the shipping service, read from environment variables."""

from typing import ClassVar, Literal

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings and the settings of the shipping service."""

    service: ClassVar[str] = "shipping"

    carrier: Literal["sandbox"] = Field(description="carrier; `sandbox` is built in and moves no parcel")
    carrier_seconds: float = Field(
        5.0, gt=0, le=30, description="seconds to wait for a response of the carrier"
    )
