"""The table of the faults: what each does, and what a visitor will see. The page and the documentation are made from it."""

from dataclasses import dataclass

from services.common.faults.switches import Fault
from services.storefront.language import _


@dataclass(frozen=True, slots=True)
class Experiment:
    """A fault in words, in the language of the current request.

    Args:
        fault: fault that is switched on.
        name: name of the fault.
        does: what happens in the shop, and where.
        shows: what a visitor will see after placing an order.
        heals: what a visitor will see after switching the fault off.
    """

    fault: Fault
    name: str
    does: str
    shows: str
    heals: str


def experiments() -> tuple[Experiment, ...]:
    """All faults, in the order of an order's workflow."""
    return (
        Experiment(
            Fault.PAYMENT_SLOW,
            _("Payment slow"),
            _("The payment provider takes four seconds to answer each request."),
            _("Your order stays at “Products reserved” for four seconds, and is then paid and shipped."),
            _("The next order is paid at once."),
        ),
        Experiment(
            Fault.PAYMENT_DECLINED,
            _("Payment declined"),
            _("The payment provider declines every card."),
            _("Your order ends as “Not fulfilled”. Its products return to stock, and nothing is charged."),
            _("The next order is paid. The declined order stays declined."),
        ),
        Experiment(
            Fault.PAYMENT_AWAY,
            _("Payment unavailable"),
            _("The payment provider cannot be reached, neither for charges nor for refunds."),
            _(
                "Your order stays at “Products reserved”. After half a minute, its page says that this takes longer "
                "than usual. Other pages work as before."
            ),
            _("Within a minute, your order is paid and shipped. You do not need to do anything."),
        ),
        Experiment(
            Fault.CARRIER_REFUSES,
            _("Carrier refuses parcels"),
            _("The carrier refuses every parcel after the order is paid."),
            _(
                "Your order is paid, but not shipped: it ends as “Cancelled”. The payment is refunded, and the products "
                "return to stock."
            ),
            _("The next order is shipped. The cancelled order stays cancelled."),
        ),
        Experiment(
            Fault.EVENTS_LATE,
            _("Events late"),
            _("The topics accept the events of the services half a minute late."),
            _(
                "Your order is shipped as fast as before, because no step waits for an event. The events wait in the "
                "outboxes of the services, which log outbox_record_failed."
            ),
            _("Within a minute, all events are published. None is lost."),
        ),
    )
