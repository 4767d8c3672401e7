"""The words for states, causes and errors, in the language of the current request."""

from services.storefront.addresses import EXAMPLES, Flaw
from services.storefront.domain import Finding, State
from services.storefront.language import _
from services.storefront.progress import Reason


def state(of: State) -> str:
    """The state of an order in two or three words."""
    return {
        State.PENDING: _("Accepted"),
        State.RESERVED: _("Products reserved"),
        State.PAID: _("Paid"),
        State.SHIPPED: _("Shipped"),
        State.CANCELLING: _("Being cancelled"),
        State.REJECTED: _("Not fulfilled"),
        State.CANCELLED: _("Cancelled"),
    }[of]


def explanation(of: State) -> str:
    """The activity of the shop while an order waits for a stage."""
    return {
        State.PENDING: _("The shop has received your order."),
        State.RESERVED: _("The shop sets your products aside."),
        State.PAID: _("The payment provider charges your card."),
        State.SHIPPED: _("The carrier accepts the parcel."),
    }[of]


def reason(why: Reason) -> str:
    """Why an order is undone, as a sentence for its customer."""
    return {
        Reason.CUSTOMER: _("You cancelled the order."),
        Reason.OUT_OF_STOCK: _("A product was sold out before the shop could reserve it for you."),
        Reason.DECLINED: _("The payment was declined. Ask your bank, or order again with another card."),
        Reason.UNANSWERED: _("The payment provider did not respond in time."),
        Reason.NOT_SHIPPED: _("The carrier does not deliver to this address. Check it, and order again."),
        Reason.OTHER: _("The shop could not fulfill the order."),
    }[why]


def finding(of: Finding) -> str:
    """Why an order needs attention, in two or three words."""
    return {
        Finding.STANDING_STILL: _("Stalled"),
        Finding.DISAGREEING: _("Inconsistent"),
    }[of]


def field(name: str) -> str:
    """The label of a field of an address."""
    return {
        "name": _("Name"),
        "line1": _("Street and house number"),
        "city": _("City"),
        "postal_code": _("Postal code"),
        "country": _("Country"),
    }[name]


def flaw(what: Flaw, country: str) -> str:
    """The error of a field of an address, with the next step."""
    if what is Flaw.WRONG_FORM:
        return _("Enter a postal code of this country, such as %(example)s.", example=EXAMPLES[country])
    return {
        Flaw.MISSING: _("Fill in this field."),
        Flaw.TOO_LONG: _("Shorten this text."),
        Flaw.UNPRINTABLE: _("Use letters, digits, spaces and punctuation only."),
        Flaw.UNKNOWN: _("Choose a country from the list."),
    }[what]


def card(token: str) -> tuple[str, str]:
    """The name of a test card of the sandbox, and what happens with it."""
    return {
        "tok_approve": (_("Card that works"), _("The order is charged and shipped.")),
        "tok_decline": (_("Card that is declined"), _("The order ends, and the products are released.")),
        "tok_timeout": (
            _("Payment provider that does not respond"),
            _("After several attempts, the order ends, and the products are released."),
        ),
        "tok_charge_then_timeout": (
            _("Charged, but the response of the payment provider is lost"),
            _("The shop asks again. The card is charged only once."),
        ),
    }[token]
