"""Make a saga's database step take effect exactly once, and never after its undo."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from db.errors import StepUndone
from db.repositories import steps
from db.repositories.steps import Undoing
from db.session import Database
from domain.errors import DomainError
from saga import Call, StepFailed

T = TypeVar("T", bound=BaseModel)


async def once(
    database: Database,
    call: Call,
    returns: type[T],
    effect: Callable[[AsyncSession], Awaitable[T]],
) -> T:
    """Run `effect` in one transaction under the call's key; a replay gets the first answer.

    Raises StepFailed when the step was undone before, or when a rule of the domain refuses it.
    """
    async with _as_step(database) as session:
        claim = await steps.begin(session, call.key, saga_id=call.saga_id, step=call.step)
        if claim.done:
            return returns.model_validate(claim.result)
        answer = await effect(session)
        await steps.finish(session, call.key, answer.model_dump(mode="json"))
        return answer


async def once_only(
    database: Database, call: Call, effect: Callable[[AsyncSession], Awaitable[None]]
) -> None:
    """Like `once`, for a step without an answer."""
    async with _as_step(database) as session:
        claim = await steps.begin(session, call.key, saga_id=call.saga_id, step=call.step)
        if not claim.done:
            await effect(session)


@asynccontextmanager
async def _as_step(database: Database) -> AsyncIterator[AsyncSession]:
    try:
        async with database.unit_of_work() as session:
            yield session
    except StepUndone as late:
        raise StepFailed("UNDONE_BEFORE", str(late)) from late
    except DomainError as refused:
        raise StepFailed(refused.code, refused.message) from refused


async def take_back(
    database: Database, call: Call, effect: Callable[[AsyncSession, Undoing], Awaitable[None]]
) -> None:
    """Undo the step of `call.do_key` in one transaction, or forbid it if it has yet to come.

    `effect` runs only when the step had happened and was not undone before.
    """
    async with database.unit_of_work() as session:
        undoing = await steps.undo(session, call.do_key, saga_id=call.saga_id, step=call.step)
        if undoing.happened and not undoing.again:
            await effect(session, undoing)
