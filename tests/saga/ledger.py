"""The outside world of the tests: effects by idempotency key, and every call that arrived."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from saga import Call, Event, Recording

_SCHEMA = """
CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, run TEXT, step TEXT, state TEXT);
CREATE TABLE IF NOT EXISTS calls (
    n INTEGER PRIMARY KEY, run TEXT, step TEXT, doing TEXT, key TEXT, do_key TEXT, saga TEXT);
CREATE TABLE IF NOT EXISTS told (run TEXT, step TEXT, output TEXT, code TEXT, message TEXT);
CREATE TABLE IF NOT EXISTS flags (run TEXT, flag TEXT, PRIMARY KEY (run, flag));
CREATE TABLE IF NOT EXISTS batches (n INTEGER PRIMARY KEY, saga TEXT, batch TEXT);
CREATE TABLE IF NOT EXISTS events (saga TEXT, seq INTEGER, event TEXT, PRIMARY KEY (saga, seq));
CREATE INDEX IF NOT EXISTS calls_by_run ON calls (run);
CREATE INDEX IF NOT EXISTS effects_by_run ON effects (run);
"""
EVERY_RUN = "*"
KEPT, UNDONE, NEVER = "kept", "undone", "never"


class Ledger:
    """Effects, calls and records in one SQLite file (or in memory), shared by processes.

    An effect is KEPT, UNDONE, or NEVER happened and was forbidden by an undo that came first.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=20)
        self._db.execute("PRAGMA synchronous=OFF")
        if path != ":memory:":
            self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- what the activities do --------------------------------------------------------------

    def called(self, run: str, doing: str, call: Call) -> int:
        """Write down a call; returns how many of its kind there were, this one included."""
        self._db.execute(
            "INSERT INTO calls (run, step, doing, key, do_key, saga) VALUES (?, ?, ?, ?, ?, ?)",
            (run, call.step, doing, call.key, call.do_key, call.saga_id),
        )
        return self.calls(run)[call.step, doing]

    def do(self, run: str, step: str, key: str) -> bool:
        """Take effect once under this key; False when an undo was here first."""
        self._db.execute(
            "INSERT OR IGNORE INTO effects VALUES (?, ?, ?, ?)", (key, run, step, KEPT)
        )
        return self._state(key) != NEVER

    def undo(self, run: str, step: str, do_key: str) -> None:
        """Take the effect back, or forbid it where it has not happened."""
        self._db.execute(
            "INSERT OR IGNORE INTO effects VALUES (?, ?, ?, ?)", (do_key, run, step, NEVER)
        )
        self._db.execute(
            "UPDATE effects SET state = ? WHERE key = ? AND state = ?", (UNDONE, do_key, KEPT)
        )

    def tell(self, run: str, call: Call, output: object, code: str, message: str) -> None:
        """Keep what an undo was told of its action and of the reason."""
        self._db.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?, ?)",
            (run, call.step, repr(output), code, message),
        )

    def happened(self, do_key: str) -> bool:
        """Whether the effect stands under this key."""
        return self._state(do_key) == KEPT

    def key_of(self, run: str, step: str) -> str | None:
        """The key under which another saga did this step for us, if it did."""
        row = self._db.execute(
            "SELECT key FROM effects WHERE run = ? AND step = ?", (run, step)
        ).fetchone()
        return row and str(row[0])

    def record(self, batch: Recording) -> None:
        """Keep a batch, and its events once each."""
        self._db.execute(
            "INSERT INTO batches (saga, batch) VALUES (?, ?)",
            (batch.saga_id, batch.model_dump_json()),
        )
        for event in batch.events:
            self._db.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?)",
                (batch.saga_id, event.seq, event.model_dump_json()),
            )

    def allows(self, run: str, flag: str) -> bool:
        """Whether a test has set this flag."""
        found = self._db.execute("SELECT 1 FROM flags WHERE run = ? AND flag = ?", (run, flag))
        return found.fetchone() is not None

    # -- what the tests do and see -----------------------------------------------------------

    def allow(self, run: str, flag: str) -> None:
        """Set a flag: "go" opens the gate of a step that waits, others heal what fails."""
        self._db.execute("INSERT OR IGNORE INTO flags VALUES (?, ?)", (run, flag))

    def effects(self, run: str) -> dict[str, str]:
        """The state of each step's effect; two effects of one step read like "kept+undone"."""
        states: dict[str, list[str]] = {}
        rows = self._db.execute(
            "SELECT step, state FROM effects WHERE run = ? ORDER BY state", (run,)
        )
        for step, state in rows:
            states.setdefault(step, []).append(state)
        return {step: "+".join(found) for step, found in states.items()}

    def calls(self, run: str) -> Counter[tuple[str, str]]:
        """How often each (step, do / undo / inquire) was called."""
        with closing(
            self._db.execute(
                "SELECT step, doing, count(*) FROM calls WHERE run = ? AND doing <> 'record'"
                " GROUP BY 1, 2",
                (run,),
            )
        ) as rows:
            return Counter({(step, doing): n for step, doing, n in rows})

    def keys(self, run: str) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """The (key, do_key) pairs that each (step, do / undo / inquire) was called under."""
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        rows = self._db.execute(
            "SELECT step, doing, key, do_key FROM calls WHERE run = ? AND doing <> 'record'", (run,)
        )
        for step, doing, key, do_key in rows:
            found.setdefault((step, doing), set()).add((key, do_key))
        return found

    def told(self, run: str) -> dict[str, tuple[str, str, str]]:
        """What each undo was told: the action's output, the code and the message."""
        rows = self._db.execute(
            "SELECT step, output, code, message FROM told WHERE run = ?", (run,)
        )
        return {step: (output, code, message) for step, output, code, message in rows}

    def order_of(self, run: str, doing: str) -> list[str]:
        """The steps in the order in which they were done, undone or asked about."""
        rows = self._db.execute(
            "SELECT step FROM calls WHERE run = ? AND doing = ? ORDER BY n", (run, doing)
        )
        return [step for (step,) in rows]

    def batches(self, saga: str) -> list[Recording]:
        """The batches that arrived, in order, repeats included."""
        rows = self._db.execute("SELECT batch FROM batches WHERE saga = ? ORDER BY n", (saga,))
        return [Recording.model_validate_json(batch) for (batch,) in rows]

    def recorded(self, saga: str) -> list[Event]:
        """The projected timeline."""
        rows = self._db.execute("SELECT event FROM events WHERE saga = ? ORDER BY rowid", (saga,))
        return [Event.model_validate_json(event) for (event,) in rows]

    async def until_called(self, run: str, step: str, doing: str = "do") -> None:
        """Wait until this call has arrived."""
        await eventually(lambda: self.calls(run)[step, doing] > 0, f"{doing} of {step} in {run}")

    def _state(self, key: str) -> str:
        row = self._db.execute("SELECT state FROM effects WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""


async def eventually(condition: Callable[[], bool], what: str, timeout: float = 40) -> None:
    """Poll for a fact outside; raises AssertionError that names it when it does not come."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not condition():
        assert loop.time() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)
