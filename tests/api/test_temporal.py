"""The engine over a real Temporal server, with stand-ins for the sagas."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.engine import EngineUnreachable, ResolutionRefused, SagaEnded, SagaUnknown
from api.temporal import TemporalEngine, connect
from db.ids import new_ulid
from domain.orders import OrderState
from domain.payments import PaymentMethod
from saga import CancelRequest, CancelVerdict, Resolution, SagaState
from tests.api.standins import StandInCheckout, StandInPayment
from tests.support import temporal
from workflows.contracts.checkout import CheckoutAnswer, PlaceOrder
from workflows.contracts.ids import SAGAS, checkout_id, payment_id
from workflows.contracts.orders import OpenOrder, OrderLine
from workflows.contracts.payments import PSPEvent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with temporal.dev_server() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def working(client: Client) -> AsyncIterator[None]:
    async with temporal.worker(client, SAGAS, [StandInCheckout, StandInPayment], []):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def engine(client: Client) -> TemporalEngine:
    """The edge's own client, not the tests'."""
    return TemporalEngine(await connect(client.service_client.config.target_host, "default"))


@pytest.fixture
def nobody() -> Callable[[], Awaitable[TemporalEngine]]:
    async def away() -> TemporalEngine:
        return TemporalEngine(await connect("127.0.0.1:1", "default"))

    return away


def order(how: str, order_id: str | None = None) -> PlaceOrder:
    return PlaceOrder(
        order=OpenOrder(
            order_id=order_id or new_ulid(),
            user_id="asha",
            address_id="home",
            lines=[OrderLine(sku=how, qty=1)],
            payment_method=PaymentMethod.CARD,
        ),
        instrument="tok_secret",
    )


BY_AGENT = Resolution(step="review", action="ACCEPT", actor="agent", note="known customer")


async def _ended(client: Client, placed: PlaceOrder) -> None:
    await client.get_workflow_handle(checkout_id(placed.order.order_id)).result()


@pytest.mark.usefixtures("working")
async def test_an_order_is_placed_and_heard_in_one_call(engine: TemporalEngine) -> None:
    asked = order("SELL")
    assert await engine.place(asked, 5) == CheckoutAnswer(
        order_id=asked.order.order_id, state=OrderState.CONFIRMED, total_paise=599_00
    )


@pytest.mark.usefixtures("working")
async def test_a_retry_joins_the_saga_and_hears_the_same(
    engine: TemporalEngine, client: Client
) -> None:
    asked = order("REVIEW")
    first, second = await asyncio.gather(engine.place(asked, 5), engine.place(asked, 5))
    assert first == second
    assert first is not None
    assert first.state is OrderState.ON_HOLD
    await engine.resolve(checkout_id(asked.order.order_id), BY_AGENT)
    await _ended(client, asked)
    # over: the first answer still stands, and the saga is not started again
    assert await engine.place(asked, 5) == first
    history = await engine.history(checkout_id(asked.order.order_id), 1, b"")
    assert history.events[0]["details"]["attempt"] == 1
    placed = await engine.placed(asked.order.order_id)
    assert placed is not None
    assert placed.state is OrderState.CONFIRMED


@pytest.mark.usefixtures("working")
async def test_a_saga_that_ended_without_an_answer_is_not_started_again(
    engine: TemporalEngine, client: Client
) -> None:
    asked = order("SLOW")
    assert await engine.place(asked, 0.3) is None
    handle = client.get_workflow_handle(checkout_id(asked.order.order_id))
    await handle.terminate("by hand")
    with pytest.raises(SagaEnded):
        await engine.place(asked, 5)
    assert await engine.placed(asked.order.order_id) is None
    info = (await handle.describe()).raw_description.workflow_execution_info
    assert info.execution.run_id == info.first_run_id


@pytest.mark.usefixtures("working")
async def test_an_order_that_takes_longer_runs_on(engine: TemporalEngine) -> None:
    asked = order("SLOW")
    assert await engine.place(asked, 0.5) is None
    view = await engine.timeline(checkout_id(asked.order.order_id), 5)
    assert view.state is SagaState.RUNNING
    with pytest.raises(EngineUnreachable):
        await engine.placed(asked.order.order_id)


@pytest.mark.usefixtures("working")
async def test_a_server_that_forgot_the_update_is_not_taken_for_a_refusal(
    engine: TemporalEngine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, unheard_of = order("SLOW"), order("SLOW")
    await engine.place(asked, 0.3)

    async def forgotten(*_: object, **__: object) -> None:
        raise RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")

    monkeypatch.setattr(client, "execute_update_with_start_workflow", forgotten)
    monkeypatch.setattr(engine, "_client", client)
    assert await engine.place(asked, 0.3) is None
    with pytest.raises(EngineUnreachable):
        await engine.place(unheard_of, 0.3)


async def test_without_a_worker_the_order_waits_for_one(
    engine: TemporalEngine, client: Client
) -> None:
    asked = order("SELL")
    assert await engine.place(asked, 1) is None
    async with temporal.worker(client, SAGAS, [StandInCheckout], []):
        await _ended(client, asked)


@pytest.mark.usefixtures("working")
async def test_a_cancellation_is_decided_by_the_saga(
    engine: TemporalEngine, client: Client
) -> None:
    asked = order("SLOW")
    await engine.place(asked, 0.3)
    order_id = asked.order.order_id
    request = CancelRequest(actor="asha", reason="changed my mind")
    assert await engine.cancel(order_id, request, 5) is CancelVerdict.CANCELLED
    await _ended(client, asked)
    with pytest.raises(SagaEnded):
        await engine.cancel(order_id, request, 5)
    with pytest.raises(SagaUnknown):
        await engine.cancel(new_ulid(), request, 5)


@pytest.mark.usefixtures("working")
async def test_people_answer_for_parked_steps(engine: TemporalEngine, client: Client) -> None:
    asked = order("REVIEW")
    saga_id = checkout_id(asked.order.order_id)
    await engine.place(asked, 5)
    with pytest.raises(ResolutionRefused) as refused:
        await engine.resolve(saga_id, BY_AGENT.model_copy(update={"step": "capture"}))
    assert refused.value.code == "NOT_PARKED"
    with pytest.raises(ResolutionRefused, match="choose one of ACCEPT"):
        await engine.resolve(saga_id, BY_AGENT.model_copy(update={"action": "SKIP"}))
    assert (await engine.timeline(saga_id, 5)).parked[0].actions == ["ACCEPT"]
    assert (await engine.resolve(saga_id, BY_AGENT)).accepted
    await _ended(client, asked)
    with pytest.raises(SagaEnded):
        await engine.resolve(saga_id, BY_AGENT)
    with pytest.raises(SagaUnknown):
        await engine.resolve("checkout:nothing", BY_AGENT)


@pytest.mark.usefixtures("working")
async def test_history_is_readable_paged_and_without_tokens(
    engine: TemporalEngine, client: Client
) -> None:
    asked = order("SELL")
    saga_id = checkout_id(asked.order.order_id)
    await engine.place(asked, 5)
    await _ended(client, asked)
    whole = (await engine.history(saga_id, 500, b"")).events
    pages, token = [], b""
    while True:
        page = await engine.history(saga_id, 3, token)
        pages += page.events
        token = page.next
        if not token:
            break
    assert pages == whole
    assert [event["id"] for event in whole] == list(range(1, len(whole) + 1))
    first = whole[0]
    assert first["type"] == "WORKFLOW_EXECUTION_STARTED"
    assert first["details"]["input"][0]["order"]["order_id"] == asked.order.order_id
    assert first["details"]["input"][0]["instrument"] == "(hidden)"
    assert "tok_secret" not in json.dumps(whole)
    assert whole[-1]["type"] == "WORKFLOW_EXECUTION_COMPLETED"
    assert whole[-1]["details"]["result"][0]["state"] == "CONFIRMED"
    with pytest.raises(SagaUnknown):
        await engine.history("checkout:nothing", 10, b"")


@pytest.mark.usefixtures("working")
async def test_a_payment_hears_of_an_event(engine: TemporalEngine, client: Client) -> None:
    order_id = new_ulid()
    event = PSPEvent(attempt_id=f"{order_id}-1", kind="PAYMENT_CAPTURED")
    with pytest.raises(SagaUnknown):
        await engine.tell_payment(order_id, event)
    handle = await client.start_workflow(
        StandInPayment.run, id=payment_id(order_id), task_queue=SAGAS
    )
    await engine.tell_payment(order_id, event)
    assert await handle.result() == [event]
    with pytest.raises(SagaUnknown):
        await engine.tell_payment(order_id, event)


@pytest.mark.usefixtures("working")
async def test_the_engine_is_there(engine: TemporalEngine) -> None:
    await engine.check()


async def test_an_engine_that_is_away_says_so(
    nobody: Callable[[], Awaitable[TemporalEngine]],
) -> None:
    engine = await nobody()
    for asking in (
        engine.place(order("SELL"), 5),
        engine.cancel("x", CancelRequest(actor="a"), 5),
        engine.timeline("checkout:x", 1),
        engine.resolve("checkout:x", BY_AGENT),
        engine.history("checkout:x", 10, b""),
        engine.tell_payment("x", PSPEvent(attempt_id="x-1", kind="OTHER")),
        engine.check(),
        engine.placed("x"),
    ):
        with pytest.raises(EngineUnreachable):
            await asking
