"""Why a command ended, with the exit code that says so to a script."""

from typing import ClassVar


class CliError(Exception):
    """Ends a command; its text is the one line that is printed."""

    exit_code: ClassVar[int] = 1


class NotReachable(CliError):
    """There is no way to a cluster, or it does not answer."""

    exit_code: ClassVar[int] = 3


class NotThere(CliError):
    """There is no such object, or no such kind."""

    exit_code: ClassVar[int] = 4


class NotAllowed(CliError):
    """The API server does not let this person do it."""

    exit_code: ClassVar[int] = 5


class NotValid(CliError):
    """A file or a spec cannot be used."""

    exit_code: ClassVar[int] = 6


EXIT_CODES = {
    0: "done; for `diff`: no difference; for `explain`: it is ready",
    1: "`diff` found differences, or `explain` something that is not ready",
    2: "the command line is wrong",
    **{
        each.exit_code: f"{(each.__doc__ or '')[:1].lower()}{(each.__doc__ or '')[1:].rstrip('.')}"
        for each in (NotReachable, NotThere, NotAllowed, NotValid)
    },
}
