"""The contract for webhooks: what the PSP sends is read, and what others send is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from activities.payments.registry import PROVIDERS
from domain.webhooks import BadSignature, EventKind, PaymentEvent, Trust
from tests.psp_contract.conftest import AMOUNT, Subject
from tests.sandbox.harness import SECRET, Received


def read(subject: Subject, one: Received, *secrets: str) -> PaymentEvent:
    webhook = PROVIDERS[subject.name].load().webhook
    (event,) = webhook(one.body, one.headers, datetime.now(UTC), secrets or (SECRET,))
    return event


async def captured(subject: Subject, ref: str, key: str) -> Received:
    """The webhook that tells of a capture."""
    await subject.taken(ref, key)

    def came(received: list[Received]) -> bool:
        return any(read(subject, one).kind is EventKind.PAYMENT_CAPTURED for one in received)

    received = await subject.shop.until(ref, came)
    return next(one for one in received if read(subject, one).kind is EventKind.PAYMENT_CAPTURED)


async def test_it_tells_of_money_that_was_taken(subject: Subject, ref: str, key: str) -> None:
    event = read(subject, await captured(subject, ref, key))
    row = (await subject.server.books(ref))[0]
    assert (event.provider, event.merchant_ref, event.ref) == (subject.name, ref, row["id"])
    assert (event.captured, event.refunded) == (AMOUNT.paise, 0)
    assert (event.amount, event.currency) == (AMOUNT.paise, "INR")
    signed = subject.psp.caps.signed_webhooks
    assert event.trust is (Trust.SIGNED if signed else Trust.TOKEN_ONLY)
    assert abs((datetime.now(UTC) - event.occurred_at).total_seconds()) < 10


async def test_a_double_is_known_by_its_id(subject: Subject, ref: str, key: str) -> None:
    await subject.fault("webhook", ref, "doubled")
    await subject.taken(ref, key)

    def doubled(received: list[Received]) -> bool:
        bodies = [one.body for one in received]
        return len(bodies) > len(set(bodies))

    received = await subject.shop.until(ref, doubled)
    by_body = {one.body: read(subject, one).event_id for one in received}
    assert [read(subject, one).event_id for one in received] == [
        by_body[one.body] for one in received
    ]
    assert len(set(by_body.values())) == len(by_body)


async def test_another_secret_is_refused(subject: Subject, ref: str, key: str) -> None:
    webhook = await captured(subject, ref, key)
    for secrets in (("another",), ("", "another")):
        with pytest.raises(BadSignature):
            read(subject, webhook, *secrets)
    with pytest.raises(BadSignature):
        PROVIDERS[subject.name].load().webhook(webhook.body, webhook.headers, datetime.now(UTC), ())
    with pytest.raises(BadSignature):
        read(subject, Received({}, webhook.body, webhook.at))


async def test_both_secrets_are_valid_while_one_is_rotated(
    subject: Subject, ref: str, key: str
) -> None:
    webhook = await captured(subject, ref, key)
    assert read(subject, webhook, "new", SECRET) == read(subject, webhook, SECRET, "new")


async def test_what_was_changed_on_the_way(subject: Subject, ref: str, key: str) -> None:
    """A signature finds out; a password cannot, and its event has an id of its own and no trust."""
    webhook = await captured(subject, ref, key)
    changed = Received(webhook.headers, webhook.body.replace(b"249900", b"249901"), webhook.at)
    assert changed.body != webhook.body
    if subject.psp.caps.signed_webhooks:
        with pytest.raises(BadSignature):
            read(subject, changed)
    else:
        true, false = read(subject, webhook), read(subject, changed)
        assert (false.trust, false.captured) == (Trust.TOKEN_ONLY, 2_499_01)
        assert false.event_id != true.event_id
