"""Users, addresses and rotating refresh tokens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import AlreadyRecorded, NotFound, constraint_of
from db.ids import new_ulid
from db.repositories import users
from db.repositories.users import NewUser, Rotation, RotationOutcome
from db.session import Database
from db.vocabulary import Role, UserStatus
from tests.integration.db import shop

NOW = datetime.now(UTC)
WEEK = timedelta(days=7)


async def test_an_email_has_one_user_whatever_its_case(shop_db: Database) -> None:
    async with shop_db.unit_of_work() as session:
        found = await users.by_email(session, "ASHA@example.IN")
        assert found is not None
        assert (found.id, found.email, found.role) == ("asha", "asha@example.in", Role.CUSTOMER)
        assert found.status is UserStatus.ACTIVE
        assert await users.get(session, "asha") == found
        assert "argon2" not in repr(found)
        twin = NewUser(
            id=new_ulid(), email="asha@EXAMPLE.in", phone=None, name="Asha", password_hash="x"
        )
        with pytest.raises(AlreadyRecorded, match=r"asha@example\.in"):
            await users.add(session, twin)
        assert await users.by_email(session, "nobody@example.in") is None
        with pytest.raises(NotFound):
            await users.get(session, "nobody")
    assert await shop.rows(shop_db, "SELECT count(*) FROM users") == [(1,)]


async def test_an_address_is_its_owners(shop_db: Database) -> None:
    async with shop_db.reading() as session:
        home = await users.address(session, "asha", "home")
        assert (home.pincode, home.state_code, home.city) == ("560001", "29", "Bengaluru")
        assert await users.addresses(session, "asha") == (home,)
        assert await users.addresses(session, "ravi") == ()
        with pytest.raises(NotFound, match="'home'"):
            await users.address(session, "ravi", "home")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE addresses SET pincode = '56001'", "ck_addresses_pincode"),
        ("UPDATE addresses SET pincode = '056001'", "ck_addresses_pincode"),
        ("UPDATE addresses SET state_code = 'KA'", "ck_addresses_state_code"),
        ("UPDATE users SET email = 'Asha@example.in'", "ck_users_email_lower"),
        ("UPDATE users SET role = 'king'", "ck_users_role"),
    ],
)
async def test_the_database_refuses(shop_db: Database, statement: str, constraint: str) -> None:
    with pytest.raises(DBAPIError) as refusal:
        await shop.run(shop_db, statement)
    assert constraint_of(refusal.value) == constraint


async def issue(db: Database, token: str, *, expires_at: datetime = NOW + WEEK) -> None:
    async with db.unit_of_work() as session:
        await users.issue_token(
            session,
            token_id=new_ulid(),
            user_id="asha",
            family_id="family",
            token_hash=token,
            expires_at=expires_at,
        )


async def rotate(db: Database, token: str, following: str) -> Rotation:
    async with db.unit_of_work() as session:
        return await users.rotate_token(
            session,
            token,
            token_id=new_ulid(),
            token_hash=following,
            expires_at=NOW + WEEK,
            now=NOW,
        )


async def test_tokens_rotate_and_a_copy_ends_the_family(shop_db: Database) -> None:
    await issue(shop_db, "t1")
    assert await rotate(shop_db, "t1", "t2") == Rotation(RotationOutcome.ROTATED, "asha")
    assert await rotate(shop_db, "t2", "t3") == Rotation(RotationOutcome.ROTATED, "asha")

    assert await rotate(shop_db, "t1", "stolen") == Rotation(RotationOutcome.REUSED, "asha")

    assert await rotate(shop_db, "t3", "t4") == Rotation(RotationOutcome.REVOKED, "asha")
    hashes = "SELECT token_hash FROM refresh_tokens WHERE revoked_at IS NOT NULL ORDER BY 1"
    assert await shop.rows(shop_db, hashes) == [("t1",), ("t2",), ("t3",)]
    assert await shop.rows(shop_db, "SELECT count(*) FROM refresh_tokens") == [(3,)]


async def test_one_of_two_rotations_at_once_wins(shop_db: Database) -> None:
    await issue(shop_db, "t1")
    rotations = await asyncio.gather(*(rotate(shop_db, "t1", f"n{n}") for n in range(5)))
    outcomes = [rotation.outcome for rotation in rotations]
    assert outcomes.count(RotationOutcome.ROTATED) == 1
    assert await shop.rows(shop_db, "SELECT count(*) FROM refresh_tokens") == [(2,)]


async def test_old_unknown_and_signed_out_tokens_let_nobody_in(shop_db: Database) -> None:
    await issue(shop_db, "old", expires_at=NOW)
    assert await rotate(shop_db, "old", "x") == Rotation(RotationOutcome.EXPIRED, "asha")
    assert await rotate(shop_db, "never issued", "x") == Rotation(RotationOutcome.UNKNOWN, None)
    await issue(shop_db, "t1")
    async with shop_db.unit_of_work() as session:
        assert await users.revoke_family(session, "t1", now=NOW) is True
        assert await users.revoke_family(session, "never issued", now=NOW) is False
    assert await rotate(shop_db, "t1", "x") == Rotation(RotationOutcome.REVOKED, "asha")
    assert await shop.rows(shop_db, "SELECT count(*) FROM refresh_tokens") == [(2,)]
