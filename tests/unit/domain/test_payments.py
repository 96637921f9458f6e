"""What failures lead to, row by row, and totals of ledger entries."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CurrencyMismatch, InvalidMoney
from domain.money import Money, total
from domain.payments import (
    ANY,
    DECISIONS,
    Decision,
    DecisionRow,
    EntryKind,
    LedgerEntry,
    MethodGroup,
    Operation,
    PaymentMethod,
    Totals,
    decide,
    fold,
    group_of,
)
from domain.payments import FailureClass as F

AUTHORISE = Operation.AUTHORISE
DEFINITE = [f for f in F if f is not F.UNKNOWN]

# columns: card without 3-D Secure, card with it, UPI and other methods of the customer's app
AUTHORISE_TABLE = {
    F.NOT_SENT: (Decision.NEXT_PSP, Decision.NEXT_PSP, Decision.NEXT_PSP),
    F.REJECTED_TRANSIENT: (Decision.NEXT_PSP, Decision.NEXT_PSP, Decision.ASK_CUSTOMER),
    F.DECLINED_SOFT: (Decision.NEXT_PSP, Decision.ASK_CUSTOMER, Decision.ASK_CUSTOMER),
    F.DECLINED_HARD: (Decision.STOP, Decision.STOP, Decision.STOP),
    F.AUTH_REQUIRED: (Decision.STEP_UP, Decision.STOP, Decision.STOP),
    F.EXPIRED: (Decision.STOP, Decision.STOP, Decision.STOP),
    F.FRAUD: (Decision.STEP_UP, Decision.STOP, Decision.STOP),
    F.INVALID_REQUEST: (Decision.STOP, Decision.STOP, Decision.STOP),
    F.CONFIG: (Decision.NEXT_PSP, Decision.NEXT_PSP, Decision.NEXT_PSP),
    F.IN_PROGRESS: (Decision.INQUIRE, Decision.INQUIRE, Decision.INQUIRE),
    F.UNKNOWN: (Decision.INQUIRE, Decision.INQUIRE, Decision.INQUIRE),
}


@pytest.mark.parametrize("failure", F)
@pytest.mark.parametrize("psp", ["alphapay", "betapay"])
def test_authorise(failure: F, psp: str) -> None:
    card, card_3ds, app = AUTHORISE_TABLE[failure]
    assert decide(psp, AUTHORISE, failure, "", PaymentMethod.CARD) is card
    assert decide(psp, AUTHORISE, failure, "", PaymentMethod.CARD, three_ds=True) is card_3ds
    for method in set(PaymentMethod) - {PaymentMethod.CARD, PaymentMethod.COD}:
        assert decide(psp, AUTHORISE, failure, "", method) is app


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("method", PaymentMethod)
def test_unknown_is_always_inquired(operation: Operation, method: PaymentMethod) -> None:
    tempting = tuple(
        DecisionRow("alphapay", operation, F.UNKNOWN, "X", group, Decision.NEXT_PSP)
        for group in MethodGroup
    )
    for table in (DECISIONS, tempting, ()):
        assert decide("alphapay", operation, F.UNKNOWN, "X", method, table=table) is (
            Decision.INQUIRE
        )


@pytest.mark.parametrize("method", PaymentMethod)
@pytest.mark.parametrize("failure", DEFINITE)
def test_only_an_authorisation_goes_elsewhere(failure: F, method: PaymentMethod) -> None:
    for operation in (Operation.CAPTURE, Operation.VOID, Operation.REFUND, Operation.FIND):
        decision = decide("betapay", operation, failure, "", method, three_ds=True)
        assert decision not in {Decision.NEXT_PSP, Decision.STEP_UP, Decision.ASK_CUSTOMER}


@pytest.mark.parametrize("failure", DEFINITE)
def test_capture_rolls_back_unless_it_may_yet_succeed(failure: F) -> None:
    expected = {
        F.NOT_SENT: Decision.RETRY_SAME,
        F.REJECTED_TRANSIENT: Decision.RETRY_SAME,
        F.IN_PROGRESS: Decision.INQUIRE,
    }.get(failure, Decision.STOP)
    assert decide("alphapay", Operation.CAPTURE, failure, "", PaymentMethod.CARD) is expected


@pytest.mark.parametrize("failure", DEFINITE)
@pytest.mark.parametrize(
    ("operation", "while_down"),
    [
        (Operation.VOID, Decision.RETRY_SAME),
        (Operation.REFUND, Decision.RETRY_SAME),
        (Operation.FIND, Decision.INQUIRE),
    ],
)
def test_giving_back_and_asking_end_with_a_person(
    operation: Operation, while_down: Decision, failure: F
) -> None:
    expected = {
        F.NOT_SENT: while_down,
        F.REJECTED_TRANSIENT: while_down,
        F.IN_PROGRESS: Decision.INQUIRE,
    }.get(failure, Decision.PARK)
    assert decide("betapay", operation, failure, "", PaymentMethod.UPI_QR) is expected


@pytest.mark.parametrize("code", ["MAC_03", "MAC_21"])
def test_a_code_outweighs_its_class(code: str) -> None:
    card = PaymentMethod.CARD
    assert decide("alphapay", AUTHORISE, F.DECLINED_SOFT, code, card) is Decision.STOP
    assert decide("alphapay", AUTHORISE, F.DECLINED_SOFT, "MAC_01", card) is Decision.NEXT_PSP


def test_no_row_is_no_retry() -> None:
    for failure in DEFINITE:
        decision = decide("alphapay", AUTHORISE, failure, "", PaymentMethod.CARD, table=())
        assert decision is Decision.STOP
    # cash has no PSP to go to
    assert decide("", AUTHORISE, F.NOT_SENT, "", PaymentMethod.COD) is Decision.STOP


def test_the_most_specific_row_wins_wherever_it_stands() -> None:
    def row(psp: str, operation: str, code: str, group: str, decision: Decision) -> DecisionRow:
        return DecisionRow(
            psp,
            ANY if operation == ANY else Operation(operation),
            F.CONFIG,
            code,
            ANY if group == ANY else MethodGroup(group),
            decision,
        )

    ladder = [
        row(ANY, ANY, ANY, ANY, Decision.STOP),
        row(ANY, ANY, ANY, "CARD", Decision.STEP_UP),
        row(ANY, "AUTHORISE", ANY, ANY, Decision.NEXT_PSP),
        row(ANY, ANY, "E1", ANY, Decision.ASK_CUSTOMER),
        row("alphapay", ANY, ANY, ANY, Decision.PARK),
    ]
    for rungs in range(1, len(ladder) + 1):
        for table in (ladder[:rungs], ladder[:rungs][::-1]):
            decision = decide(
                "alphapay", AUTHORISE, F.CONFIG, "E1", PaymentMethod.CARD, table=table
            )
            assert decision is ladder[rungs - 1].decision


def test_no_two_rows_choose_the_same_failures() -> None:
    selectors = [row.selector for row in DECISIONS]
    assert len(set(selectors)) == len(selectors)


def test_groups_cover_every_method() -> None:
    app = MethodGroup.CUSTOMER_APP
    assert {m: (group_of(m), group_of(m, three_ds=True)) for m in PaymentMethod} == {
        PaymentMethod.UPI_INTENT: (app, app),
        PaymentMethod.UPI_QR: (app, app),
        PaymentMethod.CARD: (MethodGroup.CARD, MethodGroup.CARD_3DS),
        PaymentMethod.NETBANKING: (app, app),
        PaymentMethod.WALLET: (app, app),
        PaymentMethod.COD: (MethodGroup.COD, MethodGroup.COD),
    }


def entry(kind: EntryKind, paise: int) -> LedgerEntry:
    return LedgerEntry(kind, Money(paise))


def test_fold_by_hand() -> None:
    entries = [
        entry(EntryKind.CAPTURE, 99900),
        entry(EntryKind.LATE_CAPTURE, 99900),
        entry(EntryKind.REFUND, 99900),
        entry(EntryKind.REFUND, 1),
    ]
    totals = fold(entries)
    assert totals == Totals(captured=Money(199800), refunded=Money(99901))
    assert totals.owed == Money(99899)
    assert fold([]) == Totals(Money(0), Money(0))
    assert fold(entries[2:]).owed == Money(-99901)


@given(st.lists(st.tuples(st.sampled_from(EntryKind), st.integers(0, 10**10))), st.randoms())
def test_fold_ignores_order(rows: list[tuple[EntryKind, int]], random: Random) -> None:
    entries = [entry(kind, paise) for kind, paise in rows]
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(entries)
    signed = (-e.amount if e.kind is EntryKind.REFUND else e.amount for e in entries)
    assert fold(entries).owed == total(signed)


def test_fold_refuses() -> None:
    with pytest.raises(InvalidMoney, match="not negative"):
        entry(EntryKind.REFUND, -1)
    with pytest.raises(CurrencyMismatch):
        fold([LedgerEntry(EntryKind.CAPTURE, Money(1, "USD"))])
