"""Bad orders: each gets a code of its own, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio

from api.schemas.cards import has_card_number
from db.ids import new_ulid
from db.session import Database
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.shop import order_body, refused

CARD = shop.luhn_number()
KEY = {"Idempotency-Key": "key-of-the-first-order"}
LINE = {"sku": shop.SHIRT, "qty": 1}


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _nothing_changes(edge: Edge, db: Database) -> AsyncIterator[None]:
    before = await shop.counts(db)
    yield
    assert await shop.counts(db) == before
    assert edge.engine.orders == []


async def _post(edge: Edge, content: bytes, **headers: str) -> Any:
    sent = {**edge.bearer(), **KEY, "Content-Type": "application/json", **headers}
    return await edge.http.post("/v1/orders", content=content, headers=sent)


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b'{"lines": [', b"\xff\xfe", b"[" * 100_000, b'{"a": 1' + b"0" * 5000 + b"}"],
    ids=["open", "empty", "cut", "not utf-8", "too deep", "number too long"],
)
async def test_malformed_json(edge: Edge, content: bytes) -> None:
    answer = await _post(edge, content)
    if content:
        refused(answer, 400, "MALFORMED_JSON")
    else:
        refused(answer, 422, "VALIDATION_FAILED")


async def test_a_body_that_is_not_said_to_be_json(edge: Edge) -> None:
    answer = await _post(edge, b"lines=1", **{"Content-Type": "text/plain"})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [LINE] * 51}, "lines"),
        ({"lines": [{**LINE, "qty": 0}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": -1}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": 21}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": 10**30}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": "1"}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": 1.5}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "qty": True}]}, "lines.0.qty"),
        ({"lines": [{**LINE, "sku": ""}]}, "lines.0.sku"),
        ({"lines": [{**LINE, "sku": "A\0B"}]}, "lines.0.sku"),
        ({"lines": [{**LINE, "sku": "x" * 81}]}, "lines.0.sku"),
        ({"lines": [{**LINE, "seller_id": "him"}]}, "lines.0.seller_id"),
        ({"lines": [{**LINE, "price": 1}]}, "lines.0.price"),
        ({"address_id": "home"}, "address_id"),
        ({"payment": {"method": "BARTER"}}, "payment.method"),
        ({"payment": {"method": "CARD", "instrument": "tok ok"}}, "payment.instrument"),
        ({"payment": {"method": "CARD", "cvv": "123"}}, "payment.cvv"),
        ({"expected_total_paise": -1}, "expected_total_paise"),
        ({"coupon": ""}, "coupon"),
        ({"discount": 100}, "discount"),
        ({"user_id": shop.ROHAN}, "user_id"),
    ],
)
async def test_a_field_that_is_wrong_is_named(
    edge: Edge, changes: dict[str, Any], field: str
) -> None:
    body = refused(await edge.place(order_body(**changes)), 422, "VALIDATION_FAILED")
    assert [error["field"] for error in body["errors"]] == [field]
    assert all(error["message"] for error in body["errors"])


async def test_what_was_sent_is_not_sent_back(edge: Edge) -> None:
    secret = "tok secret of somebody"
    answer = await edge.place(order_body(payment={"method": "CARD", "instrument": secret}))
    refused(answer, 422, "VALIDATION_FAILED")
    assert "secret" not in answer.text


@pytest.mark.parametrize("field", ["lines", "address_id", "payment"])
async def test_a_field_that_is_missing_is_named(edge: Edge, field: str) -> None:
    body = {name: value for name, value in order_body().items() if name != field}
    told = refused(await edge.place(body), 422, "VALIDATION_FAILED")
    assert [error["field"] for error in told["errors"]] == [field]


@pytest.mark.parametrize(
    "changes",
    [
        {"payment": {"method": "CARD", "instrument": CARD}},
        {"payment": {"method": "CARD", "instrument": f"tok-{CARD}"}},
        {"payment": {"method": "CARD", "number": int(CARD)}},
        {"payment": {"method": "CARD", CARD: "x"}},
        {"coupon": " ".join([CARD[:4], CARD[4:8], CARD[8:12], CARD[12:]])},
        {"device_id": "-".join([CARD[:4], CARD[4:8], CARD[8:12], CARD[12:]])},
        {"note": {"deep": [["1 " + CARD]]}},
        {"expected_total_paise": float(CARD)},
        {"lines": "not a list", "card": CARD},
    ],
    ids=["token", "in a token", "number", "name", "groups", "dashes", "deep", "float", "beside"],
)
async def test_a_card_number_anywhere_is_refused_and_not_told(
    edge: Edge, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await edge.place(order_body(**changes))
    refused(answer, 422, "CARD_NUMBER_REFUSED")
    said = answer.text + capsys.readouterr().out
    assert CARD not in said
    assert CARD[:4] + " " not in said


async def test_a_card_number_as_a_key_is_refused(edge: Edge) -> None:
    refused(await edge.place(key=CARD), 422, "CARD_NUMBER_REFUSED")


def test_card_numbers_are_told_from_other_digits() -> None:
    for number in ("4222222222222", "378282246310005", "6304000000000000000"):
        assert has_card_number(number) is (shop.luhn_number(number[:-1]) == number)
    assert has_card_number(shop.luhn_number("630400000000000000"))  # 19 digits
    assert has_card_number(shop.luhn_number("422222222222"))  # 13 digits
    assert not has_card_number(shop.luhn_number("42222222222"))  # 12 digits
    assert not has_card_number(shop.luhn_number("6304000000000000000"))  # 20 digits
    wrong = CARD[:-1] + str((int(CARD[-1]) + 1) % 10)
    assert not has_card_number(wrong)
    assert not has_card_number("+91 98765 43210")
    assert not has_card_number("01234567890123456789ABCDEF")  # an id of ours


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "IDEMPOTENCY_KEY_MISSING"),
        ("", "IDEMPOTENCY_KEY_INVALID"),
        ("too-short", "IDEMPOTENCY_KEY_INVALID"),
        ("x" * 129, "IDEMPOTENCY_KEY_INVALID"),
        ("key with blanks inside", "IDEMPOTENCY_KEY_INVALID"),
        ("clé-de-la-première-commande", "IDEMPOTENCY_KEY_INVALID"),
    ],
)
async def test_a_key_that_is_missing_or_odd(edge: Edge, key: str | None, code: str) -> None:
    headers: dict[str, Any] = edge.bearer()
    if key is not None:
        headers["Idempotency-Key"] = key.encode("latin-1")
    refused(await edge.http.post("/v1/orders", json=order_body(), headers=headers), 400, code)


def _claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    claims = {
        "iss": "sagakart",
        "aud": "sagakart-api",
        "sub": shop.ASHA,
        "role": "customer",
        "iat": now,
        "exp": now + timedelta(minutes=5),
        "jti": new_ulid(),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


_SECRET = "a-secret-of-the-tests-that-is-long-enough"


async def _with(edge: Edge, authorisation: str) -> Any:
    headers: dict[str, Any] = {"Authorization": authorisation.encode("latin-1"), **KEY}
    return await edge.http.post("/v1/orders", json=order_body(), headers=headers)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"iss": "somebody"},
        {"role": "root"},
        {"role": None},
        {"sub": None},
        {"jti": None},
        {"exp": None},
        {"iat": datetime.now(UTC) + timedelta(hours=1)},
    ],
    ids=lambda changes: " ".join(changes),
)
async def test_a_token_with_other_claims(edge: Edge, changes: dict[str, Any]) -> None:
    token = jwt.encode(_claims(**changes), _SECRET, "HS256")
    answer = await _with(edge, f"Bearer {token}")
    refused(answer, 401, "TOKEN_INVALID")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_token_that_is_forged(edge: Edge) -> None:
    other = jwt.encode(_claims(), "another-secret-that-is-as-long-as-ours", "HS256")
    unsigned = jwt.encode(_claims(), "", "none")
    for token in (other, unsigned, shop.forged(edge.token()), "a.b.c", "x", "é"):
        refused(await _with(edge, f"Bearer {token}"), 401, "TOKEN_INVALID")


async def test_a_token_that_has_expired(edge: Edge) -> None:
    gone = datetime.now(UTC) - timedelta(seconds=1)
    token = jwt.encode(_claims(exp=gone, iat=gone - timedelta(minutes=15)), _SECRET, "HS256")
    refused(await _with(edge, f"Bearer {token}"), 401, "TOKEN_EXPIRED")


@pytest.mark.parametrize("authorisation", ["", "Bearer", "Bearer ", "Basic YTpi", "nonsense"])
async def test_nobody_is_signed_in(edge: Edge, authorisation: str) -> None:
    refused(await _with(edge, authorisation), 401, "UNAUTHENTICATED")


async def test_the_token_of_a_user_who_is_gone(edge: Edge) -> None:
    refused(await edge.place(user=new_ulid()), 401, "TOKEN_INVALID")
