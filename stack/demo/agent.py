"""The shop's risk agent: looks at orders on hold, and lets every other one pass."""

import asyncio
from contextlib import suppress
from typing import Final

from db.repositories import users
from db.session import Database
from db.vocabulary import Role
from stack.demo.customers import Customer
from stack.demo.edge import GaveUp

LOOK_EVERY_S: Final = 0.7
STEP: Final = "review risk"


async def employ(agent: Customer, database: Database) -> None:
    """Sign the agent up and make it support, which nobody can do over HTTP."""
    await agent.arrive()
    async with database.unit_of_work() as session:
        await users.grant(session, agent.email, Role.SUPPORT)
    await agent.sign_in()


async def review(agent: Customer) -> None:
    """Answer for orders on hold until cancelled; those left alone run into their time limit."""
    seen: set[str] = set()
    while True:
        # An agent who cannot reach the shop looks again later.
        with suppress(GaveUp):
            answer = await agent.call("GET", "/v1/sagas", state="WAITING", kind="checkout")
            waiting = answer.json()["items"] if answer.status_code == 200 else []
            for saga in waiting:
                if STEP in saga["waiting_on"] and saga["id"] not in seen:
                    seen.add(saga["id"])
                    if len(seen) % 2:
                        await _accept(agent, saga["id"])
        await asyncio.sleep(LOOK_EVERY_S)


async def _accept(agent: Customer, saga_id: str) -> None:
    answer = {"step": STEP, "action": "ACCEPT", "note": "I called the customer: all is well"}
    await agent.call("POST", f"/v1/sagas/{saga_id}/resolve", json=answer)
