"""The settings of the product service, read from environment variables."""

from typing import ClassVar

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The common settings. The product service has no settings of its own."""

    service: ClassVar[str] = "product"
