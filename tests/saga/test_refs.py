"""References, keys, errors and exports: the engine without a server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

import saga
from saga import (
    ActivityRef,
    Call,
    NothingToUndo,
    OutcomeUnknown,
    RolledBack,
    StepFailed,
    Undo,
    activity_ref,
    implements,
    key_for,
)
from saga.outcomes import Failed, Unknown, classify
from tests.saga.contracts import DO, UNDO, Order, Receipt

# -- references ------------------------------------------------------------------------------


def test_nothing_to_undo_wants_a_reason() -> None:
    assert NothingToUndo("it only reads").why == "it only reads"
    for reason in ("", "  "):
        with pytest.raises(ValueError, match="say why there is nothing to undo"):
            NothingToUndo(reason)


def test_a_local_activity_has_no_queue_and_a_regular_one_must_have() -> None:
    with pytest.raises(ValueError, match="x: a local activity has no task queue of its own"):
        activity_ref("x", Order, Receipt, local=True, task_queue="q")
    with pytest.raises(ValueError, match="x: name the task queue, or say local=True"):
        activity_ref("x", Order, Receipt)


def test_an_activity_without_an_answer_returns_none() -> None:
    ref: ActivityRef[Order, None] = activity_ref("x", Order, None, task_queue="q")
    assert (ref.takes, ref.returns) == (Order, type(None))
    assert ref.start_to_close == timedelta(seconds=10)


def test_implements_registers_under_the_references_name() -> None:
    @implements(DO)
    async def do(order: Order, call: Call) -> Receipt:
        return Receipt(step=call.step, number=len(order.run))

    definition = activity._Definition.must_from_callable(do)
    assert definition.name == "test.do"


async def _takes_another(order: str, call: Call) -> Receipt: ...  # type: ignore[empty-body]
async def _returns_another(order: Order, call: Call) -> str: ...  # type: ignore[empty-body]
async def _lacks_the_call(order: Order) -> Receipt: ...  # type: ignore[empty-body]
async def _swaps(call: Call, order: Order) -> Receipt: ...  # type: ignore[empty-body]
async def _says_nothing(order, call): ...  # type: ignore[no-untyped-def]
async def _no_return(order: Order, call: Call): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "fn",
    [_takes_another, _returns_another, _lacks_the_call, _swaps, _says_nothing, _no_return],
)
def test_implements_refuses_another_signature(fn: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=f"{fn.__qualname__} takes .*; test.do wants "):
        implements(DO)(fn)


def test_an_undo_is_checked_down_to_its_parameters() -> None:
    async def undo(undo: Undo[Receipt, Order], call: Call) -> None: ...

    with pytest.raises(TypeError, match=r"test\.undo wants"):
        implements(UNDO)(undo)


# -- keys ------------------------------------------------------------------------------------


def test_a_key_is_a_uuid5_that_never_changes() -> None:
    key = key_for("checkout:01J", "authorise", "do", "alphapay")
    assert UUID(key).version == 5
    assert key == key_for("checkout:01J", "authorise", "do", "alphapay")
    # A change here would make every open saga's retry a second charge.
    assert key == "be427be1-58d1-5b8f-ab35-8810d2e8e258"


def test_keys_differ_by_every_part_and_by_where_the_parts_end() -> None:
    parts = [
        ("a", "b", "do", ""),
        ("a", "b", "undo", ""),
        ("a", "b", "inquire", ""),
        ("a", "b", "do", "x"),
        ("a", "c", "do", ""),
        ("c", "b", "do", ""),
        ("ab", "", "do", ""),
        ("", "ab", "do", ""),
        ("a", "bdo", "", ""),
    ]
    assert len({key_for(*each) for each in parts}) == len(parts)


# -- errors ----------------------------------------------------------------------------------


def _activity_error(cause: BaseException | None) -> ActivityError:
    error = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="test.do",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def _child_error(cause: BaseException) -> ChildWorkflowError:
    error = ChildWorkflowError(
        "failed",
        namespace="default",
        workflow_id="delegated:1",
        run_id="r",
        workflow_type="DelegatedSaga",
        initiated_event_id=1,
        started_event_id=2,
        retry_state=None,
    )
    error.__cause__ = cause
    return error


_TIMED_OUT = TemporalTimeoutError(
    "timed out", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[]
)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (_activity_error(StepFailed("NO_STOCK", "none left")), Failed("NO_STOCK", "none left")),
        (_child_error(RolledBack("CANCELLED", "by you")), Failed("CANCELLED", "by you")),
        (StepFailed("NO_STOCK", "none left", "book"), Failed("NO_STOCK", "none left")),
        (_activity_error(OutcomeUnknown("5XX", "oops")), Unknown("5XX", "oops")),
        (_activity_error(ApplicationError("b", type="KeyError")), Unknown("KeyError", "b")),
        (_activity_error(ApplicationError("b")), Unknown("ERROR", "b")),
        (_child_error(ApplicationError("b", "X", type="Y")), Unknown("Y", "b")),
        (_activity_error(_TIMED_OUT), Unknown("TIMEOUT_HEARTBEAT", "no answer in time")),
        (
            _activity_error(CancelledError("gone")),
            Unknown("CANCELLEDERROR", "the attempt was cut off"),
        ),
        (
            WorkflowAlreadyStartedError("delegated:1", "DelegatedSaga"),
            Unknown("ALREADY_STARTED", "a workflow with this ID exists already"),
        ),
    ],
)
def test_only_proof_counts_as_failed(error: BaseException, outcome: Failed | Unknown) -> None:
    assert classify(error) == outcome


def test_the_errors_of_activities_are_final() -> None:
    for error in (StepFailed("A", "b"), OutcomeUnknown("A", "b"), RolledBack("A", "b")):
        assert isinstance(error, FailureError)
        assert error.non_retryable
        assert (error.code, error.message) == ("A", "b")


# -- exports ---------------------------------------------------------------------------------


def test_every_exported_name_is_there_and_documented() -> None:
    assert saga.__all__ == sorted(saga.__all__, key=_constants_classes_functions)
    for name in saga.__all__:
        exported = getattr(saga, name)
        if callable(exported):
            assert exported.__doc__, name


def test_everything_public_is_exported() -> None:
    own = {
        name
        for name, thing in vars(saga).items()
        if getattr(thing, "__module__", "").startswith("saga.") and not name.startswith("_")
    }
    assert own <= set(saga.__all__)


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name
