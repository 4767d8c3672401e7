"""The errors that end a command, each with its exit code."""

from typing import ClassVar


class CliError(Exception):
    """Ends a command. The text is the line that is printed."""

    exit_code: ClassVar[int] = 1


class NotReachable(CliError):
    """The cluster cannot be reached, or does not respond."""

    exit_code: ClassVar[int] = 3


class NotThere(CliError):
    """The object or its kind does not exist."""

    exit_code: ClassVar[int] = 4


class NotAllowed(CliError):
    """The API server does not allow this request."""

    exit_code: ClassVar[int] = 5


class Forbidden(NotAllowed):
    """The API server has authenticated the user, who lacks a permission."""


class NotValid(CliError):
    """A file or a spec cannot be used."""

    exit_code: ClassVar[int] = 6


EXIT_CODES = {
    0: "success; for `diff`, no differences; for `explain`, everything is ready",
    1: "`diff` found differences, or `explain` found something that is not ready",
    2: "the command line is invalid",
    **{
        each.exit_code: f"{(each.__doc__ or '')[:1].lower()}{(each.__doc__ or '')[1:].rstrip('.')}"
        for each in (NotReachable, NotThere, NotAllowed, NotValid)
    },
}
