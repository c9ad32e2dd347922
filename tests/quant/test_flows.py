"""Returns with flows: worked examples of textbooks and of Excel, and what must hold for any path."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import InputError
from quant.flows import annual_rate, money_weighted_return, time_weighted_returns

YEAR = 365.0
moves = st.lists(st.floats(-0.2, 0.25), min_size=1, max_size=40)
amounts = st.floats(0.0, 50_000.0)


def yearly(days: list[float], flows: list[float]) -> float:
    found = money_weighted_return(np.array(days), np.array(flows))
    assert found.value is not None
    return annual_rate(found.value, max(days) - min(days))


class TestTimeWeightedReturns:
    def test_two_purchases_of_one_share(self) -> None:
        # CFA Institute, Quantitative Investment Analysis: a share for 200, another for 225 a year later, 5 dividend a
        # share each year, both worth 235 at the end: 15 % and 6.67 %, together 10.8 % a year.
        values = np.array([200.0, 225.0, 470.0])
        returns = time_weighted_returns(values, np.array([0.0, 0.0, 225.0]), np.array([0.0, 5.0, 10.0]))
        # The second share comes in at the start of the second year.
        assert returns == pytest.approx([0.15, 0.066667], abs=1e-6)
        assert annual_rate(float(np.prod(1 + returns) - 1), 2 * YEAR) == pytest.approx(0.108, abs=5e-4)

    def test_bacon_large_flow(self) -> None:
        # Bacon (2008), section 2.3: 74.2 grows to 104.4 with 37.1 paid in at 67.0 in between: -9.44 %.
        values = np.array([74.2, 67.0, 104.4])
        returns = time_weighted_returns(values, np.array([0.0, 0.0, 37.1]), np.zeros(3))
        assert float(np.prod(1 + returns) - 1) == pytest.approx(-0.0944, abs=5e-5)

    @given(moves=moves, flows=st.lists(amounts, min_size=40, max_size=40), start=st.floats(1_000, 1e6))
    def test_inflows_do_not_change_the_return(self, moves: list[float], flows: list[float], start: float) -> None:
        paid = np.array([0.0, *flows[: len(moves)]])
        values = [start]
        for move, paid_in in zip(moves, paid[1:], strict=True):
            values.append((values[-1] + paid_in) * (1 + move))
        assert time_weighted_returns(np.array(values), paid, np.zeros(len(paid))) == pytest.approx(moves, abs=1e-9)

    @given(moves=moves, share=st.floats(0.0, 0.9), start=st.floats(1_000, 1e6))
    def test_outflows_do_not_change_the_return(self, moves: list[float], share: float, start: float) -> None:
        values, taken = [start], [0.0]
        for move in moves:
            grown = values[-1] * (1 + move)
            taken.append(grown * share)
            values.append(grown * (1 - share))
        assume(min(values) > 1e-3)
        returns = time_weighted_returns(np.array(values), np.zeros(len(taken)), np.array(taken))
        assert returns == pytest.approx(moves, abs=1e-9)

    def test_an_empty_account_earns_nothing(self) -> None:
        returns = time_weighted_returns(np.array([0.0, 0.0, 110.0]), np.array([0.0, 0.0, 100.0]), np.zeros(3))
        assert returns == pytest.approx([0.0, 0.1])

    def test_negative_flow_is_refused(self) -> None:
        with pytest.raises(InputError):
            time_weighted_returns(np.array([1.0, 2.0]), np.array([0.0, -1.0]), np.zeros(2))


class TestMoneyWeightedReturn:
    def test_excel_xirr(self) -> None:
        # Microsoft, XIRR function, the example of its page: 0.373362535.
        dates = [date(2008, 1, 1), date(2008, 3, 1), date(2008, 10, 30), date(2009, 2, 15), date(2009, 4, 1)]
        days = [float((day - dates[0]).days) for day in dates]
        assert yearly(days, [-10_000, 2_750, 4_250, 3_250, 2_750]) == pytest.approx(0.373362535, abs=2e-9)

    def test_two_purchases_of_one_share(self) -> None:
        # The money-weighted side of the CFA example: 9.39 % a year.
        assert yearly([0, YEAR, 2 * YEAR], [-200, -220, 480]) == pytest.approx(0.0939, abs=5e-5)

    @given(growth=st.floats(-0.95, 5.0), start=st.floats(1.0, 1e7), days=st.integers(1, 5_000))
    def test_without_flows_it_is_the_time_weighted_return(self, growth: float, start: float, days: int) -> None:
        found = money_weighted_return(np.array([0.0, days]), np.array([-start, start * (1 + growth)]))
        assert found.value == pytest.approx(growth, rel=1e-6, abs=1e-9)

    @given(
        rate=st.floats(-0.5, 2.0),
        flows=st.lists(st.tuples(st.floats(1, 900), st.floats(-400.0, 400.0)), min_size=1, max_size=12),
    )
    def test_it_makes_the_flows_even(self, rate: float, flows: list[tuple[float, float]]) -> None:
        # Money in an account that earns one rate all the time earned that rate, whatever flowed.
        days, span = [0.0, *(day for day, _ in flows)], 1_000.0
        paid = [10_000.0, *(amount for _, amount in flows)]
        left = sum(amount * (1 + rate) ** ((span - day) / span) for day, amount in zip(days, paid, strict=True))
        assume(left > 1.0)
        found = money_weighted_return(np.array([*days, span]), np.array([*(-amount for amount in paid), left]))
        assert found.value == pytest.approx(rate, rel=1e-6, abs=1e-8)

    @pytest.mark.parametrize(
        ("days", "flows", "why"),
        [
            ([0, 100], [-100, -50], "one direction"),
            ([0, 100, 200], [-100, 230, -132.5], "no rate"),
            ([0, 100, 200], [-100, 230, -132], "different rates"),
            ([5, 5], [-100, 100], "no time"),
            ([], [], "no time"),
        ],
    )
    def test_no_rate_is_unknown_with_its_reason(self, days: list[float], flows: list[float], why: str) -> None:
        found = money_weighted_return(np.array(days, dtype=float), np.array(flows, dtype=float))
        assert found.value is None
        assert why in (found.why or "")

    def test_total_loss(self) -> None:
        found = money_weighted_return(np.array([0.0, 365.0]), np.array([-100.0, 1.0]))
        assert found.value == pytest.approx(-0.99)
        assert annual_rate(-1.0, 10) == -1.0
        assert math.isclose(annual_rate(0.21, 730), 0.1)
