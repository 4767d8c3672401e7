"""What the shipping service's processes are told by their environment."""

from typing import ClassVar, Literal

from pydantic import Field

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service, and the shipping service's own."""

    service: ClassVar[str] = "shipping"

    carrier: Literal["sandbox"] = Field(description="who ships; `sandbox` is built in and moves no parcel")
    carrier_seconds: float = Field(
        5.0, gt=0, le=30, description="seconds that the carrier may take to respond"
    )
