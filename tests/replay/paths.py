"""The paths of the business sagas whose histories are kept, and the test that plays each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.integration.checkout import (
    test_customer,
    test_disasters,
    test_failover,
    test_parked,
    test_refused,
    test_sold,
    test_unknown,
)
from tests.integration.checkout.orders import PSPS
from tests.integration.checkout.side_by_side import Story

ALPHA, BETA = PSPS
CHECKOUT, PAYMENT, WATCH = "CheckoutSaga", "PaymentSaga", "LatePaymentWatch"
SWEEP = "sweep-reservations"


@dataclass(frozen=True, slots=True)
class Path:
    """A test, its parameters, and the workflow types whose histories show the path."""

    story: Story
    shows: tuple[str, ...] = (CHECKOUT,)
    parameters: Mapping[str, str] = field(default_factory=dict)


_AT_ALPHA = {"psp": ALPHA}
_AT_BETA = {"psp": BETA}
_BOTH = (CHECKOUT, PAYMENT)

# By the name of the order that the test places.
PATHS: Mapping[str, Path] = {
    "card-alphapay": Path(test_sold.test_by_card, _BOTH, _AT_ALPHA),
    "card-betapay": Path(test_sold.test_by_card, (PAYMENT,), _AT_BETA),
    "3ds-alphapay": Path(test_sold.test_by_card_after_3d_secure, _BOTH, _AT_ALPHA),
    "step-up": Path(test_sold.test_the_bank_asks_for_3d_secure, (PAYMENT,)),
    "upi-intent": Path(test_sold.test_by_upi_held_and_then_captured, _BOTH),
    "upi-qr": Path(test_sold.test_by_upi_captured_at_once, (PAYMENT,)),
    "cash": Path(test_sold.test_cash_on_delivery, _BOTH),
    "nothing-owed": Path(test_sold.test_a_total_of_nothing),
    "unknown-sku": Path(test_refused.test_at_opening, parameters={"name": "unknown-sku"}),
    "out-of-stock": Path(test_refused.test_out_of_stock),
    "blocked": Path(test_refused.test_a_customer_on_a_block_list),
    "held-accepted": Path(test_refused.test_held_and_accepted),
    "held-rejected": Path(test_refused.test_held_and_rejected),
    "held-timed-out": Path(test_refused.test_held_and_nobody_looked),
    "held-cancelled": Path(test_refused.test_held_and_cancelled),
    "3ds-declined-alphapay": Path(test_customer.test_declines_3d_secure, _BOTH, _AT_ALPHA),
    "qr-ignored-betapay": Path(test_customer.test_ignores_a_upi_code, _BOTH, _AT_BETA),
    "upi-cancelled-alphapay": Path(
        test_customer.test_cancels_while_the_app_is_open, _BOTH, _AT_ALPHA
    ),
    "upi-paid-and-cancelled": Path(test_customer.test_cancels_as_the_money_is_taken, _BOTH),
    "cancelled-authorising": Path(test_customer.test_cancels_while_the_card_is_asked, _BOTH),
    "cancelled-capturing": Path(test_customer.test_cancels_during_the_capture),
    "soft-then-ok-alphapay": Path(
        test_failover.test_a_soft_decline_and_the_other_accepts, (PAYMENT,), _AT_ALPHA
    ),
    "both-down": Path(test_failover.test_both_are_down, _BOTH),
    "technical": Path(
        test_failover.test_nothing_is_left_where_a_failure_is_not_final, (PAYMENT, WATCH)
    ),
    "late-card": Path(test_failover.test_a_request_that_arrives_after_all_hope, (PAYMENT, WATCH)),
    "late-upi": Path(test_failover.test_upi_money_that_arrives_after_all_hope, (PAYMENT, WATCH)),
    "answer-lost-alphapay": Path(
        test_unknown.test_authorised_and_the_answer_lost_where_keys_are_honoured, (PAYMENT,)
    ),
    "answer-lost-betapay": Path(
        test_unknown.test_authorised_and_the_answer_lost_where_they_are_not, (PAYMENT,)
    ),
    "never-arrived": Path(test_unknown.test_never_arrived, (PAYMENT,)),
    "never-arrived-twice": Path(test_unknown.test_never_arrived_twice, (PAYMENT,)),
    "unknown-parked": Path(test_unknown.test_nobody_can_say_and_a_person_does, (PAYMENT,)),
    "capture-lost-twice-alphapay": Path(
        test_unknown.test_captured_and_nobody_can_say, parameters=_AT_ALPHA
    ),
    "capture-refused-alphapay": Path(
        test_unknown.test_a_capture_that_is_refused, parameters=_AT_ALPHA
    ),
    "not-committed": Path(test_parked.test_goods_that_are_gone_after_the_sale),
    "not-committed-mended": Path(test_parked.test_goods_that_are_found_again),
    "void-refused": Path(test_parked.test_a_void_that_is_refused),
    SWEEP: Path(test_disasters.test_the_sweeper, (SWEEP,)),
}


def files() -> set[str]:
    """The files that must be kept: one for each path and workflow that shows it."""
    return {f"{shown}.{name}.json" for name, path in PATHS.items() for shown in path.shows}
