"""Estimates before a trade: costs as the simulator charges them, gains by the lots, tax by the highest rates."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import ZERO, money
from database.queries.positions import OpenLot
from quant.costs import STANDARD_COSTS
from quant.simulator import settle_account
from trading.estimate import Gain, cost_usd, gain_of_sale

D = Decimal
SOLD_ON = date(2017, 6, 30)


class TestCost:
    @given(
        shares=st.integers(1, 20_000),
        ticks=st.integers(10_000, 5_000_000),
        volume=st.integers(10_000, 50_000_000),
    )
    def test_is_what_the_simulator_charges(self, shares: int, ticks: int, volume: int) -> None:
        """A sale of what is held; the fill's price is rounded to 0.0001, so half of that a share may differ."""
        price = D(ticks) / 10_000
        _, (outcome,) = settle_account(
            cash_usd=D(10**9),
            shares=[shares],
            orders=[-shares],
            prices=[price],
            volumes=[float(volume)],
            floor_usd=ZERO,
            costs=STANDARD_COSTS,
        )
        charged = money(shares * (price - outcome.price)) + outcome.commission_usd
        told = cost_usd(quantity=D(shares), price=price, average_volume=D(volume))
        assert abs(told - charged) <= shares * D("0.00005") + D("0.02")

    def test_without_a_volume_there_is_no_impact_to_tell(self) -> None:
        """100 shares at 100 USD: half a spread of 2 bp is 2 USD, commission 0.35 USD."""
        assert cost_usd(quantity=D(100), price=D(100), average_volume=ZERO) == D("2.35")


def lot(number: int, shares: int, cost: str, opened_on: date) -> OpenLot:
    return OpenLot(number, 1, opened_on, D(shares), D(cost))


class TestGainOfSale:
    def test_oldest_lots_first_apart_by_a_year(self) -> None:
        lots = [lot(1, 10, "500.00", date(2016, 6, 29)), lot(2, 10, "1500.00", date(2016, 6, 30))]
        gain = gain_of_sale(lots, quantity=D(15), price=D(100), sold_on=SOLD_ON)
        assert gain == Gain(short_term_usd=D("-250.00"), long_term_usd=D("500.00"))

    def test_a_leap_day_is_a_year_old_on_the_first_of_march(self) -> None:
        lots = [lot(1, 1, "1.00", date(2016, 2, 29))]
        assert gain_of_sale(lots, quantity=D(1), price=D(2), sold_on=date(2017, 2, 28)).long_term_usd == 0
        assert gain_of_sale(lots, quantity=D(1), price=D(2), sold_on=date(2017, 3, 1)).long_term_usd == 1

    @given(
        lots=st.lists(
            st.tuples(st.integers(1, 500), st.integers(1, 10**7), st.integers(0, 900)), min_size=1, max_size=6
        ),
        share=st.integers(1, 100),
        price=st.integers(1, 10**6),
    )
    def test_parts_add_up_to_proceeds_less_cost(self, lots: list[tuple[int, int, int]], share: int, price: int) -> None:
        held = sum(shares for shares, _, _ in lots)
        quantity = max(held * share // 100, 1)
        rows = [
            lot(number, shares, str(D(cents) / 100), SOLD_ON - timedelta(days=age))
            for number, (shares, cents, age) in enumerate(lots)
        ]
        gain = gain_of_sale(rows, quantity=D(quantity), price=D(price) / 100, sold_on=SOLD_ON)
        whole = gain.short_term_usd + gain.long_term_usd
        least = money(D(quantity) * price / 100) - sum((row.remaining_cost_usd for row in rows), ZERO)
        assert whole >= least
        if quantity == held:
            assert whole == least

    def test_shares_that_are_not_there_realise_nothing(self) -> None:
        assert gain_of_sale([], quantity=D(5), price=D(100), sold_on=SOLD_ON) == Gain()


class TestTax:
    @pytest.mark.parametrize(
        ("short", "long", "tax"),
        [("100", "0", "40.80"), ("0", "100", "23.80"), ("-40", "100", "14.28"), ("100", "-40", "24.48")],
    )
    def test_losses_of_one_kind_lower_gains_of_the_other(self, short: str, long: str, tax: str) -> None:
        assert Gain(D(short), D(long)).tax_usd_max == D(tax)

    @given(st.integers(-(10**8), 10**8), st.integers(-(10**8), 10**8))
    def test_is_never_negative_and_never_above_the_highest_rate(self, short: int, long: int) -> None:
        gain = Gain(D(short) / 100, D(long) / 100)
        assert (
            0
            <= gain.tax_usd_max
            <= max(gain.short_term_usd, ZERO) * D("0.408") + max(gain.long_term_usd, ZERO) * D("0.408") + D("0.01")
        )
