"""Whether a stack is at rest: nothing at work, nothing on its way between its parts."""

from dataclasses import asdict, dataclass
from typing import Final

import httpx

from db.sql import fetch, sql
from stack.invariants.evidence import Connections

AT_WORK: Final = "ExecutionStatus = 'Running' AND SagaState IN ('RUNNING', 'COMPENSATING')"
# A checkout whose payment waits on its customer, or on a person, waits with it.
DELEGATES: Final = """saga.state = 'RUNNING' AND EXISTS (
    SELECT FROM sagas AS payment WHERE payment.id = 'payment:' || saga.order_id
    AND payment.id <> saga.id AND payment.state IN ('WAITING', 'PARKED'))"""
_SAGAS = sql(
    f"""
    SELECT count(*) FILTER (WHERE state IN ('RUNNING', 'COMPENSATING')
                            AND NOT ({DELEGATES})) AS at_work,
           count(*) FILTER (WHERE {DELEGATES}) AS delegating,
           count(*) FILTER (WHERE state = 'WAITING') AS waiting,
           count(*) FILTER (WHERE state = 'PARKED') AS parked,
           (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS outbox,
           (SELECT count(*) FROM webhook_inbox WHERE delivered_at IS NULL) AS inbox
    FROM sagas AS saga WHERE ended_at IS NULL
    """  # noqa: S608 - a condition of this module
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is still to be done: sagas, events, webhooks, and what the PSPs have in hand."""

    at_work: int
    waiting: int
    parked: int
    outbox: int
    inbox: int
    at_psps: int

    @property
    def reached(self) -> bool:
        """Whether nothing moves; sagas that wait on something, or on a person, do not."""
        return not (self.at_work or self.outbox or self.inbox or self.at_psps)

    def words(self) -> str:
        """What is left, in one line."""
        names = {
            "at_work": "sagas at work",
            "waiting": "sagas waiting",
            "parked": "sagas parked",
            "outbox": "events to publish",
            "inbox": "webhooks to deliver",
            "at_psps": "things in hand at the PSPs",
        }
        left = [f"{count} {names[name]}" for name, count in asdict(self).items() if count]
        return ", ".join(left) or "nothing left to do"


async def look(at: Connections) -> Rest:
    """Look once; raises what a lost part raises."""
    async with at.database.reading() as session:
        row = dict((await fetch(session, _SAGAS))[0])
    # a saga that has just begun is on Temporal's list before it is on ours
    by_temporal = (await at.temporal.count_workflows(AT_WORK)).count - row.pop("delegating")
    row["at_work"] = max(row["at_work"], by_temporal)
    return Rest(**row, at_psps=sum([await _in_hand(at.http, url) for url in at.psps.values()]))


async def _in_hand(http: httpx.AsyncClient, url: str) -> int:
    answer = await http.post(f"{url}/_sandbox/quiesce")
    answer.raise_for_status()
    return int(answer.json()["pending"])
