"""Whatever is sent: an answer in words, never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from db.vocabulary import Role
from tests.api import shop
from tests.api.conftest import Edge
from tests.api.test_openapi import _OPERATIONS

_BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/users": {"email": "a@b.in", "name": "A", "password": "long enough"},
    "POST /v1/auth/login": {"email": "a@b.in", "password": "long enough"},
    "POST /v1/auth/refresh": {"refresh_token": "x"},
    "POST /v1/auth/logout": {"refresh_token": "x"},
    "POST /v1/users/me/addresses": {
        "name": "A", "line1": "1", "city": "B", "pincode": "560001", "phone": "9800000001",
    },
    "POST /v1/admin/payments/cash-limits": {"prefix": "56", "max_paise": 100},
    "POST /v1/users/me/instruments": {
        "method": "CARD", "psp": "alphapay", "token": "tok_ok", "label": "Visa",
    },
    "POST /v1/orders": shop.order_body(coupon="TEN", device_id="d", expected_total_paise=1),
    "POST /v1/orders/{order_id}/refunds": {"amount_paise": 100, "reason": "broken"},
    "POST /v1/orders/{order_id}/cancel": {"reason": "why"},
    "POST /v1/sagas/{saga_id}/resolve": {"step": "s", "action": "SKIP", "note": "n", "result": 1},
    "POST /v1/admin/reconciliation/cases/{case_id}/notes": {"note": "n", "take": True},
    "POST /v1/admin/reconciliation/cases/{case_id}/resolve": {"state": "EXPLAINED", "note": "n"},
    "POST /v1/payments/webhook/{provider}": {},
}  # fmt: skip

# texts that have hurt somebody: NUL, lone surrogates, other digits, quotes, patterns, paths
_ODD = ("\0", "\ud800", "١٢٣٤٥٦", "'; --", "%", "../..", "🛒", "-1", "1e999", "NaN", "null", "")
_texts = st.one_of(st.sampled_from(_ODD), st.text(max_size=40))
_leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _texts)
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
_segments = st.one_of(
    _texts, st.sampled_from([shop.SHIRT_PAGE, shop.HOME, f"checkout:{shop.HOME}", "alphapay"])
)


@st.composite
def _changed(draw: st.DrawFn, body: dict[str, Any]) -> Any:
    """A good body with one thing in it replaced, dropped or added; or anything at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(_json)
    changed = json.loads(json.dumps(body))
    place = changed
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.booleans()):
            place[key] = draw(_json)
        elif isinstance(place, dict) and draw(st.booleans()):
            place[draw(_texts)] = place.pop(key)
        else:
            del place[key]
        break
    return changed


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(_OPERATIONS)))
    method, path = name.split(" ")
    while "{" in path:
        before, _, rest = path.partition("{")
        path = (
            before
            + quote(draw(_segments), safe="", errors="surrogatepass")
            + rest.partition("}")[2]
        )
    parameters = [
        each["name"] for each in _OPERATIONS[name].get("parameters", []) if each["in"] == "query"
    ]
    query = {each: draw(_texts) for each in parameters if draw(st.booleans())}
    encoded = "&".join(
        f"{each}={quote(value, safe='', errors='surrogatepass')}" for each, value in query.items()
    )
    content = b""
    if method == "POST":
        content = json.dumps(draw(_changed(_BODIES[name]))).encode()
        if draw(st.integers(0, 9)) == 0:
            content = content[: draw(st.integers(0, len(content)))] + draw(st.binary(max_size=5))
    return {"method": method, "url": f"{path}?{encoded}", "content": content}


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    request=_requests(),
    role=st.sampled_from(Role),
    key=st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40),
)
async def test_nothing_is_a_500(edge: Edge, request: dict[str, Any], role: Role, key: str) -> None:
    headers = [
        (b"authorization", f"Bearer {edge.token(shop.ASHA, role)}".encode()),
        (b"content-type", b"application/json"),
        (b"idempotency-key", ("fuzzed-key-" + key).encode("latin-1")),
    ]
    answer = await edge.http.request(**request, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["status"] == answer.status_code
        assert body["code"]
        assert body["detail"]
