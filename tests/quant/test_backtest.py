"""The fast backtest against the simulator's Decimal door, order by order, and against hand arithmetic."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from quant.backtest import Backtest, Floats, Ints, Prices, run_backtest
from quant.costs import FREE, STANDARD_COSTS, CostModel
from quant.simulator import settle_account


def _prices(seed: int, sessions: int, assets: int) -> Prices:
    """Random walks to the tick, some days without a bar, some dividends."""
    source = np.random.default_rng(seed)
    close = 20 + 80 * source.random(assets) * np.exp(np.cumsum(source.normal(0, 0.02, (sessions, assets)), axis=0))
    opened = close * (1 + source.normal(0, 0.01, close.shape))
    absent = source.random(close.shape) < 0.05
    dividend = np.where(source.random(close.shape) < 0.05, np.round(source.random(close.shape), 4), 0.0)
    return Prices(
        open=np.where(absent, np.nan, np.round(opened, 4)),
        close=np.where(absent, np.nan, np.round(close, 4)),
        volume=np.floor(1e5 + 1e6 * source.random(close.shape)),
        dividend=np.where(absent, 0.0, dividend),
    )


def _decisions(seed: int, sessions: int, assets: int) -> tuple[Ints, Floats]:
    source = np.random.default_rng(seed + 1)
    decided = np.flatnonzero(source.random(sessions) < 0.3)
    weights = source.random((len(decided), assets)) * (source.random((len(decided), assets)) < 0.6)
    return decided, weights / np.maximum(weights.sum(axis=1, keepdims=True) * 1.02, 1)


def _by_hand(
    prices: Prices, decided: Ints, weights: Floats, cash_usd: str, floor: float, costs: CostModel
) -> list[Decimal]:
    """The same path in Decimals, one order list a day, through the door that the paper broker uses."""
    assets = prices.close.shape[1]
    cash, shares, values = Decimal(cash_usd), [0] * assets, []
    marks: list[Decimal | None] = [None] * assets
    orders: list[int] | None = None
    floor_usd = Decimal("0.00")
    for s in range(len(prices.close)):
        for k in range(assets):
            cash += (Decimal(str(prices.dividend[s, k])) * shares[k]).quantize(Decimal("0.01"))
        if orders is not None:
            opens = [None if np.isnan(p) else Decimal(str(p)) for p in prices.open[s]]
            cash, outcomes = settle_account(
                cash_usd=cash,
                shares=shares,
                orders=orders,
                prices=opens,
                volumes=list(prices.volume[s - 1]),
                floor_usd=floor_usd,
                costs=costs,
            )
            shares = [held + outcome.executed for held, outcome in zip(shares, outcomes, strict=True)]
            orders = None
        marks = [old if np.isnan(p) else Decimal(str(p)) for old, p in zip(marks, prices.close[s], strict=True)]
        value = cash + sum(
            (m * n).quantize(Decimal("0.01")) for m, n in zip(marks, shares, strict=True) if m is not None
        )
        values.append(value)
        if s in decided:
            wanted = weights[list(decided).index(s)]
            orders = [
                0 if np.isnan(p) else int(w * round(value * 100) / (p * 100)) - n
                for w, p, n in zip(wanted, prices.close[s], shares, strict=True)
            ]
            floor_usd = Decimal(int(floor * round(value * 100))) / 100
    return values


class TestRunBacktest:
    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10_000), assets=st.integers(1, 6), costs=st.sampled_from([FREE, STANDARD_COSTS]))
    def test_agrees_with_the_paper_brokers_door_to_the_cent(self, seed: int, assets: int, costs: CostModel) -> None:
        prices = _prices(seed, 25, assets)
        decided, weights = _decisions(seed, 25, assets)
        result = run_backtest(
            prices, decided=decided, weights=weights, cash_usd=100_000, cash_weight_min=0.02, costs=costs
        )
        by_hand = _by_hand(prices, decided, weights, "100000.00", 0.02, costs)
        assert [Decimal(f"{value:.2f}") for value in result.values_usd] == by_hand

    def test_one_stock_bought_and_held_by_hand(self) -> None:
        # Decided at 10, bought at the next open of 11: 1,000 USD / 10 = 100 shares wanted, 90 affordable at 11.
        result = run_backtest(
            Prices(
                open=np.array([[9.0], [11.0], [12.0]]),
                close=np.array([[10.0], [12.0], [13.0]]),
                volume=np.full((3, 1), 1e6),
                dividend=np.array([[0.5], [0.5], [0.25]]),
            ),
            decided=np.array([0]),
            weights=np.array([[1.0]]),
            cash_usd=1_000,
            costs=FREE,
        )
        # 90 * 12 + 10 cash; the dividend of the purchase day was the seller's, the next one is ours.
        np.testing.assert_allclose(result.values_usd, [1000, 1090, 90 * 13 + 10 + 22.5])
        np.testing.assert_allclose(result.turnover, [0, 990 / 1090, 0])

    def test_costs_are_what_separates_it_from_free_trading(self) -> None:
        prices = _prices(3, 12, 4)
        once, weights = np.array([2]), np.full((1, 4), 0.2)
        free = run_backtest(prices, decided=once, weights=weights, costs=FREE)
        paid = run_backtest(prices, decided=once, weights=weights, costs=STANDARD_COSTS)
        assert free.costs_usd.sum() == 0
        assert paid.costs_usd[3] > 0
        assert free.values_usd[-1] - paid.values_usd[-1] == pytest.approx(paid.costs_usd.sum(), abs=0.05)

    def test_the_future_changes_nothing_before_it(self) -> None:
        prices = _prices(4, 30, 5)
        decided, weights = _decisions(4, 30, 5)
        whole = run_backtest(prices, decided=decided, weights=weights)
        for cut in range(2, 30):
            known = Prices(*(part[:cut] for part in (prices.open, prices.close, prices.volume, prices.dividend)))
            kept = decided < cut
            part: Backtest = run_backtest(known, decided=decided[kept], weights=weights[kept])
            assert np.array_equal(part.values_usd, whole.values_usd[:cut])

    def test_no_decision_stays_in_cash(self) -> None:
        result = run_backtest(_prices(5, 5, 2), decided=np.array([], dtype=np.int64), weights=np.zeros((0, 2)))
        assert (result.values_usd == 10_000_000).all()

    @pytest.mark.parametrize(
        ("decided", "weights", "message"),
        [
            ([0], [[0.5, 0.6]], "sum to one"),
            ([0], [[-0.1, 0.6]], "non-negative"),
            ([3, 2], [[0.1, 0.1], [0.1, 0.1]], "rise"),
            ([0], [[0.5]], "2 assets"),
        ],
    )
    def test_impossible_decisions_are_refused(
        self, decided: list[int], weights: list[list[float]], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            run_backtest(_prices(6, 5, 2), decided=np.array(decided), weights=np.array(weights))
