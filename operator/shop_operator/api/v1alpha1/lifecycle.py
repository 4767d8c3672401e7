"""Lifecycle hooks of a container: actions after it has started and before it is stopped."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shop_operator.api.v1alpha1.probes import ExecAction, HttpHeader, PortReference
from shop_operator.api.v1alpha1.scalars import ABSOLUTE, Seconds
from shop_operator.api.v1alpha1.schema import (
    Model,
    count_set,
    count_set_in_cel,
    rules,
)

GRACE_SECONDS: Final = 30
"""Default of terminationGracePeriodSeconds."""


class HookRequest(Model):
    """An HTTP GET request to the pod."""

    path: Annotated[str, StringConstraints(max_length=4096), ABSOLUTE] = "/"
    """Path of the request. Defaults to /."""
    port: PortReference | None = None
    """Port number, or http for the port of the container. Defaults to http."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """Scheme of the request. Defaults to HTTP."""
    http_headers: list[HttpHeader] | None = Field(default=None, max_length=32)
    """Headers of the request."""


class HookSleep(Model):
    """A pause."""

    seconds: Seconds
    """Seconds to wait. 0 disables the pause."""


ONE_HOOK: Final = (
    "a lifecycle hook must set exactly one of exec, httpGet and sleep, or none to keep the operator's default"
)
_HOOKS: Final = ("exec", "http_get", "sleep")


class LifecycleHandler(Model):
    """Action at one point of a container's lifecycle. At most one field may be set."""

    model_config = ConfigDict(json_schema_extra=rules((f"{count_set_in_cel(_HOOKS)} <= 1", ONE_HOOK)))

    exec: ExecAction | None = None
    """Command to run in the container."""
    http_get: HookRequest | None = None
    """Request to send to the container."""
    sleep: HookSleep | None = None
    """Pause of the container."""

    @model_validator(mode="after")
    def _one_hook(self) -> Self:
        if count_set(self, _HOOKS) > 1:
            raise ValueError(ONE_HOOK)
        return self

    @property
    def is_set(self) -> bool:
        """Whether a hook is set. An empty one keeps the default."""
        return count_set(self, _HOOKS) == 1

    def rendered(self, port: str) -> dict[str, Any] | None:
        """The handler in the format of Kubernetes, None for a sleep of 0 seconds.

        Args:
            port: name of the port of the container.
        """
        if self.sleep is not None and self.sleep.seconds == 0:
            return None
        handler = self.to_dict()
        if self.http_get is not None:
            handler["httpGet"] = {"port": port, **handler["httpGet"]}
            if not self.http_get.http_headers:
                handler["httpGet"].pop("httpHeaders", None)
        return handler


class Lifecycle(Model):
    """Lifecycle hooks of a container, as in a pod. Each replaces the operator's default."""

    post_start: LifecycleHandler | None = None
    """Action immediately after the container has started, in parallel with its entry point. The container is not ready until it has completed. Defaults to none."""
    pre_stop: LifecycleHandler | None = None
    """Action before the container receives SIGTERM. Its duration counts against the grace period. Defaults to a sleep of 5 seconds in the web pods, during which the pod is removed from its Service, and to none in a worker."""

    @property
    def hooks(self) -> list[LifecycleHandler]:
        """The handlers that are set."""
        return [each for each in (self.post_start, self.pre_stop) if each is not None]


_NAMES: Final = ("postStart", "preStop")

SLEEP_TOO_LONG: Final = "sleep.seconds must not exceed terminationGracePeriodSeconds (default: 30)"
NO_HOOK_PORT: Final = "a worker without a port requires a numeric port in httpGet of a hook: set port, or httpGet.port to a number"


def _sleep_is_short(hook: str) -> str:
    """The CEL rule that the sleep of a hook does not exceed the grace period."""
    at = f"self.lifecycle.{hook}"
    grace = (
        f"(has(self.terminationGracePeriodSeconds) ? self.terminationGracePeriodSeconds : {GRACE_SECONDS})"
    )
    return f"(!has({at}) || !has({at}.sleep) || {at}.sleep.seconds <= {grace})"


def _has_port(hook: str) -> str:
    at = f"self.lifecycle.{hook}"
    return f"(!has({at}) || !has({at}.httpGet) || (has({at}.httpGet.port) && type({at}.httpGet.port) == int))"


SLEEP_RULE: Final = (
    f"!has(self.lifecycle) || ({' && '.join(map(_sleep_is_short, _NAMES))})",
    SLEEP_TOO_LONG,
)
"""Rule of a model with lifecycle and terminationGracePeriodSeconds; `check_lifecycle` is the same in Python."""
HOOK_PORT_RULE: Final = (
    f"has(self.port) || !has(self.lifecycle) || ({' && '.join(map(_has_port, _NAMES))})",
    NO_HOOK_PORT,
)
"""Rule of a model with lifecycle and an optional port; `check_lifecycle` is the same in Python."""


def check_lifecycle(lifecycle: Lifecycle | None, grace: int | None, port: int | None) -> None:
    """Check SLEEP_RULE and HOOK_PORT_RULE.

    Args:
        lifecycle: the hooks, None if none are set.
        grace: grace period in seconds, None for the default.
        port: port of the container, None if it has none.

    Raises:
        ValueError: with the message of the rule that is violated.
    """
    seconds = GRACE_SECONDS if grace is None else grace
    for hook in lifecycle.hooks if lifecycle else ():
        if hook.sleep is not None and hook.sleep.seconds > seconds:
            raise ValueError(SLEEP_TOO_LONG)
        if port is None and hook.http_get is not None and not isinstance(hook.http_get.port, int):
            raise ValueError(NO_HOOK_PORT)
