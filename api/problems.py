"""Errors as application/problem+json: raised anywhere as `Problem`, declared in OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.responses import Response

from api.codes import CODES, code_of

MEDIA_TYPE = "application/problem+json"
SCHEMA_NAME = "Problem"
SCHEMA: dict[str, Any] = {
    "title": SCHEMA_NAME,
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "A URN made of the code."},
        "title": {"type": "string", "description": "What is wrong, the same for each code."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "code": {"type": "string", "description": "Stable; programs decide by it."},
        "detail": {"type": "string", "description": "What is wrong here, and the remedy."},
        "instance": {"type": "string", "description": "The id of the request, for support."},
        "order_id": {"type": "string", "description": "The order, where one was made."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


class Problem(Exception):
    """An answer that is not what the caller hoped for.

    `members` are added to the body, such as `order_id` or `errors`. The HTTP status and the title
    come from the code's row in `api.codes`.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        meaning = code_of(code)
        super().__init__(code)
        self.code = code
        self.status = meaning.status
        self.title = meaning.title
        self.detail = detail or meaning.sentence
        self.members = members
        self.headers = dict(headers or {})
        if meaning.retry_after is not None:
            self.headers.setdefault("Retry-After", str(meaning.retry_after))
        if meaning.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    def body(self, instance: str = "") -> dict[str, Any]:
        """The problem's document; `instance` is the id of the request."""
        return {
            "type": f"urn:sagakart:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance and f"urn:sagakart:request:{instance}",
            **self.members,
        }

    def response(self, instance: str = "") -> Response:
        """The problem as an HTTP answer."""
        return Response(
            orjson.dumps(self.body(instance)), self.status, self.headers, media_type=MEDIA_TYPE
        )


# What any request can meet; with a body, and with a caller who must be known.
_ALWAYS = ("VALIDATION_FAILED", "RATE_LIMITED", "INTERNAL", "TEMPORARILY_UNAVAILABLE")
WITH_BODY = ("MALFORMED_JSON", "UNSUPPORTED_MEDIA_TYPE", "BODY_TOO_LARGE")
SIGNED_IN = ("UNAUTHENTICATED", "TOKEN_INVALID", "TOKEN_EXPIRED")


Responses = dict[int | str, dict[str, Any]]


def problems(*codes: str, also: Responses | None = None) -> Responses:
    """The OpenAPI `responses` of a route that may answer with these codes, and `also` so."""
    by_status: dict[int | str, list[str]] = {}
    for code in dict.fromkeys((*codes, *_ALWAYS)):
        by_status.setdefault(CODES[code].status, []).append(code)
    described = {status: _described(names) for status, names in sorted(by_status.items(), key=str)}
    return {**(also or {}), **described}


def _described(codes: Iterable[str]) -> dict[str, Any]:
    bodies = {code: Problem(code).body("01J0000000000000000000000A") for code in codes}
    return {
        "description": "; ".join(f"{code}: {body['title']}" for code, body in bodies.items()),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{SCHEMA_NAME}"},
                "examples": {code: {"value": body} for code, body in bodies.items()},
            }
        },
    }
