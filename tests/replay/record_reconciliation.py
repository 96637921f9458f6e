"""Save the histories of reconciliation anew: `python -m tests.replay.record_reconciliation`.

As with those of `tests.replay.record`: only when a change is meant to break sagas under way.
"""

from __future__ import annotations

import asyncio

from tests.integration.reconciliation.stage import open_stage
from tests.replay.paths import RECONCILED
from tests.replay.record import FOLDER
from tests.support import histories


async def main() -> None:
    """Play each story on servers of its own, and save what it is to show."""
    async with open_stage() as stage:
        for story in dict.fromkeys(story for story, _ in RECONCILED.values()):
            await stage.empty()
            await story(stage=stage)
        for name, (_, shown) in RECONCILED.items():
            handle = stage.client.get_workflow_handle(stage.stories[f"{shown}.{name}"])
            print(f"saved {await histories.save(handle, FOLDER, name)}")


if __name__ == "__main__":
    asyncio.run(main())
