"""The checkout saga's input, answer and handlers."""

from domain.orders import OrderState
from workflows.contracts.base import Contract
from workflows.contracts.orders import OpenOrder
from workflows.contracts.payments import NextAction, PaymentTimings

WORKFLOW = "CheckoutSaga"
# Update with which the API starts a checkout and hears how it went.
PLACE = "place"
# Signals: a PSP's webhook for the payment saga, and the payment saga's word to the checkout.
PSP_EVENT = "psp_event"
CUSTOMER_MUST_ACT = "customer_must_act"


class CheckoutTimings(Contract):
    """How long a checkout waits, in seconds: stock hold, an agent's review, and the payment's."""

    hold: int = 3600
    review: float = 900
    payment: PaymentTimings = PaymentTimings()


class PlaceOrder(Contract):
    """The input of a checkout saga. IDs and tokens only: addresses stay in the database.

    A saved instrument is `bound_to` the PSP that made its token; `bin` and `bank` are for routing.
    """

    order: OpenOrder
    instrument: str = ""
    bound_to: str = ""
    bin: str = ""
    bank: str = ""
    device_id: str = ""
    timings: CheckoutTimings = CheckoutTimings()


class CheckoutAnswer(Contract):
    """How an order stands when its customer can be told.

    `code` and `message` say why it was refused; `next_action` what the customer has to do.
    """

    order_id: str
    state: OrderState
    total_paise: int = 0
    currency: str = "INR"
    code: str = ""
    message: str = ""
    next_action: NextAction | None = None
