"""Performance of accounts over periods: hand-worked paths, and accounts with flows read from the rows."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from database.queries import standings as standing_queries
from database.queries.portfolios import Flow
from market_data.calendars import sessions_between
from portfolios.history import Path, complete_days, lay_out_flows, read_path
from portfolios.performance import measure_period, measure_risk, monthly_returns
from quant.flows import time_weighted_returns
from tests.factories.market import create_market
from tests.factories.nights import create_funded_account
from tests.factories.quotes import create_priced_stock
from tests.factories.trades import bring_in, move_cash, value

WEEK = tuple(sessions_between(date(2017, 6, 26), date(2017, 6, 30)))


def make_path(sessions: tuple[date, ...], values: list[float], *flows: tuple[date, float]) -> Path:
    """A path with the index at one percent a session and equal weight unknown."""
    booked = tuple(Flow(1, day, "deposit", amount) for day, amount in flows)  # type: ignore[arg-type]
    inflows, outflows = lay_out_flows(sessions, booked)
    returns = np.zeros(len(sessions))
    returns[1:] = time_weighted_returns(np.array(values), inflows, outflows)
    return Path(
        sessions=sessions,
        values=np.array(values),
        cash=np.zeros(len(sessions)),
        inflows=inflows,
        outflows=outflows,
        returns=returns,
        benchmark=np.array([1.01**row for row in range(len(sessions))]),
        universe=np.full(len(sessions), np.nan),
        booked=booked,
        flows=booked,
        left_out=0,
    )


class TestPeriods:
    def test_a_deposit_is_no_gain(self) -> None:
        path = make_path(WEEK, [100.0, 110.0, 220.0, 220.0, 198.0], (WEEK[2], 110.0))
        found = measure_period(path, "inception")
        assert found.time_weighted == pytest.approx(1.1 * 1.0 * 1.0 * 0.9 - 1)
        assert (found.deposits_usd, found.gain_usd) == (Decimal(110), Decimal(-12))
        assert found.benchmark == pytest.approx(1.01**4 - 1)
        assert found.difference == pytest.approx(-0.01 - (1.01**4 - 1))
        assert found.money_weighted is not None
        assert found.time_weighted is not None
        assert found.money_weighted < found.time_weighted, "more money was there when it fell"

    def test_day_month_and_quarter_start_at_the_close_before(self) -> None:
        sessions = tuple(sessions_between(date(2017, 3, 30), date(2017, 5, 3)))
        path = make_path(sessions, [100.0 + n for n in range(len(sessions))])
        starts = {name: measure_period(path, name).from_on for name in ("day", "month", "quarter")}
        assert starts == {"day": date(2017, 5, 2), "month": date(2017, 4, 28), "quarter": date(2017, 3, 31)}
        young = measure_period(path, "year_to_date")
        assert (young.from_on, young.is_partial) == (date(2017, 3, 30), True)
        unknown = measure_period(path, "one_year")
        assert unknown.time_weighted is None
        assert "since 2017-03-30" in unknown.notes[0]

    def test_only_from_a_year_on_is_anything_annualised(self) -> None:
        sessions = tuple(sessions_between(date(2015, 6, 30), date(2017, 6, 30)))
        path = make_path(sessions, [100.0 * 1.21 ** (n / (len(sessions) - 1)) for n in range(len(sessions))])
        found = measure_period(path, "inception")
        assert found.annual_time_weighted == pytest.approx(0.1, abs=2e-4)
        assert found.annual_money_weighted == pytest.approx(found.annual_time_weighted)
        month = measure_period(path, "month")
        assert (month.annual_time_weighted, month.annual_benchmark) == (None, None)
        assert "not annualised: less than a year" in month.notes

    def test_one_close_is_no_performance(self) -> None:
        found = measure_period(make_path(WEEK[:1], [100.0]), "inception")
        assert (found.time_weighted, found.gain_usd) == (None, None)
        assert found.notes == ("the account has been valued at fewer than two closes",)
        assert measure_risk(make_path(WEEK[:1], [100.0])).drawdown_max is None

    @given(moves=st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4))
    def test_without_flows_both_returns_agree(self, moves: list[float]) -> None:
        path = make_path(WEEK, [1_000.0, *(1_000.0 * np.cumprod(1 + np.array(moves)))])
        found = measure_period(path, "inception")
        assert found.money_weighted == pytest.approx(found.time_weighted, abs=1e-9)

    @given(
        moves=st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4),
        flows=st.lists(st.tuples(st.integers(1, 4), st.floats(-300.0, 500.0)), max_size=4),
    )
    def test_flows_do_not_change_the_time_weighted_return(
        self, moves: list[float], flows: list[tuple[int, float]]
    ) -> None:
        by_day: dict[int, float] = {}
        for row, amount in flows:
            by_day[row] = by_day.get(row, 0.0) + (amount if abs(amount) > 0.01 else 0.0)
        values = [10_000.0]
        for row, move in enumerate(moves, start=1):
            amount = by_day.get(row, 0.0)
            values.append((values[-1] + max(amount, 0.0)) * (1 + move) + min(amount, 0.0))
        path = make_path(WEEK, values, *((WEEK[row], amount) for row, amount in by_day.items() if abs(amount) > 0.01))
        found = measure_period(path, "inception")
        assert found.time_weighted == pytest.approx(float(np.prod(1 + np.array(moves)) - 1), abs=1e-9)


class TestRisk:
    def test_dates_of_the_deepest_fall(self) -> None:
        found = measure_risk(make_path(WEEK, [100.0, 120.0, 90.0, 121.0, 115.0]))
        assert found.drawdown_max == pytest.approx(-0.25)
        assert (found.drawdown_from_on, found.drawdown_trough_on) == (WEEK[1], WEEK[2])
        assert found.drawdown_recovered_on == WEEK[3]
        assert found.daily_volatility is None
        assert "20 are needed" in found.notes[0]

    def test_a_year_of_the_index_has_no_tracking_error(self) -> None:
        sessions = tuple(sessions_between(date(2016, 6, 1), date(2017, 6, 30)))
        path = make_path(sessions, [100.0 * 1.01**n for n in range(len(sessions))])
        found = measure_risk(path)
        assert found.tracking_error == pytest.approx(0.0, abs=1e-9)
        assert found.notes == ()
        assert measure_risk(make_path(sessions[:100], [100.0 + n for n in range(100)])).sharpe is None

    def test_many_closes_missing_make_no_daily_returns(self) -> None:
        sessions = tuple(sessions_between(date(2016, 6, 1), date(2017, 6, 30)))[::3]
        found = measure_risk(make_path(sessions, [100.0 + n for n in range(len(sessions))]))
        assert found.daily_volatility is None
        assert "were not valued" in found.notes[0]


class TestMonths:
    def test_months_chain_to_the_whole(self) -> None:
        sessions = tuple(sessions_between(date(2017, 3, 15), date(2017, 6, 30)))
        rng = np.random.default_rng(3)
        path = make_path(sessions, list(100 * np.cumprod(1 + rng.normal(0, 0.01, len(sessions)))))
        months = monthly_returns(path)
        assert [(one.year, one.month, one.is_partial) for one in months] == [
            (2017, 3, True),
            (2017, 4, False),
            (2017, 5, False),
            (2017, 6, False),
        ]
        whole = measure_period(path, "inception").time_weighted
        assert whole == pytest.approx(float(np.prod([1 + one.time_weighted for one in months]) - 1))


class TestReadPath:
    def test_opening_deposit_is_the_base_and_no_flow(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=WEEK[0])
        value(session, account, dict.fromkeys(WEEK[:2], ("1000000", "0")) | {WEEK[2]: ("500000", "505000")})
        move_cash(session, account, amount="-5000", booked_on=WEEK[3])
        value(session, account, {WEEK[3]: ("495000", "510000")})
        path = read_path(session, account_ids=[account.account_id], until_on=WEEK[4])
        assert path.sessions == WEEK[:4]
        assert path.inflows.sum() == 0
        assert path.outflows.tolist() == [0, 0, 0, 5000]
        assert path.index[-1] == pytest.approx(1.005 * (1_010_000 / 1_005_000))

    def test_what_moves_between_own_accounts_is_no_flow(self, session: Session) -> None:
        one, two = (create_funded_account(session, opened_on=WEEK[0]) for _ in range(2))
        for account, cash in ((one, ("1000000", "999000")), (two, ("1000000", "1001000"))):
            value(session, account, {WEEK[0]: (cash[0], "0"), WEEK[1]: (cash[1], "0")})
        move_cash(session, one, amount="-1000", booked_on=WEEK[1])
        move_cash(session, two, amount="1000", booked_on=WEEK[1])
        both = read_path(session, account_ids=[one.account_id, two.account_id], until_on=WEEK[4])
        assert (both.inflows.sum(), both.outflows.sum(), both.returns.sum()) == (0, 0, 0)
        alone = read_path(session, account_ids=[two.account_id], until_on=WEEK[4])
        assert (alone.inflows.sum(), alone.returns.sum()) == (1000, 0)

    def test_shares_brought_in_count_at_the_close_before(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=WEEK[0])
        aaa = create_priced_stock(session, "AAA", closes={WEEK[0]: 50.0, WEEK[1]: 55.0})
        value(session, account, {WEEK[0]: ("1000000", "0"), WEEK[1]: ("1000000", "5500")})
        bring_in(session, account, aaa, quantity=100, cost="700.00", opened_on=date(2010, 1, 4), booked_on=WEEK[1])
        path = read_path(session, account_ids=[account.account_id], until_on=WEEK[4])
        assert path.inflows.tolist() == [0, 5000], "their worth, not what they once cost"
        assert path.returns[1] == pytest.approx(1_005_500 / 1_005_000 - 1)

    def test_a_close_that_an_account_missed_is_left_out(self, session: Session) -> None:
        one, two = (create_funded_account(session, opened_on=WEEK[0]) for _ in range(2))
        value(session, one, dict.fromkeys(WEEK, ("1000000", "0")))
        value(session, two, dict.fromkeys((WEEK[1], WEEK[2], WEEK[4]), ("1000000", "0")))
        path = read_path(session, account_ids=[one.account_id, two.account_id], until_on=WEEK[4])
        assert path.sessions == (WEEK[0], WEEK[1], WEEK[2], WEEK[4])
        assert path.left_out == 1
        assert path.returns.sum() == 0, "the second account's deposit came in on its first day"

    def test_an_account_opened_after_a_close_comes_in_at_its_own_first(self, session: Session) -> None:
        one = create_funded_account(session, opened_on=WEEK[0])
        two = create_funded_account(session, opened_on=WEEK[2])
        value(session, one, dict.fromkeys(WEEK, ("1000000", "0")))
        value(session, two, dict.fromkeys(WEEK[3:], ("1000000", "0")))
        path = read_path(session, account_ids=[one.account_id, two.account_id], until_on=WEEK[4])
        assert path.sessions == WEEK
        assert path.inflows.tolist() == [0, 0, 0, 1_000_000, 0]
        assert path.returns.tolist() == [0, 0, 0, 0, 0]
        assert measure_period(path, "inception").money_weighted == pytest.approx(0.0, abs=1e-9)

    def test_a_closed_account_ends(self, session: Session) -> None:
        one, two = (create_funded_account(session, opened_on=WEEK[0]) for _ in range(2))
        value(session, one, dict.fromkeys(WEEK, ("1000000", "0")))
        value(session, two, {WEEK[0]: ("1000000", "0"), WEEK[1]: ("1000000", "0")})
        move_cash(session, two, amount="-1000000", booked_on=WEEK[2])
        session.execute(
            text("update accounts set status = 'closed', closed_on = :on where account_id = :id"),
            {"on": WEEK[2], "id": two.account_id},
        )
        path = read_path(session, account_ids=[one.account_id, two.account_id], until_on=WEEK[4])
        assert path.sessions == WEEK
        assert path.returns.tolist() == [0, 0, 0, 0, 0]

    def test_equal_weight_is_the_mean_of_the_members(self, session: Session) -> None:
        market = create_market(session, instruments=5, sessions=30)
        first, last = market.sessions[10], market.sessions[-1]
        written = standing_queries.add_universe_days(session, first_on=first + timedelta(days=1), last_on=last)
        assert written == len(market.sessions) - 11
        account = create_funded_account(session, opened_on=first)
        value(session, account, dict.fromkeys(market.sessions[10:], ("1000000", "0")))
        path = read_path(session, account_ids=[account.account_id], until_on=last)
        moves = market.adj_close[11:] / market.adj_close[10:-1] - 1
        members = np.ones_like(moves, dtype=bool)
        members[: 15 - 11, -1] = False  # joins half-way
        expected = np.cumprod(1 + np.where(members, moves, 0).sum(axis=1) / members.sum(axis=1))
        assert path.universe.tolist() == pytest.approx([1.0, *expected])


def test_complete_days_of_nobody() -> None:
    assert complete_days([], []) == []
