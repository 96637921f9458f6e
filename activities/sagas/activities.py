"""Project a saga's timeline into PostgreSQL."""

from db.repositories import sagas
from db.repositories.sagas import SagaEventRecord, SagaProgress
from db.session import Database
from db.vocabulary import SagaState
from saga import Call, Recording, implements
from workflows.contracts import sagas as contract


class SagaActivities:
    """The lists that support reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @implements(contract.RECORD)
    async def record(self, recording: Recording, call: Call) -> None:
        """Add a batch of events and bring the saga's row up to date; a second time is the same."""
        progress = SagaProgress(
            saga_id=recording.saga_id,
            kind=recording.kind,
            state=SagaState(recording.state),
            events=[SagaEventRecord(**event.model_dump()) for event in recording.events],
            order_id=recording.subject or None,
            customer_id=recording.owner or None,
            waiting_on=recording.waiting_on,
            parked_step=recording.parked_step or None,
            parked_code=recording.parked_code or None,
        )
        async with self._database.unit_of_work() as session:
            await sagas.record(session, progress)
