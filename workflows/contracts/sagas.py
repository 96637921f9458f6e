"""Projecting what sagas do, for lists and for support."""

from datetime import timedelta

from saga import Recording, activity_ref

RECORD = activity_ref(
    "sagas.record",
    Recording,
    None,
    local=True,
    start_to_close=timedelta(seconds=5),
    schedule_to_close=timedelta(seconds=30),
)
