"""Temporal's events as readable JSON, a page at a time."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from api.engine import HistoryPage

# tokens of payment instruments are nobody's business, not even support's
_HIDDEN: Final = frozenset({"instrument", "device_id"})
_LONGEST: Final = 20_000


async def page_of_history(
    client: Client, saga_id: str, size: int, token: bytes, patience: timedelta
) -> HistoryPage:
    """One page of a workflow's history; raises RPCError."""
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=saga_id),
            maximum_page_size=size,
            next_page_token=token,
        ),
        retry=True,
        timeout=patience,
    )
    return HistoryPage([readable(event) for event in answer.history.events], answer.next_page_token)


def readable(event: HistoryEvent) -> dict[str, Any]:
    """One event: its number, time (UTC), type, and attributes with their payloads decoded."""
    kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    attributes = event.WhichOneof("attributes")
    told = MessageToDict(getattr(event, attributes)) if attributes else {}
    return {
        "id": event.event_id,
        "at": event.event_time.ToJsonString(),
        "type": kind,
        "details": _decoded(told),
    }


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "metadata" in value and set(value) <= {"metadata", "data", "externalPayloads"}:
        return _payload(value)
    if set(value) == {"payloads"}:
        return [_decoded(each) for each in value["payloads"]]
    return {name: _decoded(each) for name, each in value.items()}


def _payload(payload: dict[str, Any]) -> Any:
    data = _bytes(payload.get("data", ""))
    encoding = _bytes(payload["metadata"].get("encoding", "")).decode(errors="replace")
    if encoding == "binary/null":
        return None
    if not encoding.startswith("json/") or len(data) > _LONGEST:
        return f"<{len(data)} bytes, {encoding or 'of unknown encoding'}>"
    try:
        return _hidden(orjson.loads(data))
    except orjson.JSONDecodeError:
        return f"<{len(data)} bytes, not the JSON they should be>"


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        return {
            name: "(hidden)" if name in _HIDDEN and each else _hidden(each)
            for name, each in value.items()
        }
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""
