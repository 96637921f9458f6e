"""What every PSP is to us, by itself."""

from datetime import UTC, datetime

import httpx
import pytest

from activities.payments.psp import ActionKind, Adapter, AlphaPay, BetaPay, NextAction
from domain.payments import FailureClass, PaymentState


def test_next_action_as_json() -> None:
    action = NextAction(
        kind=ActionKind.REDIRECT, url="http://x/pay/1", expires_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert action.to_json() == {
        "kind": "REDIRECT",
        "url": "http://x/pay/1",
        "deep_link": None,
        "qr": None,
        "expires_at": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize("adapter", [AlphaPay, BetaPay])
async def test_a_404_of_a_gateway_on_the_way_does_not_say_not_found(adapter: type[Adapter]) -> None:
    """After the grace "not found" is proof enough to ask another PSP."""
    answers = httpx.MockTransport(lambda request: httpx.Response(404, text="<h1>no route</h1>"))
    async with httpx.AsyncClient(transport=answers) as client:
        psp = adapter(client, base_url="http://psp", api_key="id:key", secrets=["s"])
        told = await psp.find(ref="pay_1")
    assert told.found
    assert (told.state, told.failure_class) == (PaymentState.UNKNOWN, FailureClass.UNKNOWN)
