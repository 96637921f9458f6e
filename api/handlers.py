"""Turns every error a route can raise into a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.codes import CODES
from api.problems import Problem
from db.errors import BadCursor
from domain.errors import DomainError

CARD_NUMBER = "card_number"

_BY_STATUS = {
    400: "MALFORMED_JSON",  # only the framework's body parser raises it
    404: "ROUTE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DomainError, _domain)
    app.add_exception_handler(BadCursor, _cursor)


def answer(request: Request, problem: Problem) -> Response:
    """A problem as the answer to a request."""
    return problem.response(request.state.request_id)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class
    return answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _BY_STATUS.get(error.status_code, "BAD_REQUEST")
    return answer(request, Problem(code, headers=error.headers))


async def _domain(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # noqa: S101
    code = error.code if error.code in CODES else "VALIDATION_FAILED"
    return answer(request, Problem(code, error.message))


async def _cursor(request: Request, error: Exception) -> Response:
    return answer(request, Problem("BAD_CURSOR"))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return answer(request, _explained(error.errors(), request.headers.get("content-type", "")))


def _explained(errors: Sequence[Any], content_type: str) -> Problem:
    kinds = {each["type"] for each in errors}
    if "json_invalid" in kinds:
        return Problem("MALFORMED_JSON")
    if CARD_NUMBER in kinds:
        return Problem("CARD_NUMBER_REFUSED")
    whole_body = any(tuple(each["loc"]) == ("body",) for each in errors)
    if whole_body and "json" not in content_type.lower():
        return Problem("UNSUPPORTED_MEDIA_TYPE")
    return Problem("VALIDATION_FAILED", errors=[_field(each) for each in errors])


def _field(error: Any) -> dict[str, str]:
    """Where it is and what is expected; never what was sent, which may be a secret."""
    place = [str(part)[:64] for part in error["loc"]]
    name = ".".join(place[1:]) or place[0]
    return {"field": name, "message": error["msg"].removeprefix("Value error, ")}
