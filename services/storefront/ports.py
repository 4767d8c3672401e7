"""The ports of the storefront: what its pages require from the API of the shop and from the user pool."""

from dataclasses import dataclass, field
from typing import Protocol

from services.common.faults.switches import Fault
from services.common.values.errors import Conflict, RuleBroken
from services.common.values.money import Money
from services.storefront.domain import (
    AttentionPage,
    DeadLetters,
    Inventory,
    NewOrder,
    Order,
    OrderDetails,
    OrderPage,
    Product,
    ProductPage,
    Redriven,
)


class SignedOut(Exception):
    """The access token is not valid, or no longer."""


class NotPermitted(Exception):
    """The access token does not permit the operation."""


class SignInRefused(Exception):
    """The user pool does not accept the code of a sign-in."""


class TotalChanged(Conflict):
    """The order was not placed, because its total is no longer the one that the customer was shown."""

    def __init__(self, total: Money) -> None:
        super().__init__("the total of the order has changed")
        self.total = total


class TooLateToCancel(Conflict):
    """The order can no longer be cancelled."""


class Refused(RuleBroken):
    """The shop does not accept the order. The detail is its explanation."""


class Catalog(Protocol):
    """The products of the shop. Every method raises `Unavailable` if the shop does not respond."""

    def search(self, words: str, category: str | None, cursor: str | None, limit: int) -> ProductPage:
        """Products whose names contain all words, sorted by SKU.

        Args:
            words: search words; empty for all products.
            category: category; None for all.
            cursor: `next` of the previous page; None for the first page.
            limit: maximum number of products.

        Raises:
            RuleBroken: the cursor is not one of the shop.
        """

    def product(self, sku: str) -> Product | None:
        """The product with an SKU, or None."""

    def inventory(self, sku: str) -> Inventory | None:
        """The stock of a product, or None."""


class Orders(Protocol):
    """The orders that an access token permits to read. Every method raises `SignedOut`, `NotPermitted` or `Unavailable`."""

    def place(self, token: str, order: NewOrder) -> str:
        """Places an order once per key. Returns its ID, which is the same for each repetition.

        Raises:
            TotalChanged: the prices have changed; nothing was ordered.
            Refused: the shop does not accept the order.
        """

    def page(self, token: str, cursor: str | None) -> OrderPage:
        """The orders of the customer, newest first.

        Raises:
            RuleBroken: the cursor is not one of the shop.
        """

    def find(self, token: str, order_id: str) -> Order | None:
        """An order; None if it does not exist, or if the customer may not see it."""

    def details(self, token: str, order_id: str) -> OrderDetails | None:
        """An order with its payment; None as for `find`."""

    def cancel(self, token: str, order_id: str) -> None:
        """Cancels an order. Has no effect if the order is already being undone.

        Raises:
            NotFound: it does not exist, or the customer may not see it.
            TooLateToCancel: it is being shipped, or has ended.
        """


class Switches(Protocol):
    """The fault switchboard of a demo. Every method raises `Unavailable` if it does not respond, and the others `SignedOut`."""

    def on(self) -> frozenset[Fault]:
        """The faults that are on."""

    def turn_on(self, token: str, fault: Fault) -> None:
        """Switches a fault on. Has no effect if it is on."""

    def turn_off(self, token: str, fault: Fault) -> None:
        """Switches a fault off. Has no effect if it is off."""

    def undo_all(self, token: str) -> None:
        """Switches all faults off."""


class Staff(Protocol):
    """The view of staff on the shop. Every method raises `SignedOut`, `NotPermitted` or `Unavailable`."""

    def attention(self, token: str, cursor: str | None) -> AttentionPage:
        """The orders that need attention, oldest first.

        Raises:
            RuleBroken: the cursor is not one of the shop.
        """

    def dead_letters(self, token: str, service: str) -> DeadLetters:
        """The dead letters of a service."""

    def redrive(self, token: str, service: str, letter_id: str | None) -> Redriven:
        """Sends a dead letter to its queue again, or all of a service. A letter that is not there any more is missing.

        Args:
            token: access token.
            service: one of the services.
            letter_id: ID of the dead letter; None for all, of which one call redrives a limited number.
        """


@dataclass(frozen=True, slots=True)
class Grant:
    """The result of a sign-in.

    Args:
        token: access token.
        subject: ID of the user.
        name: name of the user.
        expires_at: time at which the token expires, in seconds since 1970.
        scopes: scopes of the token, such as "orders:read".
        groups: groups of the user.
    """

    token: str = field(repr=False)
    subject: str
    name: str
    expires_at: int
    scopes: frozenset[str]
    groups: frozenset[str] = frozenset()


class SignIn(Protocol):
    """The sign-in pages of the user pool: the authorization code flow with PKCE (RFC 6749, RFC 7636)."""

    def url(self, state: str, verifier: str, *, staff: bool) -> str:
        """The URL of the sign-in page.

        Args:
            state: text that the callback returns.
            verifier: secret that `redeem` proves.
            staff: whether to request the scopes of staff.
        """

    def leave_url(self, *, staff: bool) -> str:
        """The URL that ends the session at the user pool, and leads back to the first page of the shop.

        Args:
            staff: whether the sign-in requested the scopes of staff.
        """

    def redeem(self, code: str, verifier: str, *, staff: bool) -> Grant:
        """The grant for the code of a callback.

        Raises:
            SignInRefused: the code is not valid, or no longer.
            Unavailable: the user pool does not respond.
        """
