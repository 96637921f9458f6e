"""What a saga may call: activities and child workflows, named by typed references."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.common import RetryPolicy

In = TypeVar("In")
Out = TypeVar("Out")

_QUICK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=2),
)


class Call(BaseModel):
    """Who calls, and the key that makes the call idempotent.

    `key` is the same for every retry, reset and continue-as-new of this step. `do_key` is the key
    of the action itself: equal to `key` for an action, the undone action's key for an undo, and
    the asked-about action's key for an inquiry.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    do_key: str
    saga_id: str
    step: str


class Undo(BaseModel, Generic[In, Out]):
    """What an undo gets: the action's input, its output (None if no answer was seen), and why."""

    model_config = ConfigDict(frozen=True)

    input: In
    output: Out | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRef(Generic[In, Out]):
    """An activity by name, with everything needed to call it and nothing of how it works.

    Times are per the Temporal terms: `start_to_close` bounds one attempt, `schedule_to_close` all
    of them together. A `local` activity runs inside the workflow worker: use it for one short
    database transaction, never for a call to another company.
    """

    name: str
    takes: Any
    returns: Any
    task_queue: str | None = None
    local: bool = False
    start_to_close: timedelta = timedelta(seconds=10)
    schedule_to_close: timedelta = timedelta(seconds=60)
    heartbeat: timedelta | None = None
    retry: RetryPolicy = field(default_factory=lambda: _QUICK_RETRY)

    def __post_init__(self) -> None:
        if self.local and self.task_queue:
            raise ValueError(f"{self.name}: a local activity has no task queue of its own")
        if not self.local and not self.task_queue:
            raise ValueError(f"{self.name}: name the task queue, or say local=True")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRef(Generic[In, Out]):
    """A child workflow as a step: `id_of` makes its ID from its input, the same one each time."""

    name: str
    takes: Any
    returns: Any
    id_of: Callable[[In], str]
    kind: str
    task_queue: str | None = None


@dataclass(frozen=True, slots=True)
class NothingToUndo:
    """Says, where an undo is asked for, that this step leaves nothing behind, and why."""

    why: str

    def __post_init__(self) -> None:
        if not self.why.strip():
            raise ValueError("say why there is nothing to undo")


@overload
def activity_ref(
    name: str, takes: type[In], returns: None, **options: Any
) -> ActivityRef[In, None]: ...
@overload
def activity_ref(
    name: str, takes: type[In], returns: type[Out], **options: Any
) -> ActivityRef[In, Out]: ...
def activity_ref(name: str, takes: Any, returns: Any, **options: Any) -> ActivityRef[Any, Any]:
    """Make an `ActivityRef` whose type parameters follow from `takes` and `returns`."""
    return ActivityRef(name=name, takes=takes, returns=returns or type(None), **options)


def implements(
    ref: ActivityRef[In, Out],
) -> Callable[[Callable[..., Coroutine[Any, Any, Out]]], Callable[..., Coroutine[Any, Any, Out]]]:
    """Register an async function `(input, call)` as the activity that `ref` names.

    Raises TypeError when the function's annotations are not those of the reference, at import:
    a mismatch found later would be a payload that no worker can read.
    """

    def register(
        fn: Callable[..., Coroutine[Any, Any, Out]],
    ) -> Callable[..., Coroutine[Any, Any, Out]]:
        hints = get_type_hints(fn)
        returns = hints.pop("return", None)
        wanted = [ref.takes, Call]
        if list(hints.values()) != wanted or returns != ref.returns:
            raise TypeError(
                f"{fn.__qualname__} takes {list(hints.values())} and returns {returns}; "
                f"{ref.name} wants {wanted} and {ref.returns}"
            )
        return activity.defn(name=ref.name)(fn)

    return register
