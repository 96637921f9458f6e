"""Events that tell what is known, and events that do not."""

import pytest

from domain.news import is_news
from domain.payments import PaymentState as S
from domain.webhooks import EventKind as K


@pytest.mark.parametrize(
    ("kind", "told", "state", "known", "news"),
    [
        (K.PAYMENT_AUTHORISED, (0, 0), S.CREATED, (0, 0), True),
        (K.PAYMENT_AUTHORISED, (0, 0), S.ACTION_REQUIRED, (0, 0), True),
        (K.PAYMENT_AUTHORISED, (0, 0), S.FAILED, (0, 0), True),
        (K.PAYMENT_AUTHORISED, (0, 0), S.VOIDED, (0, 0), True),
        (K.PAYMENT_AUTHORISED, (0, 0), S.AUTHORISED, (0, 0), False),
        (K.PAYMENT_AUTHORISED, (0, 0), S.CAPTURED, (500, 0), False),
        (K.PAYMENT_CAPTURED, (500, 0), S.AUTHORISED, (0, 0), True),
        (K.PAYMENT_CAPTURED, (500, 0), S.CAPTURED, (500, 0), False),
        (K.PAYMENT_CAPTURED, (500, 0), S.REFUNDED, (500, 500), False),
        (K.PAYMENT_CAPTURED, (500, 0), S.VOIDED, (0, 0), True),
        (K.REFUND_SUCCEEDED, (500, 200), S.CAPTURED, (500, 0), True),
        (K.REFUND_SUCCEEDED, (500, 200), S.PARTIALLY_REFUNDED, (500, 200), False),
        (K.PAYMENT_FAILED, (0, 0), S.ACTION_REQUIRED, (0, 0), True),
        (K.PAYMENT_FAILED, (0, 0), S.FAILED, (0, 0), False),
        (K.PAYMENT_EXPIRED, (0, 0), S.EXPIRED, (0, 0), False),
        (K.PAYMENT_VOIDED, (0, 0), S.AUTHORISED, (0, 0), True),
        (K.PAYMENT_VOIDED, (0, 0), S.VOIDED, (0, 0), False),
        (K.OTHER, (0, 0), S.CREATED, (0, 0), False),
    ],
)
def test_only_what_the_books_lack_is_news(
    kind: K, told: tuple[int, int], state: S, known: tuple[int, int], news: bool
) -> None:
    assert is_news(kind, told=told, state=state, known=known) is news


@pytest.mark.parametrize("kind", list(K))
@pytest.mark.parametrize("state", list(S))
def test_money_that_is_not_booked_is_always_news(kind: K, state: S) -> None:
    assert is_news(kind, told=(1, 0), state=state, known=(0, 0))
