"""The paths of the business sagas whose histories are kept, and the test that plays each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.integration.checkout import (
    test_customer,
    test_disasters,
    test_failover,
    test_parked,
    test_refunds,
    test_refused,
    test_sold,
    test_unknown,
)
from tests.integration.checkout.orders import PSPS
from tests.integration.checkout.side_by_side import Story
from tests.integration.reconciliation import test_saga

ALPHA, BETA = PSPS
CHECKOUT, PAYMENT, WATCH = "CheckoutSaga", "PaymentSaga", "LatePaymentWatch"
REFUND = "RefundSaga"
SWEEP = "sweep-reservations"


@dataclass(frozen=True, slots=True)
class Path:
    """A test, its parameters, and the workflow types whose histories show the path.

    `refund` is what the test calls the refund whose saga is shown.
    """

    story: Story
    shows: tuple[str, ...] = (CHECKOUT,)
    parameters: Mapping[str, str] = field(default_factory=dict)
    refund: str = ""


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
    "refund-alphapay": Path(test_refunds.test_all_of_it, (REFUND,), _AT_ALPHA, "all"),
    "refund-parts": Path(
        test_refunds.test_in_parts_and_never_more_than_was_taken, (REFUND,), refund="more"
    ),
    "dispute-race": Path(
        test_refunds.test_a_refund_races_a_dispute_and_asks_a_person, (REFUND,), refund="race"
    ),
    "refund-by-hand": Path(
        test_refunds.test_a_refund_that_is_settled_by_hand_is_closed, (REFUND,), refund="by-hand"
    ),
    SWEEP: Path(test_disasters.test_the_sweeper, (SWEEP,)),
}


RECONCILIATION, RECONCILIATION_DUE = "ReconciliationSaga", "reconciliation-due"
# Reconciliation has a stage of its own: the test that plays each, by the name of its history.
# `python -m tests.replay.record_reconciliation` saves them.
RECONCILED: Mapping[str, tuple[Story, str]] = {
    "settled": (test_saga.test_a_day_is_read_compared_and_booked, RECONCILIATION),
    "again-2": (test_saga.test_a_second_round_changes_nothing, RECONCILIATION),
    "waited": (test_saga.test_a_report_that_is_late_is_waited_for, RECONCILIATION),
    "parked": (test_saga.test_a_report_that_never_comes_asks_a_person, RECONCILIATION),
    "skipped": (
        test_saga.test_a_report_that_waiting_does_not_mend_is_asked_after_at_once,
        RECONCILIATION,
    ),
    "stopped": (test_saga.test_a_comparison_that_fails_asks_a_person, RECONCILIATION),
    "morning": (test_saga.test_the_schedule_starts_the_day_before_once, RECONCILIATION_DUE),
    "morning-again": (test_saga.test_the_schedule_starts_the_day_before_once, RECONCILIATION_DUE),
    "today-1": (
        test_saga.test_the_schedule_of_the_present_day_starts_each_round,
        RECONCILIATION_DUE,
    ),
}


def files() -> set[str]:
    """The files that must be kept: one for each path and workflow that shows it."""
    kept = {f"{shown}.{name}.json" for name, path in PATHS.items() for shown in path.shows}
    return kept | {f"{shown}.{name}.json" for name, (_, shown) in RECONCILED.items()}
