"""Idempotency keys: the same for every retry of a step, different for everything else."""

from uuid import UUID, uuid5

_NAMESPACE = UUID("6f0c3c0a-8a53-4f0e-9a3e-5b1f6f1d2c77")
_SEPARATOR = "\x1f"


def key_for(saga_id: str, step: str, doing: str, scope: str = "") -> str:
    """Return the key of one outward call.

    `doing` is "do", "undo" or "inquire". `scope` is the provider or instrument the call goes to;
    never Temporal's attempt or run id, which change on a retry or a reset.
    """
    return str(uuid5(_NAMESPACE, _SEPARATOR.join((saga_id, step, doing, scope))))
