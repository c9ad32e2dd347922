"""The shadow ledger against the back-test, and what follows from it for champions and challengers."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from database.tables.allocations import Allocation, AllocationWeight
from database.tables.models import ModelVersion
from database.tables.scores import ScoreBatch
from database.tables.shadow import START_CENTS, ShadowDay
from market_data.calendars import sessions_between
from quant.backtest import Backtest, Prices, run_backtest
from registry import shadow_book
from registry.alerts import open_alerts
from registry.roles import champions, standing_of
from registry.shadow import FORGOTTEN_DAYS, Finding, keep_ledger, review
from registry.shadow_book import CASH_WEIGHT_MIN, TRADE_CENTS_MIN, Books, Decided
from registry.succession import SESSIONS_MIN
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.quotes import create_priced_stock, create_split
from tests.factories.roles import create_role, create_verdict, crown
from tests.factories.scores import create_batch

MOMENTUM = "momentum_largecap"
FIRST = 35


def backtest(prices: Prices, decided: Sequence[int], weights: npt.NDArray[np.float64]) -> Backtest:
    return run_backtest(
        prices,
        decided=np.array(decided),
        weights=weights,
        cash_usd=START_CENTS / 100,
        cash_weight_min=CASH_WEIGHT_MIN,
        trade_usd_min=TRADE_CENTS_MIN / 100,
    )


def some_weights(generator: np.random.Generator, stocks: int) -> npt.NDArray[np.float64]:
    weights = generator.random(stocks) * (generator.random(stocks) < 0.7)
    rounded: npt.NDArray[np.float64] = np.floor(1e8 * 0.95 * weights / max(weights.sum(), 1e-9)) / 1e8
    return rounded


class TestCarry:
    @given(st.integers(0, 2**32 - 1))
    def test_ends_on_the_back_tests_cent(self, seed: int) -> None:
        """Two lanes carried side by side, with holes in the prices and dividends, against a back-test of each."""
        generator = np.random.default_rng(seed)
        sessions, stocks = 14, 6
        close = 80.0 * np.exp(generator.normal(0, 0.03, (sessions, stocks)).cumsum(axis=0))
        opens = close * np.exp(generator.normal(0, 0.01, close.shape))
        hole = generator.random(close.shape) < 0.1
        close[hole], opens[hole] = np.nan, np.nan
        prices = Prices(
            open=np.round(opens, 2),
            close=np.round(close, 2),
            volume=generator.integers(0, 50_000, close.shape).astype(np.float64),
            dividend=np.where(generator.random(close.shape) < 0.05, 0.37, 0.0),
        )
        lanes = [sorted(generator.choice(sessions - 1, 3, replace=False).tolist()) for _ in range(2)]
        weights = [np.array([some_weights(generator, stocks) for _ in lane]) for lane in lanes]

        books = Books(
            cash_cents=np.full(2, START_CENTS),
            shares=np.zeros((2, stocks), dtype=np.int64),
            marks=prices.close[0],
            value_cents=np.full(2, START_CENTS),
        )
        values, traded, costs = [books.value_cents.copy()], [0 * books.value_cents], [0 * books.value_cents]
        for day in range(1, sessions):
            due = np.array([day - 1 in lane for lane in lanes])
            wanted = np.array(
                [
                    row[lane.index(day - 1)] if d else np.zeros(stocks)
                    for row, lane, d in zip(weights, lanes, due, strict=True)
                ]
            )
            brought = shadow_book.Session(
                prices.open[day], prices.close[day], prices.dividend[day], prices.volume[day - 1]
            )
            moved, lost = shadow_book.carry(books, brought, Decided(wanted, due, prices.close[day - 1]))
            values.append(books.value_cents.copy())
            traded.append(moved)
            costs.append(lost)
        for lane in range(2):
            expected = backtest(prices, lanes[lane], weights[lane])
            own = np.array([value[lane] for value in values])
            assert own.tolist() == np.rint(expected.values_usd * 100).tolist()
            assert (np.array(traded)[:, lane] / own).tolist() == expected.turnover.tolist()
            assert np.array(costs)[:, lane].tolist() == np.rint(expected.costs_usd * 100).tolist()


@pytest.fixture
def market(session: Session) -> Market:
    return create_market(session, instruments=8, sessions=70)


def decide(
    session: Session,
    day: date,
    weights: Mapping[int, Any],
    *,
    lane: str = "served",
    decided_on: date | None = None,
    screener: ModelVersion | None = None,
    allocator: ModelVersion | None = None,
) -> Allocation:
    """The lane's allocation of a session; with an earlier `decided_on` it is merely held on."""
    batch_lane = "screener" if lane == "allocator" else lane
    batch = session.scalar(
        select(ScoreBatch).where(
            ScoreBatch.session_on == (decided_on or day), ScoreBatch.lane == batch_lane, ScoreBatch.strategy == MOMENTUM
        )
    ) or create_batch(
        session,
        session_on=decided_on or day,
        strategy=MOMENTUM,
        lane=batch_lane,
        model=screener,
        source="model" if screener else "rule",
    )
    allocation = Allocation(
        session_on=day,
        strategy=MOMENTUM,
        lane=lane,
        allocator="equal_weight",
        reason="made for a test",
        model_version_id=allocator.model_version_id if allocator else None,
        score_batch_id=batch.score_batch_id,
        regime="bull",
        cash_weight=1 - sum((Decimal(str(weight)) for weight in weights.values()), Decimal(0)),
        diagnostics={},
    )
    session.add(allocation)
    session.flush()
    session.add_all(
        AllocationWeight(allocation_id=allocation.allocation_id, instrument_id=key, weight=Decimal(str(weight)))
        for key, weight in weights.items()
        if weight
    )
    session.flush()
    return allocation


def ledger(session: Session, lane: str = "served") -> list[ShadowDay]:
    session.expire_all()
    return list(session.scalars(select(ShadowDay).where(ShadowDay.lane == lane).order_by(ShadowDay.session_on)))


def prices_of(session: Session, market: Market) -> Prices:
    shape = len(market.sessions), len(market.instrument_ids)
    found = np.full((3, *shape), np.nan)
    row = {day: index for index, day in enumerate(market.sessions)}
    column = {key: index for index, key in enumerate(market.instrument_ids)}
    for key, day, *bar in session.execute(
        text("select instrument_id, session_on, open, close, volume from daily_bars")
    ):
        found[:, row[day], column[key]] = bar
    volume = np.zeros(shape)
    for at in range(shape[0]):
        for k in range(shape[1]):
            known = found[2, : at + 1, k]
            volume[at, k] = known[~np.isnan(known)][-21:].mean()
    dividend = np.zeros(shape)
    for key, day, amount in session.execute(
        text("select instrument_id, ex_on, amount_usd::float8 from corporate_actions")
    ):
        dividend[row[day], column[key]] = amount
    return Prices(found[0], found[1], volume, dividend)


class TestKeepLedger:
    def _decide_all(self, session: Session, market: Market, last: int) -> tuple[list[int], npt.NDArray[np.float64]]:
        """Decisions every five sessions, held in between, up to place `last`."""
        generator = np.random.default_rng(3)
        places, rows = [], []
        for place in range(FIRST, last):
            decided = place - (place - FIRST) % 5
            if decided == place:
                places.append(place)
                rows.append(some_weights(generator, len(market.instrument_ids)))
            weights = dict(zip(market.instrument_ids, rows[-1].tolist(), strict=True))
            decide(session, market.sessions[place], weights, decided_on=market.sessions[decided])
        return places, np.array(rows)

    def test_night_by_night_it_is_the_back_test(self, session: Session, market: Market) -> None:
        places, weights = self._decide_all(session, market, FIRST + 20)
        # One stock does not trade on a day of fills, one stops for good.
        session.execute(
            text(
                "delete from daily_bars where instrument_id = :a and session_on = :d"
                " or instrument_id = :b and session_on > :e"
            ),
            {
                "a": market.instrument_ids[0],
                "d": market.sessions[FIRST + 6],
                "b": market.instrument_ids[1],
                "e": market.sessions[FIRST + 8],
            },
        )
        for day in market.sessions[FIRST : FIRST + 20]:
            assert keep_ledger(session, as_of=day) == 1
        prices = prices_of(session, market)
        expected = backtest(prices, places, weights)
        rows = ledger(session)
        stretch = slice(FIRST, FIRST + 20)
        assert [row.value_cents for row in rows] == np.rint(expected.values_usd * 100)[stretch].tolist()
        assert [row.costs_cents for row in rows] == np.rint(expected.costs_usd * 100)[stretch].tolist()
        assert [row.session_on for row in rows if row.allocation_id] == [market.sessions[place + 1] for place in places]
        assert (prices.dividend[stretch] > 0).any()

    def test_a_lane_begins_with_a_million_in_cash(self, session: Session, market: Market) -> None:
        decide(session, market.last_on, {market.instrument_ids[0]: 0.5})
        keep_ledger(session, as_of=market.last_on)
        (row,) = ledger(session)
        assert (row.value_cents, row.cash_cents, row.holdings) == (100_000_000, 100_000_000, {})

    def test_nights_left_out_are_caught_up(self, session: Session, market: Market) -> None:
        self._decide_all(session, market, FIRST + 8)
        for day in market.sessions[FIRST : FIRST + 8]:
            keep_ledger(session, as_of=day)
        whole = [(row.session_on, row.value_cents, row.holdings) for row in ledger(session)]
        session.execute(text("delete from shadow_days where session_on > :d"), {"d": market.sessions[FIRST + 2]})
        assert keep_ledger(session, as_of=market.sessions[FIRST + 7]) == 5
        assert [(row.session_on, row.value_cents, row.holdings) for row in ledger(session)] == whole

    def test_a_second_time_changes_nothing(self, session: Session, market: Market) -> None:
        self._decide_all(session, market, FIRST + 3)
        for day in market.sessions[FIRST : FIRST + 3]:
            keep_ledger(session, as_of=day)
        assert [keep_ledger(session, as_of=day) for day in market.sessions[FIRST : FIRST + 3]] == [0, 0, 0]

    def test_a_night_without_a_decision_carries_the_holdings_on(self, session: Session, market: Market) -> None:
        decide(session, market.sessions[FIRST], {market.instrument_ids[0]: 0.5})
        for day in market.sessions[FIRST : FIRST + 4]:
            keep_ledger(session, as_of=day)
        rows = ledger(session)
        assert len(rows) == 4
        shares = [[row.holdings[key][0] for key in row.holdings] for row in rows]
        assert shares[1] == shares[2] == shares[3] != []

    def test_a_lane_of_long_ago_is_closed_and_begins_anew(self, session: Session, market: Market) -> None:
        decide(session, market.sessions[FIRST], {market.instrument_ids[0]: 0.5})
        for day in market.sessions[FIRST : FIRST + 20]:
            keep_ledger(session, as_of=day)
        assert (ledger(session)[-1].session_on - market.sessions[FIRST]).days == FORGOTTEN_DAYS
        again = market.sessions[FIRST + 30]
        decide(session, again, {market.instrument_ids[0]: 0.5})
        keep_ledger(session, as_of=again)
        assert (ledger(session)[-1].value_cents, ledger(session)[-1].session_on) == (START_CENTS, again)

    def test_lanes_are_kept_apart(self, session: Session, market: Market) -> None:
        a, b = market.instrument_ids[:2]
        decide(session, market.sessions[FIRST], {a: 0.5})
        decide(session, market.sessions[FIRST], {b: 0.5}, lane="plain")
        for day in market.sessions[FIRST : FIRST + 2]:
            keep_ledger(session, as_of=day)
        assert [list(ledger(session, lane)[-1].holdings) for lane in ("served", "plain")] == [[str(a)], [str(b)]]

    def test_a_split_changes_shares_once_and_value_never(self, session: Session) -> None:
        days = sessions_between(date(2017, 6, 26), date(2017, 7, 7))
        stock = create_priced_stock(session, "AAA", price=90.0, sessions=days)
        decide(session, days[0], {stock: 0.9})
        for day in days[:3]:
            keep_ledger(session, as_of=day)
        before = ledger(session)[-1]
        create_split(session, stock, ex_on=days[3], ratio="3.00000000")
        session.execute(
            text("update daily_bars set open = open / 3, high = high / 3, low = low / 3, close = close / 3")
        )
        for day in days[3:5]:
            keep_ledger(session, as_of=day)
        *_, first, second = ledger(session)
        assert first.holdings[str(stock)] == second.holdings[str(stock)] == [3 * before.holdings[str(stock)][0], 30.0]
        assert first.value_cents == second.value_cents == before.value_cents


class TestReview:
    """A history of 64 days of lanes, each earning what it is told, and the roles that follow."""

    DAYS = sessions_between(date(2017, 1, 3), date(2017, 4, 30))[: SESSIONS_MIN + 2]
    LAST = DAYS[-1]

    def _lane(
        self,
        session: Session,
        lane: str,
        daily: float,
        *,
        screener: ModelVersion | None = None,
        allocator: ModelVersion | None = None,
    ) -> None:
        """The lane's allocations and its book from a start, growing by `daily` a session with a little noise."""
        noise = np.random.default_rng(len(lane)).normal(0.0, 1e-5, len(self.DAYS))
        growth = np.where(np.arange(len(self.DAYS)) > 1, 1.0 + daily + noise, 1.0)
        first = decide(session, self.DAYS[0], {}, lane=lane, screener=screener, allocator=allocator)
        names = [column.name for column in Allocation.__table__.columns if column.name != "allocation_id"]
        told = {name: getattr(first, name) for name in names}
        session.execute(insert(Allocation), [told | {"session_on": day} for day in self.DAYS[1:]])
        session.execute(
            insert(ShadowDay),
            [
                {
                    "strategy": MOMENTUM,
                    "lane": lane,
                    "session_on": day,
                    "value_cents": round(value),
                    "cash_cents": round(value),
                    "traded_cents": int(place > 0),
                    "costs_cents": 0,
                    "holdings": {},
                    "allocation_id": None,
                }
                for place, (day, value) in enumerate(zip(self.DAYS, START_CENTS * growth.cumprod(), strict=True))
            ],
        )

    def _found(self, session: Session, name: str) -> Finding:
        (finding,) = (finding for finding in review(session, as_of=self.LAST) if finding.name == name)
        return finding

    def test_without_roles_there_is_nothing_to_say(self, session: Session) -> None:
        assert review(session, as_of=self.LAST) == []

    @pytest.mark.parametrize(("daily", "action"), [(0.001, "keep"), (0.0, "keep"), (-0.001, "roll_back")])
    def test_a_champion_is_held_against_the_plain_lane(self, session: Session, daily: float, action: str) -> None:
        model = crown(session, create_model(session))
        self._lane(session, "served", daily, screener=model)
        self._lane(session, "plain", 0.0)
        assert self._found(session, model.name).action == action
        rolled_back = action == "roll_back"
        assert (champions(session, kind="screener", as_of=date(2017, 5, 1)) == {}) == rolled_back
        assert champions(session, kind="screener", as_of=self.LAST) == {MOMENTUM: model}
        assert bool(open_alerts(session, subject=model.name)) == rolled_back
        if rolled_back:
            assert "by the shadow ledger of" in open_alerts(session, subject=model.name)[0].text
            assert standing_of(session, name=model.name, as_of=date(2017, 5, 1)).removed == {model.model_version_id}
            assert review(session, as_of=date(2017, 4, 30)) == []

    def test_what_was_lost_before_the_promotion_does_not_count(self, session: Session) -> None:
        model = crown(session, create_model(session), effective_on=self.DAYS[-3])
        self._lane(session, "served", -0.002, screener=model)
        self._lane(session, "plain", 0.0)
        assert self._found(session, model.name).action == "keep"

    def test_nights_on_which_the_rule_served_do_not_count(self, session: Session) -> None:
        model = crown(session, create_model(session))
        self._lane(session, "served", -0.002)
        self._lane(session, "plain", 0.0)
        assert self._found(session, model.name).reason == "no session in office yet"

    def test_the_allocator_goes_before_the_screener(self, session: Session) -> None:
        screener = crown(session, create_model(session))
        allocator = crown(session, create_model(session, kind="allocator"))
        self._lane(session, "served", -0.002, screener=screener, allocator=allocator)
        self._lane(session, "plain", 0.0)
        assert [(finding.kind, finding.action) for finding in review(session, as_of=self.LAST)] == [
            ("allocator", "roll_back")
        ]
        assert champions(session, kind="screener", as_of=date(2017, 5, 1)) == {MOMENTUM: screener}

    @pytest.mark.parametrize(
        ("daily", "verdict", "action"),
        [(0.002, "pass", "promote"), (0.002, "not_proven", "wait"), (-0.002, "pass", "wait")],
    )
    def test_a_challenger_needs_the_gate_and_the_ledger(
        self, session: Session, daily: float, verdict: str, action: str
    ) -> None:
        champion = crown(session, create_model(session))
        challenger = create_model(session, version=2)
        create_role(
            session, challenger, role="challenger", verdict=create_verdict(session, challenger, verdict=verdict)
        )
        self._lane(session, "served", 0.0, screener=champion)
        self._lane(session, "plain", 0.0)
        self._lane(session, "screener", daily, screener=challenger)
        findings = {finding.version: finding for finding in review(session, as_of=self.LAST)}
        assert (findings[1].action, findings[2].action) == ("keep", action)
        promoted = champions(session, kind="screener", as_of=date(2017, 5, 1))[MOMENTUM]
        assert promoted.version == (2 if action == "promote" else 1)
        if action == "promote":
            assert (
                standing_of(session, name=challenger.name, as_of=date(2017, 5, 1))
                .crowned[-1]
                .reason.startswith(f"by the shadow ledger of {self.LAST}")
            )

    def test_another_versions_sessions_are_not_the_challengers(self, session: Session) -> None:
        champion = crown(session, create_model(session))
        challenger = create_model(session, version=2)
        create_role(session, challenger, role="challenger")
        self._lane(session, "served", 0.0, screener=champion)
        self._lane(session, "screener", 0.002, screener=champion)
        findings = {finding.version: finding for finding in review(session, as_of=self.LAST)}
        assert (findings[2].action, findings[2].reason) == ("wait", "0 of 63 shadow sessions")
