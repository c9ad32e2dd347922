"""The shared simulator against a plain Decimal book-keeper, and its promises as properties."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from quant.costs import FREE, STANDARD_COSTS, CostModel
from quant.simulator import cost_terms, market_value, settle, settle_account, target_orders

CENT = Decimal("0.01")
PRICES = st.integers(min_value=1, max_value=5_000_0000).map(lambda ticks: Decimal(ticks) / 10_000)


def case() -> st.SearchStrategy[tuple[list[int], list[int], list[Decimal | None], Decimal, Decimal]]:
    """(shares, orders, prices, cash, floor) of one account."""
    return st.integers(1, 8).flatmap(
        lambda assets: st.tuples(
            st.lists(st.integers(0, 5_000), min_size=assets, max_size=assets),
            st.lists(st.integers(-6_000, 6_000), min_size=assets, max_size=assets),
            st.lists(st.none() | PRICES, min_size=assets, max_size=assets),
            st.integers(0, 10**8).map(lambda cents: Decimal(cents) / 100),
            st.integers(0, 10**7).map(lambda cents: Decimal(cents) / 100),
        )
    )


class TestSettleAccount:
    @given(case())
    def test_cash_and_shares_reconcile_with_decimal_arithmetic(
        self, drawn: tuple[list[int], list[int], list[Decimal | None], Decimal, Decimal]
    ) -> None:
        shares, orders, prices, cash, floor = drawn
        after, outcomes = settle_account(
            cash_usd=cash,
            shares=shares,
            orders=orders,
            prices=prices,
            volumes=[1e6] * len(shares),
            floor_usd=floor,
            costs=STANDARD_COSTS,
        )
        expected = cash
        for held, wanted, outcome in zip(shares, orders, outcomes, strict=True):
            notional = (abs(outcome.executed) * outcome.price).quantize(CENT, ROUND_HALF_EVEN)
            assert outcome.notional_usd == notional
            expected -= notional if outcome.executed > 0 else -notional
            expected -= outcome.commission_usd
            assert held + outcome.executed >= 0
            assert abs(outcome.executed) <= abs(wanted)
            assert outcome.executed * wanted >= 0
        assert after == expected

    @given(case())
    def test_buys_never_take_cash_below_the_floor(
        self, drawn: tuple[list[int], list[int], list[Decimal | None], Decimal, Decimal]
    ) -> None:
        shares, orders, prices, cash, floor = drawn
        after, outcomes = settle_account(
            cash_usd=cash,
            shares=shares,
            orders=orders,
            prices=prices,
            volumes=[1e6] * len(shares),
            floor_usd=floor,
            costs=STANDARD_COSTS,
        )
        if any(outcome.executed > 0 for outcome in outcomes):
            assert after >= floor

    def test_a_cut_buy_is_the_largest_that_cash_covers(self) -> None:
        after, (outcome,) = settle_account(
            cash_usd=Decimal("1000.00"),
            shares=[0],
            orders=[1_000],
            prices=[Decimal("7.0000")],
            volumes=[0.0],
            floor_usd=Decimal("100.00"),
            costs=FREE,
        )
        assert outcome.executed == 128
        assert after == Decimal("104.00")

    def test_spread_and_impact_by_hand(self) -> None:
        """10,000 shares of a 1,000,000 volume: impact 100 bps * sqrt(0.01) = 10 bps, half spread 2 bps."""
        _, (outcome,) = settle_account(
            cash_usd=Decimal("10000000.00"),
            shares=[0],
            orders=[10_000],
            prices=[Decimal("100")],
            volumes=[1e6],
            floor_usd=Decimal("0.00"),
            costs=STANDARD_COSTS,
        )
        assert outcome.price == Decimal("100.12")
        assert outcome.spread_cost_usd == Decimal("200.00")
        assert outcome.impact_cost_usd == Decimal("1000.00")
        assert outcome.commission_usd == Decimal("35.00")

    def test_sales_pay_for_buys_of_the_same_session(self) -> None:
        after, outcomes = settle_account(
            cash_usd=Decimal("0.00"),
            shares=[0, 10],
            orders=[10, -10],
            prices=[Decimal("5"), Decimal("5")],
            volumes=[0.0, 0.0],
            floor_usd=Decimal("0.00"),
            costs=FREE,
        )
        assert [outcome.executed for outcome in outcomes] == [10, -10]
        assert after == 0


class TestBatch:
    def test_every_row_equals_the_single_account(self) -> None:
        generator = np.random.default_rng(7)
        accounts, assets = 16, 12
        cash = generator.integers(0, 10**8, accounts)
        shares = generator.integers(0, 3_000, (accounts, assets))
        orders = generator.integers(-3_000, 3_000, (accounts, assets))
        prices = np.round(generator.uniform(1, 400, (accounts, assets)), 4)
        volumes = generator.uniform(1e5, 1e7, (accounts, assets))
        floor = generator.integers(0, 10**6, accounts)
        executed, ticks, commission = (np.zeros_like(shares) for _ in range(3))
        batch_cash, batch_shares = cash.copy(), shares.copy()
        terms = cost_terms(STANDARD_COSTS)
        settle(batch_cash, batch_shares, orders, prices, volumes, floor, terms, executed, ticks, commission)
        for n in range(accounts):
            after, outcomes = settle_account(
                cash_usd=Decimal(int(cash[n])) / 100,
                shares=shares[n].tolist(),
                orders=orders[n].tolist(),
                prices=[Decimal(str(price)) for price in prices[n]],
                volumes=volumes[n].tolist(),
                floor_usd=Decimal(int(floor[n])) / 100,
                costs=STANDARD_COSTS,
            )
            assert after * 100 == int(batch_cash[n])
            assert [outcome.executed for outcome in outcomes] == executed[n].tolist()

    def test_orders_for_weights_round_down_and_skip_small_changes(self) -> None:
        orders = np.zeros((1, 4), dtype=np.int64)
        target_orders(
            np.array([100_000_00]),
            np.array([[0, 99, 5, 7]]),
            np.array([[0.1, 0.1, 0.0, 0.1]]),
            np.array([[33.0, 100.0, 1.0, np.nan]]),
            500_00,
            orders,
        )
        assert orders.tolist() == [[303, 0, -5, 0]]

    def test_market_value_rounds_each_holding_to_the_cent(self) -> None:
        value = np.zeros(1, dtype=np.int64)
        market_value(np.array([100]), np.array([[3, 1]]), np.array([[0.3350, np.nan]]), value)
        assert value[0] == 100 + 100


class TestImpact:
    @given(
        shares=st.integers(1, 200_000),
        volume=st.integers(10_000, 50_000_000),
        volatility=st.floats(0.002, 0.08),
        coefficient=st.floats(0.1, 2.0),
    )
    def test_scaled_by_volatility_is_the_square_root_law(
        self, shares: int, volume: int, volatility: float, coefficient: float
    ) -> None:
        """impact = Y * sigma * sqrt(Q / V), as in the textbooks, to the tick of the price."""
        costs = CostModel(half_spread_bps=0.0, impact_bps=100 * coefficient, impact_by_volatility=True)
        _, (outcome,) = settle_account(
            cash_usd=Decimal("1e9"),
            shares=[0],
            orders=[shares],
            prices=[Decimal("1000")],
            volumes=[float(volume)],
            volatilities=[volatility],
            floor_usd=Decimal("0.00"),
            costs=costs,
        )
        law = coefficient * volatility * (shares / volume) ** 0.5
        assert abs(float(outcome.price) / 1000.0 - 1.0 - law) < 1.01e-7

    def test_almgren_and_others_worked_example(self) -> None:
        """A tenth of a day's volume in a stock of 1.57 % a day: 1.57 % * sqrt(0.1) = 49.6 bps."""
        costs = CostModel(half_spread_bps=0.0, impact_by_volatility=True)
        depth = costs.depth(np.array([1_929_000.0]), np.array([0.0157]))
        assert 100 * np.sqrt(192_900 / depth[0]) == pytest.approx(49.648, abs=1e-3)

    def test_unscaled_costs_leave_volumes_alone(self) -> None:
        volumes = np.array([1e6, 0.0])
        assert STANDARD_COSTS.depth(volumes, None) is volumes

    def test_unknown_volatility_counts_as_one_percent_and_no_volume_as_no_impact(self) -> None:
        costs = CostModel(impact_by_volatility=True)
        assert costs.depth(np.array([1e6, 0.0, 4e6]), np.array([np.nan, 0.5, 0.02])).tolist() == [1e6, 0.0, 1e6]

    def test_volatilities_are_asked_for(self) -> None:
        with pytest.raises(InputError, match="volatilities"):
            CostModel(impact_by_volatility=True).depth(np.array([1e6]), None)


class TestCostModel:
    def test_doubling_doubles_every_term(self) -> None:
        assert STANDARD_COSTS.doubled() == CostModel(4.0, 200.0, 0.007, 0.7)
