"""What a checkout leaves in Temporal: events, activities and turns of its two sagas."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from workflows.contracts.ids import checkout_id, payment_id

_LOCAL = "core_local_activity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Means per checkout, the payment saga with it."""

    history_events: float
    activities: float
    local_activities: float
    workflow_tasks: float
    bytes_of_history: float


async def footprint(client: Client, order_ids: Sequence[str]) -> Footprint:
    """Read the histories of these orders' sagas and take the mean."""
    counts: Counter[str] = Counter()
    for order_id in order_ids:
        for saga_id in (checkout_id(order_id), payment_id(order_id)):
            counts.update(await _counted(client, saga_id))
    return Footprint(**{name: counts[name] / len(order_ids) for name in Footprint.__slots__})


def as_json(found: Footprint) -> dict[str, float]:
    """The means, rounded."""
    return {name: round(value, 1) for name, value in asdict(found).items()}


async def _counted(client: Client, saga_id: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    async for event in client.get_workflow_handle(saga_id).fetch_history_events():
        counts["history_events"] += 1
        counts["bytes_of_history"] += event.ByteSize()
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                counts["activities"] += 1
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                counts["workflow_tasks"] += 1
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                counts["local_activities"] += (
                    event.marker_recorded_event_attributes.marker_name == _LOCAL
                )
    return counts
