"""The settings of a process, read from environment variables when it starts."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """Base of settings. Each field is read from the environment variable with its name in capital letters."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    service: ClassVar[str] = "service"

    @classmethod
    def load(cls) -> Self:
        """The settings of this process.

        Raises:
            SystemExit: a variable is missing or invalid; the message has one line for each of them.
        """
        try:
            return cls(**_NO_OVERRIDES)
        except ValidationError as error:
            lines = [
                cls._complaint(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()
            ]
            raise SystemExit("\n".join([f"{cls.service} cannot start:", *lines])) from None

    @classmethod
    def _complaint(cls, location: tuple[int | str, ...], kind: str, message: str) -> str:
        if not location:  # concerns several fields
            return f"  {message.removeprefix('Value error, ')}"
        field = str(location[0])
        wanted = cls.model_fields[field].description
        if kind == "missing":
            return f"  {field.upper()} is not set: {wanted}"
        return f"  {field.upper()} ({wanted}) is invalid: {message}"


class AwsSettings(Environment):
    """The settings of a process that calls AWS, or an emulator of AWS."""

    aws_region: str = Field(description="AWS region, such as eu-central-1")
    aws_endpoint_url: str | None = Field(
        None, description="URL of an AWS emulator; leave it unset to use AWS"
    )
    faults_table: str | None = Field(
        None,
        description="name of the DynamoDB table of the fault switchboard, in the emulator of a demo only; leave it unset "
        "to have no switchboard",
    )

    @model_validator(mode="after")
    def _faults_in_a_demo_only(self) -> Self:
        if self.faults_table is not None and self.aws_endpoint_url is None:
            raise ValueError(
                "FAULTS_TABLE requires AWS_ENDPOINT_URL: faults can be switched on in a demo with an emulator only; "
                "unset FAULTS_TABLE"
            )
        return self


class ServiceSettings(AwsSettings):
    """The settings of every process of every service."""

    table: str = Field(description="name of the service's DynamoDB table")
    tasks_queue_url: str = Field(description="URL of the service's SQS queue of tasks")
    events_topic_arn: str = Field(description="ARN of the SNS topic that the service publishes its events to")
    listen_host: str = Field("0.0.0.0", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="minimum level to log"
    )
    poll_seconds: int = Field(
        5,
        ge=0,
        le=20,
        description="seconds of a long poll for messages, by which the shutdown of a consumer may be delayed",
    )


# Passed explicitly, because a type checker reports a call without the required arguments.
_NO_OVERRIDES: dict[str, Any] = {}
