"""The payment as a whole: opened with a route, captured, or given back."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.guard import once, take_back
from activities.payments.books import (
    book_cash_due,
    end_payment,
    reverse_cash_due,
)
from activities.payments.health import LiveHealth
from activities.payments.provider import (
    UNSETTLED,
    Providers,
    ask_again,
    ask_same,
    code_of,
    raise_failure,
    unreachable,
)
from activities.payments.psp import Operation
from activities.payments.returning import give_back
from activities.payments.routing import Router
from db.ids import new_ulid
from db.repositories import payments, sagas
from db.repositories.payments import NewPayment
from db.repositories.steps import Undoing
from domain.money import Money
from domain.payments import PaymentMethod, PaymentState
from domain.routing import RoutingRules
from saga import Call, Inquiry, OutcomeUnknown, Undo, Verdict, implements
from workflows.contracts import payments as contract
from workflows.contracts.ids import PAYMENT
from workflows.contracts.payments import (
    Captured,
    PaymentAuthorised,
    PaymentPlan,
    PayOrder,
)

_HOLDING = (PaymentState.AUTHORISED, PaymentState.CAPTURED)
_ENDED = (
    PaymentState.FAILED,
    PaymentState.EXPIRED,
    PaymentState.VOIDED,
    PaymentState.REFUNDED,
)
CASH = "cod"


class PaymentActivities:
    """Payments, routed by rules and by how the PSPs are doing."""

    def __init__(
        self, providers: Providers, rules: RoutingRules, health: LiveHealth | None = None
    ) -> None:
        self._providers = providers
        self._database = providers.database
        self._router = Router(providers.psps, rules, health)

    @implements(contract.OPEN)
    async def open(self, request: PayOrder, call: Call) -> PaymentPlan:
        """Write down what is owed, and in which order PSPs are asked for it."""
        cash = request.method is PaymentMethod.COD
        # before the transaction: a lock must not wait for a cache
        route = [] if cash else await self._router.route(request)

        async def effect(session: AsyncSession) -> PaymentPlan:
            await sagas.begin(
                session,
                call.saga_id,
                kind=PAYMENT,
                order_id=request.order_id,
                customer_id=request.user_id,
            )
            payment = await payments.open_payment(
                session,
                NewPayment(
                    id=new_ulid(),
                    order_id=request.order_id,
                    method=request.method,
                    amount_paise=request.amount_paise,
                    currency=request.currency,
                    state=PaymentState.COD_DUE if cash else PaymentState.CREATED,
                ),
            )
            return PaymentPlan(payment_id=payment.id, route=route)

        return await once(self._database, call, PaymentPlan, effect)

    @implements(contract.ABANDON)
    async def abandon(self, undo: Undo[PayOrder, PaymentPlan], call: Call) -> None:
        """Close a payment whose attempts have all been taken back."""

        async def end(session: AsyncSession, _: Undoing) -> None:
            await end_payment(session, undo.input.order_id, undo.code)

        await take_back(self._database, call, end)

    @implements(contract.CAPTURE)
    async def capture(self, payment: PaymentAuthorised, call: Call) -> Captured:
        """Take the money that is held; money that is taken already stays taken once."""
        if payment.psp == CASH:
            async with self._database.unit_of_work() as session:
                await book_cash_due(session, payment)
            return Captured(attempt_id="", captured_paise=payment.amount_paise)
        attempt = await self._providers.attempt(payment.attempt_id)
        if attempt.captured_paise == payment.amount_paise:
            return Captured(attempt_id=attempt.id, captured_paise=attempt.captured_paise)
        told = await self._providers.psp(payment.psp).capture(
            payment.ref, Money(payment.amount_paise, payment.currency), key=call.key
        )
        if told.failure_class not in UNSETTLED and ask_same(payment.psp, Operation.CAPTURE, told):
            raise ask_again(payment.psp, code_of(told))
        if told.found and not unreachable(told):
            await self._providers.learn(attempt, told)
        raise_failure(payment.psp, told)
        if told.captured != payment.amount_paise:
            raise OutcomeUnknown("AMOUNT_DIFFERS", f"{told.captured} paise were captured")
        return Captured(attempt_id=attempt.id, captured_paise=told.captured)

    @implements(contract.FIND_CAPTURE)
    async def find_capture(self, payment: PaymentAuthorised, call: Call) -> Inquiry[Captured]:
        """Ask whether the money was taken. Merely held is a "no": undoing it voids what is held,
        and a PSP captures nothing that is voided.
        """
        if payment.psp == CASH:
            return Inquiry(verdict=Verdict.DID_NOT_HAPPEN, message="cash is due at the door")
        attempt = await self._providers.attempt(payment.attempt_id)
        told = await self._providers.find(attempt)
        if unreachable(told) or not told.found:
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, code=code_of(told))
        if told.captured == payment.amount_paise:
            taken = Captured(attempt_id=attempt.id, captured_paise=told.captured)
            return Inquiry(verdict=Verdict.HAPPENED, output=taken, message=told.state)
        if told.captured > 0:
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, code="AMOUNT_DIFFERS")
        return Inquiry(verdict=Verdict.DID_NOT_HAPPEN, code=code_of(told), message=told.state)

    @implements(contract.FIND_PAYMENT)
    async def find_payment(self, request: PayOrder, call: Call) -> Inquiry[PaymentAuthorised]:
        """Read from our books how an order's payment saga ended, when its answer was lost."""
        async with self._database.reading() as session:
            payment = await payments.of_order(session, request.order_id)
            attempts = await payments.attempts_of(session, request.order_id)
        if payment is None:
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, message="no payment was opened")
        if payment.state in _ENDED:
            return Inquiry(verdict=Verdict.DID_NOT_HAPPEN, code=f"PAYMENT_{payment.state}")
        holding = next((one for one in attempts if one.state in _HOLDING), None)
        cash = payment.state is PaymentState.COD_DUE
        if holding is None and not cash:
            return Inquiry(verdict=Verdict.STILL_UNKNOWN, message=payment.state)
        found = PaymentAuthorised(
            payment_id=payment.id,
            order_id=request.order_id,
            attempt_id=holding.id if holding else "",
            psp=holding.psp if holding else CASH,
            ref=(holding.psp_ref or "") if holding else "",
            state=holding.state if holding else PaymentState.COD_DUE,
            amount_paise=payment.amount_paise,
            currency=payment.currency,
        )
        return Inquiry(verdict=Verdict.HAPPENED, output=found)

    @implements(contract.GIVE_BACK)
    async def give_back(self, undo: Undo[PayOrder, PaymentAuthorised], call: Call) -> None:
        """Give back whatever any attempt of this order holds or took."""
        order_id = undo.input.order_id
        async with self._database.reading() as session:
            attempts = await payments.attempts_of(session, order_id)
        for attempt in attempts:
            await give_back(self._providers, attempt)
        async with self._database.unit_of_work() as session:
            payment = await payments.of_order(session, order_id)
            if payment is not None:
                await reverse_cash_due(session, order_id, payment.id)
                await end_payment(session, order_id, undo.code)
