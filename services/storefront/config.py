"""The settings of the storefront, read from environment variables."""

from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from services.common.runtime.settings import Environment

SHORTEST_KEY = 32


class Settings(Environment):
    """The settings of the storefront."""

    service: ClassVar[str] = "storefront"

    api_url: str = Field(pattern=r"^https?://[^\s?#]+$", description="base URL of the API of the shop")
    api_seconds: float = Field(3.0, gt=0, le=20, description="seconds to wait for a response of the API")
    public_url: str = Field(
        pattern=r"^https?://[^/\s?#]+$",
        description="scheme and host of the pages as browsers see them, such as https://shop.example.com; "
        "PUBLIC_URL/callback must be a callback URL of both app clients",
    )
    authorize_url: str = Field(
        pattern=r"^https?://[^\s?#]+$", description="URL of the authorization endpoint of the user pool"
    )
    token_url: str = Field(
        pattern=r"^https?://[^\s?#]+$", description="URL of the token endpoint of the user pool"
    )
    web_client_id: str = Field(min_length=1, description="ID of the app client for customers")
    ops_client_id: str = Field(min_length=1, description="ID of the app client for staff")
    session_keys: SecretStr = Field(
        description=f"keys that sign the cookies, each with at least {SHORTEST_KEY} characters, comma-separated, the newest "
        "first; remove an old key a day after you added a new one"
    )
    sandbox: bool = Field(
        default=False,
        description="whether the payment provider is the sandbox, whose test cards the pages then offer",
    )
    whole_responses: bool = Field(
        default=False,
        description="whether a proxy in front passes on complete responses only, as API Gateway does; a stream of events then ends "
        "with each event, and the browser opens another one",
    )
    faults_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="base URL of the order service of a demo, which has the fault switchboard; leave it unset to have no page "
        "of faults",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="minimum level to log"
    )

    @property
    def signing_keys(self) -> list[str]:
        """The keys that sign the cookies, the newest first."""
        return [key.strip() for key in self.session_keys.get_secret_value().split(",")]

    @property
    def sign_in_origin(self) -> str:
        """Scheme and host of the user pool's pages."""
        parts = urlsplit(self.authorize_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers use HTTPS."""
        return self.public_url.startswith("https://")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if any(len(key) < SHORTEST_KEY for key in self.signing_keys):
            raise ValueError(
                f"SESSION_KEYS must consist of keys with at least {SHORTEST_KEY} characters, separated by commas"
            )
        return self
