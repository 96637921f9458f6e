"""Idempotency keys: the first answer under a key is kept, and given again."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
from starlette.requests import Request

from sandbox.psp.books import Books
from sandbox.psp.edge import Answer, BadField

HEADER = "Idempotency-Key"
LONGEST = 255


class KeyInUse(Exception):
    """A request under this key is still running."""


class KeyMismatch(Exception):
    """The key was used with other parameters."""


async def fingerprint(request: Request) -> str:
    """What must be the same in every request under one key: the path and the JSON body."""
    body = orjson.dumps(orjson.loads(await request.body()), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(request.url.path.encode() + b"\n" + body).hexdigest()


def key_of(request: Request) -> str | None:
    """The request's key, if it carries one; BadField where it is too long."""
    key = request.headers.get(HEADER)
    if key is not None and not 0 < len(key) <= LONGEST:
        raise BadField(HEADER, f"{HEADER} must be 1 to {LONGEST} characters")
    return key


class Keys:
    """The keys of one PSP, in its books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._in_flight: set[str] = set()

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Keep others out while a request under this key runs; raises KeyInUse."""
        if key in self._in_flight:
            raise KeyInUse(key)
        self._in_flight.add(key)
        try:
            yield
        finally:
            self._in_flight.discard(key)

    def once(self, key: str, used_for: str, act: Callable[[], Answer]) -> Answer:
        """Deed and kept answer in one transaction: a crash leaves both or neither.

        Raises KeyMismatch where the key was used for something else.
        """
        db = self._books.db
        with self._books.transaction():
            kept = db.execute("SELECT * FROM keys WHERE key = ?", (key,)).fetchone()
            if kept is None:
                answer = act()
                db.execute(
                    "INSERT INTO keys (key, fingerprint, status, body) VALUES (?, ?, ?, ?)",
                    (key, used_for, answer.status, orjson.dumps(answer.body)),
                )
                return answer
        if kept["fingerprint"] != used_for:
            raise KeyMismatch(key)
        return Answer(kept["status"], orjson.loads(kept["body"]), {"Idempotent-Replayed": "true"})
