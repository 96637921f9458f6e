"""What each customer will do, drawn from the seed: the same seed plans the same day."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from domain.payments import PaymentMethod
from stack.demo.shelf import Shelf, Ware

# A customer's tenth order of an hour is held for an agent: that is for the risk stories alone.
# Fewer than that keep each customer's own queue short when parts die under them.
ORDERS_EACH: Final = 5
MIN_CUSTOMERS: Final = 25
COUPONS: Final = ("WELCOME10", "FLAT150", "DIWALI26", "NOSUCHCODE")
COUPON_WEIGHTS: Final = (10, 10, 1, 1)
WITH_COUPON: Final = 0.15
TWICE: Final = 0.06
CANCELLED: Final = 0.1
# Paise. From these on a new customer's order is held, or refused, by the rules of domain.risk.
ORDINARY_LINE: Final = 8_000_00
ORDINARY_TOTAL: Final = 20_000_00
HELD_IN_CASH: Final = (26_000_00, 45_000_00)
REFUSED_IN_CASH: Final = (1_05_000_00, 4_00_000_00)
MOST_PIECES: Final = 20


class AtPsp(StrEnum):
    """What the customer does once the PSP asks for something."""

    APPROVE = "approve"
    DECLINE = "decline"
    CANCEL = "cancel"
    IGNORE = "ignore"


class Regret(StrEnum):
    """When a customer cancels: a moment after ordering, or in the same breath as paying."""

    SOON = "soon"
    ON_PAYING = "on paying"


class Basket(StrEnum):
    """What is in the basket."""

    ORDINARY = "ordinary"
    SCARCE = "scarce"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Story:
    """One way to pay, and how often it is chosen."""

    weight: int
    method: PaymentMethod
    instrument: str
    at_psp: AtPsp = AtPsp.APPROVE
    basket: Basket = Basket.ORDINARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One order: who buys what, how it is paid, and what the customer does besides.

    `pause_s` is how long the customer looks around first, `think_s` how long they take at the
    PSP; `regret` is when they change their mind, if they do; `twice` sends the same order two
    times at once and again at the end.
    """

    number: int
    customer: int
    story: Story
    lines: tuple[tuple[str, int], ...]
    coupon: str | None
    pause_s: float
    think_s: float
    regret: Regret | None
    twice: bool


Choice = Callable[[Random, Shelf], tuple[tuple[str, int], ...]]

_M = PaymentMethod
STORIES: Final[Sequence[Story]] = (
    Story(270, _M.CARD, "tok_ok"),
    Story(80, _M.CARD, "tok_3ds"),
    Story(12, _M.CARD, "tok_3ds", AtPsp.DECLINE),
    Story(8, _M.CARD, "tok_3ds", AtPsp.IGNORE),
    Story(35, _M.CARD, "tok_auth_required"),
    Story(20, _M.CARD, "tok_pending"),
    Story(35, _M.CARD, "tok_timeout_after"),
    Story(25, _M.CARD, "tok_timeout_before"),
    Story(15, _M.CARD, "tok_slow"),
    Story(12, _M.CARD, "tok_gateway_down"),
    Story(25, _M.CARD, "tok_technical"),
    Story(40, _M.CARD, "tok_declined_funds"),
    Story(15, _M.CARD, "tok_declined_lost"),
    Story(15, _M.CARD, "tok_fraud"),
    Story(65, _M.UPI_INTENT, "success@upi"),
    Story(45, _M.UPI_QR, "success@upi"),
    Story(12, _M.UPI_QR, "success@upi", AtPsp.DECLINE),
    Story(8, _M.UPI_INTENT, "success@upi", AtPsp.CANCEL),
    Story(55, _M.UPI_INTENT, "auto@upi", AtPsp.IGNORE),
    Story(15, _M.UPI_INTENT, "declined@upi", AtPsp.IGNORE),
    Story(15, _M.UPI_QR, "ignored@upi", AtPsp.IGNORE),
    Story(25, _M.NETBANKING, "tok_ok"),
    Story(20, _M.WALLET, "tok_ok"),
    Story(100, _M.COD, ""),
    Story(50, _M.CARD, "tok_ok", basket=Basket.SCARCE),
    Story(15, _M.COD, "", basket=Basket.HELD),
    Story(10, _M.COD, "", basket=Basket.REFUSED),
)


def customers_for(orders: int) -> int:
    """How many customers it takes to place so many orders without looking like a robot."""
    return max(min(MIN_CUSTOMERS, orders), math.ceil(orders / ORDERS_EACH))


def plans(seed: int, orders: int, customers: int, shelf: Shelf) -> list[Plan]:
    """Every order of the day, in turn over the customers.

    The stories are dealt by their weights and then shuffled, so that each has its share even in
    a short day.
    """
    dealt = _deal(Random(f"{seed}/stories"), orders)  # noqa: S311 - to repeat a day, not to hide it
    return [
        _plan(Random(f"{seed}/order/{number}"), number, number % customers, story, shelf)  # noqa: S311
        for number, story in enumerate(dealt)
    ]


def _deal(random: Random, orders: int) -> list[Story]:
    total = sum(story.weight for story in STORIES)
    dealt = [story for story in STORIES for _ in range(story.weight * orders // total)]
    rest = random.choices(STORIES, [story.weight for story in STORIES], k=orders - len(dealt))
    dealt += rest
    random.shuffle(dealt)
    return dealt


def _plan(random: Random, number: int, customer: int, story: Story, shelf: Shelf) -> Plan:
    lines = _LINES[story.basket](random, shelf)
    coupon = None
    if story.basket is Basket.ORDINARY and random.random() < WITH_COUPON:
        coupon = random.choices(COUPONS, COUPON_WEIGHTS)[0]
    return Plan(
        number=number,
        customer=customer,
        story=story,
        lines=lines,
        coupon=coupon,
        pause_s=random.uniform(0.0, 1.5),
        think_s=random.uniform(0.05, 0.8),
        regret=random.choice(list(Regret)) if random.random() < CANCELLED else None,
        twice=random.random() < TWICE,
    )


def _ordinary(random: Random, shelf: Shelf) -> tuple[tuple[str, int], ...]:
    lines: dict[str, int] = {}
    room = ORDINARY_TOTAL
    for _ in range(random.choices((1, 2, 3), (6, 3, 1))[0]):
        ware = random.choice(shelf.ordinary)
        qty = random.choices((1, 2, 3), (8, 2, 1))[0]
        if ware.price_paise * qty <= room:
            lines[ware.sku] = qty
            room -= ware.price_paise * qty
    if not lines:
        lines[min(shelf.ordinary, key=lambda ware: ware.price_paise).sku] = 1
    return tuple(lines.items())


def _scarce(random: Random, shelf: Shelf) -> tuple[tuple[str, int], ...]:
    ware = shelf.scarce
    # A handful of buyers want all there is; those who come after them find nothing.
    most = min(MOST_PIECES, max(1, ORDINARY_TOTAL // ware.price_paise))
    return ((ware.sku, min(most, max(1, -(-ware.available // 4)))),)


def _costly(span: tuple[int, int], random: Random, shelf: Shelf) -> tuple[tuple[str, int], ...]:
    fitting = [(ware.sku, qty) for ware in shelf.known if (qty := _pieces(ware, span)) is not None]
    return (random.choice(fitting),) if fitting else _ordinary(random, shelf)


def _pieces(ware: Ware, span: tuple[int, int]) -> int | None:
    low, high = span
    qty = -(-low // ware.price_paise)
    fits = qty <= min(MOST_PIECES, ware.available) and qty * ware.price_paise <= high
    return qty if fits else None


_LINES: Final[Mapping[Basket, Choice]] = {
    Basket.ORDINARY: _ordinary,
    Basket.SCARCE: _scarce,
    Basket.HELD: lambda random, shelf: _costly(HELD_IN_CASH, random, shelf),
    Basket.REFUSED: lambda random, shelf: _costly(REFUSED_IN_CASH, random, shelf),
}
