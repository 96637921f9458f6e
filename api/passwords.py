"""Passwords: hashed with argon2id, off the event loop, at the same cost for unknown users."""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_DECOY = _HASHER.hash("the password of nobody")


def hash_password(password: str) -> str:
    """The argon2id hash to store, blocking for some 20 ms."""
    return _HASHER.hash(_normal(password))


def password_fits(stored: str | None, password: str) -> bool:
    """Tell whether a password is the stored one's; None takes as long, and never fits."""
    try:
        return _HASHER.verify(stored or _DECOY, _normal(password)) and stored is not None
    except (Argon2Error, InvalidHashError):
        return False


def _normal(password: str) -> str:
    # the same letters typed on two keyboards can be two sequences of code points
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """Hashes and checks in threads of its own, so that sign-ins cannot starve other work."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")

    async def hash(self, password: str) -> str:
        """The hash to store."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, hash_password, password)

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether the password is right; `stored` is None where there is no such user."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, password_fits, stored, password)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
