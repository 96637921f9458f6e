"""Orders become parcels without losing a unit or a gram."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.parcels import (
    Box,
    Parcel,
    ReservedLine,
    chargeable_grams,
    needs_eway_bill,
    split,
    volumetric_grams,
)
from domain.shipping import ShippingError
from domain.sourcing import Shipment, Wanted

GRAMS = {"TEE": 300, "PHONE": 250}


def test_one_parcel_for_each_warehouse() -> None:
    lines = [
        ReservedLine("TEE", "DEL", 1),
        ReservedLine("PHONE", "BLR", 1),
        ReservedLine("TEE", "BLR", 2),
        ReservedLine("TEE", "DEL", 2),
    ]
    assert split(lines, GRAMS) == (
        Parcel(Shipment("BLR", (Wanted("PHONE", 1), Wanted("TEE", 2))), 850),
        Parcel(Shipment("DEL", (Wanted("TEE", 3),)), 900),
    )


@given(
    st.lists(
        st.builds(
            ReservedLine, st.sampled_from(list(GRAMS)), st.sampled_from("ABC"), st.integers(1, 9)
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_a_split_loses_nothing(lines: list[ReservedLine], random: Random) -> None:
    parcels = split(lines, GRAMS)
    assert sum(p.grams for p in parcels) == sum(GRAMS[line.sku] * line.qty for line in lines)
    units = sum(item.qty for p in parcels for item in p.shipment.items)
    assert units == sum(line.qty for line in lines)
    assert [p.shipment.warehouse_id for p in parcels] == sorted({x.warehouse_id for x in lines})
    random.shuffle(lines)
    assert split(lines, GRAMS) == parcels


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "NOTHING_TO_SHIP"),
        ([ReservedLine("TEE", "BLR", 0)], "QUANTITY_OUT_OF_RANGE"),
        ([ReservedLine("SOFA", "BLR", 1)], "WEIGHT_UNKNOWN"),
    ],
)
def test_splits_that_are_refused(lines: list[ReservedLine], code: str) -> None:
    with pytest.raises(ShippingError) as refused:
        split(lines, GRAMS)
    assert refused.value.code == code


def test_dimensional_weight() -> None:
    # 30 × 20 × 10 cm is 6,000 cm³, or 1.2 kg
    assert volumetric_grams(Box(300, 200, 100)) == 1_200
    assert volumetric_grams(Box(1, 1, 1)) == 1
    assert volumetric_grams(Box(100, 50, 1)) == 1
    assert volumetric_grams(Box(100, 51, 1)) == 2


@pytest.mark.parametrize(
    ("grams", "box", "charged"),
    [
        (1, None, 500),
        (500, None, 500),
        (501, None, 1_000),
        (300, Box(300, 200, 100), 1_500),
        (1_501, Box(300, 200, 100), 2_000),
    ],
)
def test_what_a_carrier_charges_for(grams: int, box: Box | None, charged: int) -> None:
    assert chargeable_grams(grams, box) == charged


def test_measures_that_are_none() -> None:
    with pytest.raises(ShippingError) as refused:
        chargeable_grams(0)
    assert refused.value.code == "WEIGHT_OUT_OF_RANGE"
    with pytest.raises(ShippingError) as refused:
        Box(300, 0, 100)
    assert refused.value.code == "BOX_INVALID"


def test_an_eway_bill_is_needed_above_fifty_thousand_rupees() -> None:
    assert not needs_eway_bill(Money(50_000_00))
    assert needs_eway_bill(Money(50_000_01))
