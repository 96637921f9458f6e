"""Refusals keep their code and words, also across processes."""

import pickle

import pytest

from domain import (
    cases,
    errors,
    refund_shares,
    returns,
    settlement_file,
    settlements,
    shipping,
    webhooks,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DomainError("SOME_CODE", "words"), "SOME_CODE"),
        (errors.InvalidMoney("words"), "INVALID_MONEY"),
        (errors.CurrencyMismatch("INR", "USD"), "CURRENCY_MISMATCH"),
        (errors.IllegalTransition("an order", "A", "B", ("C",)), "ILLEGAL_TRANSITION"),
        (errors.InvalidPincode("words"), "INVALID_PINCODE"),
        (errors.PricingError("EMPTY_ORDER", "words"), "EMPTY_ORDER"),
        (errors.SourcingError("EMPTY_ORDER", "words"), "EMPTY_ORDER"),
        (settlements.BadSettlementLine("l1", "words"), "BAD_SETTLEMENT_LINE"),
        (settlement_file.BadSettlementFile("words"), "BAD_SETTLEMENT_FILE"),
        (cases.SecondPersonNeeded("asha"), "SECOND_PERSON_NEEDED"),
        (shipping.ShippingError("NOTHING_TO_SHIP", "words"), "NOTHING_TO_SHIP"),
        (returns.ReturnRefused("TOO_LATE", "words"), "TOO_LATE"),
        (refund_shares.RefundShareError("UNKNOWN_LINE", "words"), "UNKNOWN_LINE"),
    ],
)
def test_survives_pickling(error: errors.DomainError, code: str) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert (copy.code, copy.message, str(copy)) == (code, error.message, str(error))
    assert vars(copy) == vars(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if "──" in line}
    assert webhooks.WebhookError in errors.DomainError.__subclasses__()
    # those outside the domain are drawn where they are
    ours = [cls for cls in errors.DomainError.__subclasses__() if cls.__module__[:7] == "domain."]
    assert drawn == {cls.__name__ for cls in ours}
