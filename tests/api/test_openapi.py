"""The document says what every route may answer, and every code has its words."""

from __future__ import annotations

from typing import Any

import pytest

from api import create_app
from api.codes import CODES, code_of
from api.problems import MEDIA_TYPE
from tests.api.conftest import config

_DOCUMENT = create_app(config()).openapi()
_OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in _DOCUMENT["paths"].items()
    for method, operation in item.items()
}
_BUSINESS = [name for name in _OPERATIONS if "/v1/" in name]


def _codes(operation: dict[str, Any]) -> dict[str, set[str]]:
    return {
        status: set(answer["content"][MEDIA_TYPE]["examples"])
        for status, answer in operation["responses"].items()
        if MEDIA_TYPE in answer.get("content", {})
    }


def test_every_promised_route_is_there() -> None:
    assert set(_BUSINESS) == {
        "POST /v1/users",
        "GET /v1/users/me",
        "POST /v1/auth/login",
        "POST /v1/auth/refresh",
        "POST /v1/auth/logout",
        "GET /v1/users/me/addresses",
        "POST /v1/users/me/addresses",
        "GET /v1/users/me/instruments",
        "POST /v1/users/me/instruments",
        "DELETE /v1/users/me/instruments/{instrument_id}",
        "GET /v1/products",
        "GET /v1/products/{product_id}",
        "GET /v1/categories/tree",
        "GET /v1/inventory/availability",
        "POST /v1/orders",
        "GET /v1/orders",
        "GET /v1/orders/{order_id}",
        "GET /v1/orders/{order_id}/payment",
        "POST /v1/orders/{order_id}/cancel",
        "GET /v1/orders/{order_id}/refunds",
        "POST /v1/orders/{order_id}/refunds",
        "GET /v1/admin/payments/cash-limits",
        "POST /v1/admin/payments/cash-limits",
        "POST /v1/payments/webhook/{provider}",
        "GET /v1/sagas",
        "GET /v1/sagas/{saga_id}",
        "GET /v1/sagas/{saga_id}/history",
        "POST /v1/sagas/{saga_id}/resolve",
        "GET /v1/admin/payments/decisions",
        "GET /v1/admin/payments/routing",
        "GET /v1/admin/payments/summary",
        "GET /v1/admin/payments/{order_id}",
        "GET /v1/admin/reconciliation/days",
        "GET /v1/admin/reconciliation/cases",
        "GET /v1/admin/reconciliation/cases/{case_id}",
        "POST /v1/admin/reconciliation/cases/{case_id}/notes",
        "POST /v1/admin/reconciliation/cases/{case_id}/resolve",
    }


@pytest.mark.parametrize("name", _BUSINESS)
def test_every_route_declares_its_problems(name: str) -> None:
    operation = _OPERATIONS[name]
    declared = _codes(operation)
    assert {"422", "429", "500", "503"} <= set(declared)
    assert "VALIDATION_FAILED" in declared["422"]
    if operation.get("requestBody"):
        assert {"400", "413", "415"} <= set(declared)
    for status, codes in declared.items():
        assert {str(CODES[code].status) for code in codes} == {status}
    examples = operation["responses"]["500"]["content"][MEDIA_TYPE]["examples"]
    assert examples["INTERNAL"]["value"]["code"] == "INTERNAL"


def test_orders_declare_every_refusal() -> None:
    declared = _codes(_OPERATIONS["POST /v1/orders"])
    assert declared["409"] == {"ORDER_IN_FLIGHT"}
    assert declared["400"] == {
        "IDEMPOTENCY_KEY_MISSING",
        "IDEMPOTENCY_KEY_INVALID",
        "MALFORMED_JSON",
    }
    assert {"OUT_OF_STOCK", "PRICE_CHANGED", "PAYMENT_DECLINED", "CARD_NUMBER_REFUSED"} <= declared[
        "422"
    ]
    assert "202" in _OPERATIONS["POST /v1/orders"]["responses"]


def test_the_frameworks_own_error_is_nowhere() -> None:
    assert "HTTPValidationError" not in str(_DOCUMENT)
    assert _DOCUMENT["components"]["schemas"]["Problem"]["required"] == [
        "type",
        "title",
        "status",
        "code",
        "detail",
        "instance",
    ]


@pytest.mark.parametrize("name", sorted(CODES))
def test_every_code_has_a_title_and_a_sentence(name: str) -> None:
    code = code_of(name)
    assert 400 <= code.status < 600
    assert not code.title.endswith(".")
    assert code.sentence.endswith(".")
    assert (code.retry_after is not None) == (name in _RETRIED)


_RETRIED = {"RATE_LIMITED", "TEMPORARILY_UNAVAILABLE", "ORDER_IN_FLIGHT"}
