"""The mutants: each takes one rule of the sagas away, and names the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass

_CHECKOUT = "tests/integration/checkout/"
_CUSTOMER = f"{_CHECKOUT}test_customer.py::test_"
_DISASTERS = f"{_CHECKOUT}test_disasters.py::test_"
_FAILOVER = f"{_CHECKOUT}test_failover.py::test_"
_GUARDS = f"{_CHECKOUT}test_guards.py::test_"
_PARKED = f"{_CHECKOUT}test_parked.py::test_"
_REFUNDS = f"{_CHECKOUT}test_refunds.py::test_"
_REFUSED = f"{_CHECKOUT}test_refused.py::test_"
_UNKNOWN = f"{_CHECKOUT}test_unknown.py::test_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """In `file`, `old` (there once) becomes `new`; one of `tests` has to fail."""

    takes_away: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_NOTHING = 'undo=NothingToUndo("a mutant")'
_FRESH = 'str(__import__("uuid").uuid4())'

UNDOS = (
    Mutant(
        takes_away="an undo is registered before its action is sent",
        file="saga/saga.py",
        old="""            self._undos.plan(planned)
        attempt = Attempt(
            name, action, argument, scope, inquire, resend, tuple(ladder), park_as, money
        )
        value: Out = self._accept(name, await self._attempts.decide(attempt))
        if planned is not None:
""",
        new="""        attempt = Attempt(
            name, action, argument, scope, inquire, resend, tuple(ladder), park_as, money
        )
        value: Out = self._accept(name, await self._attempts.decide(attempt))
        if planned is not None:
            self._undos.plan(planned)
""",
        tests=(f"{_REFUSED}out_of_stock", f"{_CUSTOMER}cancels_while_the_card_is_asked"),
    ),
    Mutant(
        takes_away="undos go on past one that fails",
        file="saga/undo.py",
        old="                left.append((undo, failure))\n",
        new="                left.append((undo, failure))\n                break\n",
        tests=(f"{_PARKED}a_void_that_is_refused",),
    ),
    Mutant(
        takes_away="an undo that fails is parked",
        file="saga/undo.py",
        old="            self._park(undo, *failure)\n        await self._finish_parked({undo.step",
        new="            pass\n        return\n        await self._finish_parked({undo.step",
        tests=(f"{_PARKED}a_void_that_is_refused",),
    ),
    Mutant(
        takes_away="the undo of the reservation",
        file="workflows/checkout.py",
        old="undo=stock.RELEASE",
        new=_NOTHING,
        tests=(f"{_REFUSED}held_and_rejected",),
    ),
    Mutant(
        takes_away="the undo of the order",
        file="workflows/checkout.py",
        old="undo=orders.CANCEL",
        new=_NOTHING,
        tests=(f"{_REFUSED}out_of_stock",),
    ),
    Mutant(
        takes_away="the undo of the payment",
        file="workflows/checkout.py",
        old="undo=payments.GIVE_BACK",
        new=_NOTHING,
        tests=(f"{_UNKNOWN}a_capture_that_is_refused",),
    ),
    Mutant(
        takes_away="the undo of the opened payment",
        file="workflows/payment.py",
        old="undo=payments.ABANDON",
        new=_NOTHING,
        tests=(f"{_GUARDS}a_payment_that_fails_closes_itself",),
    ),
    Mutant(
        takes_away="an attempt is voided before another PSP is asked",
        file="workflows/payment.py",
        old='            await saga.undo_now(name, "GOING_ELSEWHERE", failure.code)\n',
        new="",
        tests=(f"{_FAILOVER}nothing_is_left_where_a_failure_is_not_final",),
    ),
    Mutant(
        takes_away="what a PSP never saw is forbidden there",
        file="activities/payments/returning.py",
        old="        return await _forbid(providers, attempt)\n",
        new="        return 0\n",
        tests=(f"{_UNKNOWN}never_arrived_twice",),
    ),
    Mutant(
        takes_away="a failure that is not final is voided",
        file="activities/payments/returning.py",
        old=" or (told.state is PaymentState.FAILED and not told.final):",
        new=":",
        tests=(f"{_FAILOVER}nothing_is_left_where_a_failure_is_not_final",),
    ),
)

KEYS = (
    Mutant(
        takes_away="a call has the same key each time it is sent",
        file="saga/calls.py",
        old="key=key_for(saga_id, step, doing, scope)",
        new="key=str(workflow.uuid4())",
        tests=(f"{_UNKNOWN}authorised_and_the_answer_lost_where_keys_are_honoured",),
    ),
    Mutant(
        takes_away="a resend goes out under the same key",
        file="saga/attempts.py",
        old="""            self._log.add(EventKind.STEP_RESENT, attempt.name)
            outcome = await self._perform(attempt)
""",
        new="""            self._log.add(EventKind.STEP_RESENT, attempt.name)
            again = __import__("dataclasses").replace(attempt, scope=f"{attempt.scope} again")
            outcome = await self._perform(again)
""",
        tests=(f"{_UNKNOWN}authorised_and_the_answer_lost_where_keys_are_honoured",),
    ),
    Mutant(
        takes_away="an undo has a key of its own",
        file="saga/keys.py",
        old="_SEPARATOR.join((saga_id, step, doing, scope))",
        new="_SEPARATOR.join((saga_id, step, scope))",
        tests=(
            "tests/saga/test_refs.py::test_keys_differ_by_every_part_and_by_where_the_parts_end",
        ),
    ),
    Mutant(
        takes_away="a capture carries the saga's key",
        file="activities/payments/settling.py",
        old="payment.ref, Money(payment.amount_paise, payment.currency), key=call.key",
        new=f"payment.ref, Money(payment.amount_paise, payment.currency), key={_FRESH}",
        tests=(f"{_UNKNOWN}captured_and_the_answer_lost",),
    ),
    Mutant(
        takes_away="an attempt's money goes back under one key for ever",
        file="activities/payments/provider.py",
        old='return key_for(attempt.id, "give back", "undo", attempt.psp)',
        new=f"return {_FRESH}",
        tests=(f"{_CUSTOMER}cancels_as_the_money_is_taken",),
    ),
    Mutant(
        takes_away="money taken is booked under the attempt's own key",
        file="activities/payments/books.py",
        old='        f"capture:{attempt.id}",\n',
        new=f'        f"capture:{{attempt.id}}:" + {_FRESH},\n',
        tests=(f"{_GUARDS}what_is_learnt_often_is_booked_once",),
    ),
)

UNKNOWNS = (
    Mutant(
        takes_away="an unknown outcome is inquired about, and not taken for a failure",
        file="saga/attempts.py",
        old="        if attempt.inquire is None:\n",
        new="        if attempt is not None:\n",
        tests=(f"{_UNKNOWN}authorised_and_the_answer_lost_where_they_are_not",),
    ),
    Mutant(
        takes_away="an answer that cannot be trusted is unknown, and not declined",
        file="activities/payments/provider.py",
        old="    if told.failure_class in UNSETTLED:\n        raise OutcomeUnknown(",
        new="    if told.failure_class in UNSETTLED:\n        raise StepFailed(",
        tests=(f"{_UNKNOWN}authorised_and_the_answer_lost_where_they_are_not",),
    ),
    Mutant(
        takes_away="a payment that is found is used",
        file="activities/payments/attempts.py",
        old="        if told.state in _ALIVE and not told.others:\n",
        new="        if told.found is None:\n",
        tests=(f"{_UNKNOWN}authorised_and_the_answer_lost_where_they_are_not",),
    ),
    Mutant(
        takes_away="not found proves nothing within the grace",
        file="activities/payments/attempts.py",
        old="            if self._providers.in_grace(attempt):\n",
        new="            if not attempt.id:\n",
        tests=(f"{_UNKNOWN}never_arrived",),
    ),
    Mutant(
        takes_away="a watcher stays over what was left behind",
        file="workflows/payment.py",
        old="            if stop.late and attempt.attempt_id != chosen:\n",
        new="            if stop.late and attempt.attempt_id == chosen:\n",
        tests=(f"{_FAILOVER}a_request_that_arrives_after_all_hope",),
    ),
)

GUARDS = (
    Mutant(
        takes_away="a step that took effect does not take effect again",
        file="activities/guard.py",
        old="        if claim.done:\n",
        new="        if claim.done and claim.result is None:\n",
        tests=(f"{_GUARDS}an_order_is_opened_once", f"{_GUARDS}a_replay_answers_as_before"),
    ),
    Mutant(
        takes_away="an undo that ran does not run again",
        file="activities/guard.py",
        old="        if undoing.happened and not undoing.again:\n",
        new="        if undoing.happened:\n",
        tests=(f"{_GUARDS}an_order_that_is_ended_twice_is_told_once",),
    ),
    Mutant(
        takes_away="an undo forbids the action that has yet to come",
        file="activities/guard.py",
        old="        undoing = await steps.undo(session, call.do_key, ",
        new="        undoing = await steps.undo(session, call.key, ",
        tests=(f"{_GUARDS}an_action_that_comes_after_its_undo",),
    ),
    Mutant(
        takes_away="an authorisation is not sent after its void",
        file="activities/payments/attempts.py",
        old="        if attempt.state not in (*_ALIVE, PaymentState.UNKNOWN):\n",
        new="        if attempt.state is None:\n",
        tests=(f"{_GUARDS}an_authorisation_that_comes_after_its_void",),
    ),
    Mutant(
        takes_away="money is skipped by two people, not by one",
        file="saga/parking.py",
        old="        return parked.money and resolution.action == Action.SKIP\n",
        new="        return False\n",
        tests=(f"{_PARKED}a_void_that_is_refused",),
    ),
    Mutant(
        takes_away="the sweeper leaves what a living saga holds",
        file="activities/stock/activities.py",
        old="            if await self._saga_is_open(order_id):\n",
        new="            if not order_id:\n",
        tests=(f"{_DISASTERS}the_sweeper",),
    ),
)

ORDER = (
    Mutant(
        takes_away="a cancellation during the capture comes too late",
        file="saga/saga.py",
        old="        self._pass(name)\n        return value\n",
        new="        self._stop_if_cancelled()\n        self._pass(name)\n        return value\n",
        tests=(f"{_CUSTOMER}cancels_during_the_capture",),
    ),
    Mutant(
        takes_away="a cancellation reaches the payment that is under way",
        file="saga/saga.py",
        old="            self._attempts.cancel_children()\n",
        new="            pass\n",
        tests=(f"{_CUSTOMER}cancels_while_the_app_is_open",),
    ),
    Mutant(
        takes_away="the saga waits for an agent's answer",
        file="workflows/checkout.py",
        old='        if answer is None:\n            raise Refused("RISK_REVIEW_TIMED_OUT"',
        new='        if answer == 0:\n            raise Refused("RISK_REVIEW_TIMED_OUT"',
        tests=(f"{_REFUSED}held_and_nobody_looked",),
    ),
)

REFUNDS = (
    Mutant(
        takes_away="a refund is asked for under one key",
        file="activities/payments/refunding.py",
        old="money, key=_request_key(refund))\n        return await",
        new=f"money, key={_FRESH})\n        return await",
        tests=(f"{_REFUNDS}the_answer_is_lost_and_the_money_goes_once",),
    ),
    Mutant(
        takes_away="a refund that was refused for good is followed by a new request",
        file="activities/payments/refunding.py",
        old="            await refunds.refused(session, refund)\n",
        new="            pass\n",
        tests=(f"{_REFUNDS}a_refund_races_a_dispute_and_asks_a_person",),
    ),
    Mutant(
        takes_away="a disputed payment is not refunded",
        file="activities/payments/refunding.py",
        old="        if await refunds.disputed(session, attempt.id):\n",
        new="        if False:\n",
        tests=(f"{_REFUNDS}a_dispute_forbids_a_refund_until_it_is_won",),
    ),
    Mutant(
        takes_away="a refund adds to those before it",
        file="activities/payments/books.py",
        old="refunded=held.refunded + paise)",
        new="refunded=paise)",
        tests=(f"{_REFUNDS}in_parts_and_never_more_than_was_taken",),
    ),
    Mutant(
        takes_away="money that is set aside and never paid is free again",
        file="activities/payments/refunding.py",
        old="            await refunds.settle(session, refund.refund_key, RefundState.FAILED)\n\n"
        "        await once_only",
        new="            pass\n\n        await once_only",
        tests=(f"{_REFUNDS}a_refund_that_is_settled_by_hand_is_closed",),
    ),
    Mutant(
        takes_away="a 404 by anybody but the PSP is no proof",
        file="activities/payments/psp/dialect.py",
        old="            and self.failure(answer).code == self.missing\n",
        new="",
        tests=(
            "tests/unit/psp/test_port.py::test_a_404_of_a_gateway_on_the_way_does_not_say_not_found",
        ),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*UNDOS, *KEYS, *UNKNOWNS, *GUARDS, *ORDER, *REFUNDS)
