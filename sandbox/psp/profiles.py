"""The fault profiles as data: how many calls in a thousand meet which fault."""

AUTHORISE, CAPTURE, VOID, REFUND = "authorise", "capture", "void", "refund"
FIND, FIND_REFUND, WEBHOOK = "find", "find_refund", "webhook"
SETTLEMENTS = "settlements"
OPERATIONS = (AUTHORISE, CAPTURE, VOID, REFUND, FIND, FIND_REFUND, SETTLEMENTS, WEBHOOK)

EDGE_FAULTS = frozenset(
    {
        "slow",  # waits, then acts and answers
        "timeout_before",  # never acts, drops the connection
        "timeout_after",  # acts, then drops the connection
        "http_500_before",
        "http_500_after",
        "unreadable_body",  # acts, answers 200 with half a body
        "rate_limited",  # 429, never acts
        "connection_reset",  # acts, then resets the connection (RST)
        "gateway_down",  # 503 which says that nothing was done
        "stale_listing",  # a lookup by the merchant's reference misses what is younger than a while
    }
)
OUTCOME_FAULTS = frozenset(
    {"decline_soft", "decline_hard", "decline_fraud", "decline_auth", "technical"}
)
WEBHOOK_FAULTS = frozenset({"lost", "doubled", "late", "early", "reordered", "forged"})

# (operation, fault, of a thousand); a PSP skips what is not among its manners.
Row = tuple[str, str, int]

_HEAVY_WRITE: tuple[tuple[str, int], ...] = (
    ("slow", 50),
    ("timeout_before", 45),
    ("timeout_after", 60),
    ("http_500_before", 30),
    ("http_500_after", 40),
    ("unreadable_body", 30),
    ("rate_limited", 30),
    ("connection_reset", 40),
)
_HEAVY_READ: tuple[tuple[str, int], ...] = (
    ("slow", 50),
    ("timeout_before", 60),
    ("http_500_before", 50),
    ("unreadable_body", 40),
    ("rate_limited", 40),
    ("stale_listing", 80),
)

PROFILES: dict[str, tuple[Row, ...]] = {
    "none": (),
    "default": (
        (AUTHORISE, "slow", 20),
        (AUTHORISE, "timeout_before", 5),
        (AUTHORISE, "timeout_after", 10),
        (AUTHORISE, "http_500_after", 5),
        (AUTHORISE, "gateway_down", 10),
        (AUTHORISE, "decline_soft", 30),
        (AUTHORISE, "decline_hard", 5),
        (AUTHORISE, "technical", 10),
        (CAPTURE, "slow", 20),
        (CAPTURE, "timeout_after", 10),
        (VOID, "timeout_after", 10),
        (REFUND, "timeout_after", 10),
        (FIND, "http_500_before", 10),
        (FIND, "stale_listing", 10),
        (WEBHOOK, "lost", 10),
        (WEBHOOK, "doubled", 20),
        (WEBHOOK, "late", 20),
        (WEBHOOK, "early", 20),
        (WEBHOOK, "reordered", 10),
        (WEBHOOK, "forged", 2),
    ),
    "heavy": (
        *((AUTHORISE, fault, of) for fault, of in _HEAVY_WRITE),
        (AUTHORISE, "gateway_down", 40),
        (AUTHORISE, "decline_soft", 20),
        (AUTHORISE, "decline_hard", 10),
        (AUTHORISE, "decline_fraud", 5),
        (AUTHORISE, "technical", 40),
        *(
            (operation, fault, of)
            for operation in (CAPTURE, VOID, REFUND)
            for fault, of in _HEAVY_WRITE
        ),
        *(
            (operation, fault, of)
            for operation in (FIND, FIND_REFUND, SETTLEMENTS)
            for fault, of in _HEAVY_READ
            if (operation, fault) != (SETTLEMENTS, "stale_listing")
        ),
        (WEBHOOK, "lost", 120),
        (WEBHOOK, "doubled", 100),
        (WEBHOOK, "late", 80),
        (WEBHOOK, "early", 70),
        (WEBHOOK, "reordered", 80),
        (WEBHOOK, "forged", 50),
    ),
}
