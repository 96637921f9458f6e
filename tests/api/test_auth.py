"""Sign-up, sign-in, rotating refresh tokens, addresses, roles."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import text

from api.passwords import hash_password, password_fits
from db.session import Database
from db.vocabulary import Role
from tests.api import shop
from tests.api.conftest import Edge, config
from tests.api.shop import refused

MEERA = {"email": "Meera@Example.in", "name": "Meera", "password": "a long password"}


async def _sign_up(edge: Edge, **changes: Any) -> httpx.Response:
    return await edge.http.post("/v1/users", json={**MEERA, **changes})


async def _login(edge: Edge, **changes: Any) -> httpx.Response:
    body = {"email": MEERA["email"], "password": MEERA["password"], **changes}
    return await edge.http.post("/v1/auth/login", json=body)


async def _refresh(edge: Edge, token: str) -> httpx.Response:
    return await edge.http.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_a_customer_signs_up_in_and_sees_themselves(edge: Edge, db: Database) -> None:
    made = await _sign_up(edge)
    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "email": "meera@example.in",
        "name": "Meera",
        "phone": None,
        "role": "customer",
        "created_at": made.json()["created_at"],
    }
    ((stored,),) = await shop.rows(
        db, "SELECT password_hash FROM users WHERE email = 'meera@example.in'"
    )
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    session = await _login(edge, email="mEERA@example.in")
    assert session.status_code == 200
    assert (session.json()["token_type"], session.json()["expires_in"]) == ("Bearer", 900)
    bearer = {"Authorization": f"bearer {session.json()['access_token']}"}
    assert (await edge.http.get("/v1/users/me", headers=bearer)).json() == made.json()


async def test_the_access_token_says_who_and_for_how_long(edge: Edge) -> None:
    user_id = (await _sign_up(edge)).json()["id"]
    token = (await _login(edge)).json()["access_token"]
    claims = jwt.decode(token, config().jwt_secret, ["HS256"], audience="sagakart-api")
    assert (claims["sub"], claims["role"], claims["iss"]) == (user_id, "customer", "sagakart")
    assert claims["exp"] - claims["iat"] == 900
    assert re.fullmatch("[0-9A-Z]{26}", claims["jti"])


async def test_an_address_has_one_account_in_any_case(edge: Edge, db: Database) -> None:
    await _sign_up(edge)
    before = await shop.counts(db)
    refused(await _sign_up(edge, email="meera@EXAMPLE.in"), 409, "EMAIL_TAKEN")
    assert await shop.counts(db) == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b.c\0d"}, "email"),
        ({"name": " "}, "name"),
        ({"phone": "12"}, "phone"),
        ({"role": "admin"}, "role"),
    ],
)
async def test_a_sign_up_that_is_wrong_changes_nothing(
    edge: Edge, db: Database, changes: dict[str, Any], field: str
) -> None:
    before = await shop.counts(db)
    answer = await _sign_up(edge, **changes)
    body = refused(answer, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in body["errors"]] == [field]
    assert "short" not in answer.text.replace("shorter", "")
    assert await shop.counts(db) == before


async def test_wrong_password_and_unknown_user_are_alike(edge: Edge) -> None:
    await _sign_up(edge)
    wrong = refused(await _login(edge, password="another password"), 401, "LOGIN_FAILED")
    unknown = refused(await _login(edge, email="nobody@example.in"), 401, "LOGIN_FAILED")
    assert {**wrong, "instance": ""} == {**unknown, "instance": ""}


def test_an_unknown_user_takes_as_long() -> None:
    stored = hash_password("a long password")

    def seconds(whose: str | None) -> float:
        since = time.process_time()
        for _ in range(5):
            assert not password_fits(whose, "another password")
        return time.process_time() - since

    seconds(stored)
    assert seconds(None) == pytest.approx(seconds(stored), rel=0.5)


def test_the_same_letters_typed_differently_are_one_password() -> None:
    assert password_fits(hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")


async def test_a_blocked_user_gets_in_by_no_door(edge: Edge, db: Database) -> None:
    await _sign_up(edge)
    session = (await _login(edge)).json()
    async with db.unit_of_work() as unit:
        await unit.execute(
            text("UPDATE users SET status = 'BLOCKED' WHERE email = 'meera@example.in'")
        )
    refused(await _login(edge), 403, "ACCOUNT_BLOCKED")
    refused(await _login(edge, password="another password"), 401, "LOGIN_FAILED")
    refused(await _refresh(edge, session["refresh_token"]), 403, "ACCOUNT_BLOCKED")


async def test_refresh_tokens_rotate_and_are_stored_as_hashes(edge: Edge, db: Database) -> None:
    await _sign_up(edge)
    first = (await _login(edge)).json()["refresh_token"]
    second = (await _refresh(edge, first)).json()["refresh_token"]
    third = await _refresh(edge, second)
    assert third.status_code == 200
    assert len({first, second, third.json()["refresh_token"]}) == 3
    stored = str(await shop.rows(db, "SELECT * FROM refresh_tokens"))
    assert first not in stored
    assert second not in stored


async def test_a_token_that_comes_twice_ends_the_session(edge: Edge) -> None:
    await _sign_up(edge)
    first = (await _login(edge)).json()["refresh_token"]
    other_session = (await _login(edge)).json()["refresh_token"]
    second = (await _refresh(edge, first)).json()["refresh_token"]
    refused(await _refresh(edge, first), 401, "REFRESH_TOKEN_REUSED")
    refused(await _refresh(edge, second), 401, "REFRESH_TOKEN_INVALID")
    assert (await _refresh(edge, other_session)).status_code == 200


async def test_of_two_refreshes_at_once_one_wins(edge: Edge) -> None:
    await _sign_up(edge)
    token = (await _login(edge)).json()["refresh_token"]
    answers = await asyncio.gather(*(_refresh(edge, token) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_a_refresh_token_that_is_unknown_or_expired(edge: Edge) -> None:
    refused(await _refresh(edge, "nothing-of-ours"), 401, "REFRESH_TOKEN_INVALID")
    await _sign_up(edge)
    token = (await _login(edge)).json()["refresh_token"]
    edge.move_clock(timedelta(days=31))
    refused(await _refresh(edge, token), 401, "REFRESH_TOKEN_EXPIRED")


async def test_signing_out_ends_the_session_once_and_for_all(edge: Edge) -> None:
    await _sign_up(edge)
    token = (await _login(edge)).json()["refresh_token"]
    for _ in range(2):
        answer = await edge.http.post("/v1/auth/logout", json={"refresh_token": token})
        assert (answer.status_code, answer.content) == (204, b"")
    refused(await _refresh(edge, token), 401, "REFRESH_TOKEN_INVALID")


_ADDRESS = {
    "name": "Meera",
    "line1": "4 Park Street",
    "city": "Kolkata",
    "pincode": "700 016",
    "phone": "+919800000002",
}


async def test_an_addresss_state_follows_from_its_pin_code(edge: Edge) -> None:
    made = await edge.http.post("/v1/users/me/addresses", json=_ADDRESS, headers=edge.bearer())
    assert made.status_code == 201
    assert (made.json()["pincode"], made.json()["state_code"]) == ("700016", "19")
    listed = await edge.http.get("/v1/users/me/addresses", headers=edge.bearer())
    assert [each["id"] for each in listed.json()["items"]] == [shop.HOME, made.json()["id"]]


@pytest.mark.parametrize("pincode", ["012345", "12345", "1234567", "ABCDEF", "", "5600 01"])
async def test_a_wrong_pin_code_is_named(edge: Edge, db: Database, pincode: str) -> None:
    before = await shop.counts(db)
    body = {**_ADDRESS, "pincode": pincode}
    answer = await edge.http.post("/v1/users/me/addresses", json=body, headers=edge.bearer())
    assert repr(pincode) in refused(answer, 422, "INVALID_PINCODE")["detail"]
    assert await shop.counts(db) == before


async def test_addresses_are_ones_own(edge: Edge) -> None:
    theirs = await edge.http.get("/v1/users/me/addresses", headers=edge.bearer(shop.ROHAN))
    assert [each["id"] for each in theirs.json()["items"]] == [shop.ELSEWHERE]
    refused(await edge.http.get("/v1/users/me/addresses"), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SELLER])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/sagas"),
        ("GET", "/v1/sagas/checkout:1"),
        ("GET", "/v1/sagas/checkout:1/history"),
        ("POST", "/v1/sagas/checkout:1/resolve"),
    ],
)
async def test_sagas_are_for_staff(edge: Edge, role: Role, method: str, path: str) -> None:
    body = {"step": "s", "action": "RETRY", "note": "n"} if method == "POST" else None
    answer = await edge.http.request(method, path, json=body, headers=edge.bearer(role=role))
    assert role.value in refused(answer, 403, "FORBIDDEN")["detail"]
    refused(await edge.http.request(method, path, json=body), 401, "UNAUTHENTICATED")


async def test_a_token_lives_for_fifteen_minutes(edge: Edge) -> None:
    issued = datetime.now(UTC) - timedelta(minutes=15, seconds=1)
    token = edge.services.tokens.issue(shop.ASHA, Role.CUSTOMER, issued)
    bearer = {"Authorization": f"Bearer {token}"}
    refused(await edge.http.get("/v1/users/me", headers=bearer), 401, "TOKEN_EXPIRED")
