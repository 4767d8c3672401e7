"""The sender of a request and its permissions, as handlers need them."""

from dataclasses import dataclass

OPERATORS = "ops"
"""The group of operators, who can access the orders of all customers."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request.

    Args:
        subject: ID of the customer (`sub` of the token), or ARN or access key ID of a machine.
        scopes: scopes of the token, such as "orders:read".
        groups: groups of the user.
        machine: whether the caller is a machine of the shop, which can read the data of all customers.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    machine: bool = False

    def has(self, scope: str) -> bool:
        """Whether the caller has a scope such as "orders:read". For operators, "ops:read" includes it.

        Only operators have a scope such as "ops:read", which every user can request.
        """
        resource, _, verb = scope.partition(":")
        return self._operates(verb) or (scope in self.scopes and resource != OPERATORS)

    def may_see(self, customer_id: str) -> bool:
        """Whether the caller may read the data of a customer."""
        return self.machine or self._operates("read") or self.subject == customer_id

    def may_change(self, customer_id: str) -> bool:
        """Whether the caller may change the data of a customer."""
        return self._operates("write") or (not self.machine and self.subject == customer_id)

    def _operates(self, verb: str) -> bool:
        # In Cognito, every user can request all scopes of an app client, so the group decides.
        return OPERATORS in self.groups and f"{OPERATORS}:{verb}" in self.scopes
