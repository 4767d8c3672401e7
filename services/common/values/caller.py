"""Who sent a request, and what they may: no more than a handler needs to know of it."""

from dataclasses import dataclass

OPERATORS = "ops"
"""The group whose members look after every customer's orders."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Args:
        subject: the customer's id (the token's `sub`), or the ARN or access key id of a machine.
        scopes: what the token is good for, such as "orders:read".
        groups: the groups that the user is in.
        machine: a program of ours, which sees every customer's.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    machine: bool = False

    def has(self, scope: str) -> bool:
        """Whether the caller may do what a scope such as "orders:read" is for; an operator may by "ops:read"."""
        return scope in self.scopes or self._operates(scope.partition(":")[2])

    def may_see(self, customer_id: str | None) -> bool:
        """Whether the caller may see what belongs to a customer; None is nobody's."""
        return self.machine or self._operates("read") or self.subject == customer_id

    def may_change(self, customer_id: str | None) -> bool:
        """Whether the caller may change what belongs to a customer."""
        return self._operates("write") or (not self.machine and self.subject == customer_id)

    def _operates(self, verb: str) -> bool:
        # Cognito lets every user of a client ask for each of the client's scopes: the group is what is granted.
        return OPERATORS in self.groups and f"{OPERATORS}:{verb}" in self.scopes
