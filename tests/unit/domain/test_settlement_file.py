"""Settlement reports as CSV files: what is read, and what is said of what cannot be."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from domain.money import Money
from domain.settlement_file import (
    LONGEST,
    OPTIONAL,
    REQUIRED,
    BadSettlementFile,
    read_settlements,
)
from domain.settlements import LineKind, SettlementLine

HEADER = "line_id,kind,gross,fee,tax,net,settled_on,payment_ref,occurred_at"
GOOD = 'l1,payment,"1,299.50",26,4.68,1268.82,2026-11-22,pay_1,2026-11-21T10:30:00'


def read(
    *rows: str, header: str = HEADER
) -> tuple[tuple[SettlementLine, ...], list[tuple[int, str]]]:
    lines, bad = read_settlements("carrier:swift", "\n".join((header, *rows)).splitlines(True))
    return lines, [(one.line, one.reason) for one in bad]


def test_a_row_is_a_line() -> None:
    assert read(GOOD) == (
        (
            SettlementLine(
                provider="carrier:swift", line_id="l1", kind=LineKind.PAYMENT,
                gross=Money(1299_50), fee=Money(26_00), tax=Money(4_68), net=Money(1268_82),
                settled_on=date(2026, 11, 22), payment_ref="pay_1",
                occurred_at=datetime(2026, 11, 21, 5, 0, tzinfo=UTC),
            ),
        ),
        [],
    )  # fmt: skip


def test_every_column() -> None:
    header = ",".join((*OPTIONAL, *REQUIRED))
    row = "p,m,r,k,2026-11-21T10:30+00:00,setl,UTR,Yes,l1,REFUND,-10,0,0,-10,2026-11-22"
    (line,), bad = read(row, header=f"\ufeff{header}")
    assert bad == []
    assert (line.payment_ref, line.merchant_ref, line.return_ref, line.return_key) == (
        "p", "m", "r", "k",
    )  # fmt: skip
    assert (line.settlement_id, line.utr, line.on_hold) == ("setl", "UTR", True)
    assert (line.kind, line.gross) == (LineKind.REFUND, Money(-10_00))
    assert line.occurred_at == datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def test_without_a_time_it_is_the_beginning_of_the_day_in_india() -> None:
    (line,), _ = read("l1,payment,1,0,0,1,2026-11-22,p,")
    assert line.occurred_at == datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("l1,", ",", "it has no id of its own"),
        ("payment", "gift", "kind is 'gift': write one of PAYMENT, REFUND,"),
        ("payment", "refund", "a REFUND moves money away from us"),
        ('"1,299.50"', "12.999", "gross is '12.999': write INR such as 1299.50"),
        ('"1,299.50"', "", "gross is '': write INR"),
        ("1268.82", "1268.83", "is not net ₹ 1,268.83"),
        ("2026-11-22", "22/11/2026", "settled_on is '22/11/2026': write a day such as 2026-11-22"),
        ("2026-11-21T10:30:00", "noon", "occurred_at is 'noon': write a time such as"),
        ("pay_1", "", "a PAYMENT needs payment_ref or merchant_ref"),
        ("pay_1", "p" * (LONGEST + 1), "payment_ref is over 200 characters"),
        ("pay_1", "p\x07", "some that do not print"),
        ("pay_1,", "pay_1,x,", "the row has 10 columns, the header 9"),
    ],
)
def test_a_row_that_is_none(old: str, new: str, reason: str) -> None:
    row = GOOD.replace(old, new, 1)
    assert row != GOOD
    lines, bad = read("l0,payment,1,0,0,1,2026-11-22,p,", row)
    assert [line.line_id for line in lines] == ["l0"]
    ((number, said),) = bad
    assert number == 3
    assert reason in said


def test_rows_are_named_by_their_own_line() -> None:
    broken = GOOD.replace("pay_1", '"pay\n1"')
    _, bad = read("", broken, GOOD.replace("l1", "l2").replace("26,", "x,"))
    assert [number for number, _ in bad] == [3, 5]


def test_a_quote_that_is_never_closed() -> None:
    lines, bad = read(GOOD, 'l2,payment,"1')
    assert len(lines) == 1
    assert bad == [(3, "the row cannot be read, perhaps for an open quote: unexpected end of data")]


def test_one_row_twice_counts_once_and_two_that_differ_do_not() -> None:
    lines, bad = read(GOOD, GOOD, GOOD.replace("pay_1", "pay_2"))
    assert len(lines) == 1
    assert bad == [(4, "line_id 'l1' is on line 2 too, with other values")]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "the header has no line_id, kind, gross, fee, tax, net, settled_on"),
        (HEADER.replace("tax,", ""), "the header has no tax"),
        (f"{HEADER},colour", "the header has 'colour'; known are line_id, kind,"),
        (f"{HEADER},net", "the header has a column twice"),
    ],
)
def test_a_file_that_is_no_report(header: str, words: str) -> None:
    with pytest.raises(BadSettlementFile, match=words):
        read(GOOD, header=header)


def test_an_empty_report_has_no_lines() -> None:
    assert read() == ((), [])
