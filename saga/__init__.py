"""Durable sagas on Temporal: steps, undo, one point of no return, and people for the rest.

Knows Temporal, knows no business. See README.md for an example and the guarantees.
"""

from saga.base import CancelRequest, CancelVerdict, SagaWorkflow
from saga.calls import send
from saga.keys import key_for
from saga.log import ORDER_ID, SAGA_KIND, SAGA_STATE, search_attributes
from saga.outcomes import (
    Inquiry,
    OutcomeUnknown,
    Refused,
    RolledBack,
    SagaMisuse,
    StepFailed,
    Verdict,
)
from saga.parking import Action, Resolution, Resolved
from saga.refs import (
    ActivityRef,
    Call,
    NothingToUndo,
    Undo,
    WorkflowRef,
    activity_ref,
    implements,
)
from saga.saga import DEFAULT_LADDER, Saga
from saga.timeline import Event, EventKind, ParkedStep, Recording, SagaState, TimelineView

__all__ = [
    "DEFAULT_LADDER",
    "ORDER_ID",
    "SAGA_KIND",
    "SAGA_STATE",
    "Action",
    "ActivityRef",
    "Call",
    "CancelRequest",
    "CancelVerdict",
    "Event",
    "EventKind",
    "Inquiry",
    "NothingToUndo",
    "OutcomeUnknown",
    "ParkedStep",
    "Recording",
    "Refused",
    "Resolution",
    "Resolved",
    "RolledBack",
    "Saga",
    "SagaMisuse",
    "SagaState",
    "SagaWorkflow",
    "StepFailed",
    "TimelineView",
    "Undo",
    "Verdict",
    "WorkflowRef",
    "activity_ref",
    "implements",
    "key_for",
    "search_attributes",
    "send",
]
