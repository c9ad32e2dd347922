"""Decimal money, prices, quantities and weights: one rounding rule each."""

from decimal import ROUND_HALF_EVEN, Decimal

Money = Decimal
Price = Decimal
Quantity = Decimal
Weight = Decimal

CENT = Decimal("0.01")
PRICE_STEP = Decimal("0.0001")
WEIGHT_STEP = Decimal("0.00000001")
ZERO = Decimal(0)


def money(value: Decimal | float | int | str) -> Money:
    """Amount in USD rounded half-even to the cent."""
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_EVEN)


def price(value: Decimal | float | int | str) -> Price:
    """Price a share in USD rounded half-even to 0.0001."""
    return Decimal(str(value)).quantize(PRICE_STEP, ROUND_HALF_EVEN)


def weight(value: Decimal | float | int | str) -> Weight:
    """Portfolio weight rounded half-even to 1e-8."""
    return Decimal(str(value)).quantize(WEIGHT_STEP, ROUND_HALF_EVEN)
