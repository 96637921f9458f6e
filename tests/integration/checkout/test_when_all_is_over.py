"""After all of it: the invariants, over everything that the other tests have left behind."""

from __future__ import annotations

import asyncio
from collections import Counter

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from tests.integration.checkout.books import psp_rows
from tests.integration.checkout.market import Market
from tests.integration.checkout.orders import PSPS
from tests.integration.db import shop

_RUNNING = "ExecutionStatus = 'Running'"
# watchers outlive their orders by design, and find nothing more
_TO_END = f"{_RUNNING} AND WorkflowType != 'LatePaymentWatch'"
_MONEY = """
    SELECT account, sum(amount_paise)::bigint FROM ledger_entries
    WHERE account LIKE 'psp:%' GROUP BY account
"""
_HELD = "SELECT order_id FROM reservations WHERE state = 'HELD'"


async def test_nothing_is_under_way(quiet: Market) -> None:
    async with asyncio.timeout(30):
        # the server tells nobody when a workflow ends
        while (await quiet.client.count_workflows(_TO_END)).count:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert await shop.rows(quiet.db, _HELD) == []


async def test_no_workflow_task_ever_failed(quiet: Market) -> None:
    """A bug in a saga's code fails its task, and is tried again and again."""
    failed = []
    kinds: Counter[str] = Counter()
    async for found in quiet.client.list_workflows():
        kinds[found.workflow_type] += 1
        handle = quiet.client.get_workflow_handle(found.id, run_id=found.run_id)
        history = await handle.fetch_history()
        if any(
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            for event in history.events
        ):
            failed.append(found.id)
        assert found.status in (
            WorkflowExecutionStatus.COMPLETED,
            WorkflowExecutionStatus.FAILED,
            WorkflowExecutionStatus.RUNNING,
        )
    assert failed == []
    assert set(kinds) >= {"CheckoutSaga", "PaymentSaga"}


async def test_our_books_and_theirs_agree_to_the_paisa(quiet: Market) -> None:
    ours = dict(await shop.rows(quiet.db, _MONEY))
    theirs = {}
    for psp in PSPS:
        rows = await psp_rows(quiet, psp)
        theirs[f"psp:{psp}"] = sum(
            row["captured"] - row["refunded"] - row["charged_back"] for row in rows
        )
    assert {account: kept for account, kept in theirs.items() if kept} == {
        account: kept for account, kept in ours.items() if kept
    }
    assert await shop.rows(quiet.db, "SELECT sum(amount_paise)::bigint FROM ledger_entries") in (
        [(0,)],
        [(None,)],
    )


async def test_every_level_is_the_sum_of_its_entries(quiet: Market) -> None:
    await shop.assert_levels_fold(quiet.db)
