"""What the product service's processes are told by their environment."""

from typing import ClassVar

from services.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service: the product service has none of its own."""

    service: ClassVar[str] = "product"
