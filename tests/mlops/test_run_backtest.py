"""A back-test as a job, on rows of a small market, held against the same decisions followed by hand."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from core.errors import Cancelled, DataMissing
from core.jobs import RunBacktest, Ticket
from database.queries.backtests import find_backtests
from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.scores import read_out_of_fold
from database.session import transaction
from database.tables.instruments import Instrument
from features.library import FEATURES
from ml_models.eligibility import filter_inputs, judge_day
from ml_models.recipes import RECIPES
from mlops.jobs import run_backtest as job_file
from mlops.rehearsal import CASH_WEIGHT_MIN
from quant.backtest import run_backtest
from quant.market import lay_out_market
from registry import backtests
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.regimes import create_regime, create_screen
from tests.factories.scores import create_out_of_fold

STRATEGY = "momentum_largecap"
FROM, TO = date(2017, 1, 3), date(2017, 6, 30)


def asked(**changes: Any) -> RunBacktest:
    """Ten stocks in equal weights every week on out-of-fold scores."""
    usual: dict[str, Any] = {
        "strategy": STRATEGY,
        "scores": "out_of_fold",
        "optimiser": "equal_weight",
        "from_on": FROM,
        "to_on": TO,
        "rebalance_sessions": 5,
        "stocks": 10,
        "position_weight_max": 0.2,
        "cost_multiple": 1.0,
        "cash_usd": 1_000_000.0,
    }
    return RunBacktest(**usual | changes)


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """Thirty stocks over two years; weekly out-of-fold scores of 2017, two nights of screens in June, regimes."""
    with transaction() as session:
        made = create_market(session, instruments=30, sessions=500, last_on=TO)
        metrics = {"judged_to_on": TO.isoformat()}
        model = create_model(session, strategy=STRATEGY, year=2017, metrics=metrics)
        weekly = [day for day in made.sessions if day >= FROM][::5]
        create_out_of_fold(session, model=model, sessions=weekly, instrument_ids=made.instrument_ids)
        for day in made.sessions[-8:-6]:
            create_screen(session, session_on=day, strategy=STRATEGY, instrument_ids=made.instrument_ids[:12])
        for day in made.sessions[-5:]:
            create_regime(session, session_on=day, label="bull")
    return made


class TestRun:
    def test_ends_on_the_cent_of_the_same_decisions_followed_by_hand(self, market: Market) -> None:
        found = job_file.run(asked())
        whole = lay_out_market(read_bars(as_of=TO, columns=("open", "close", "volume")), read_dividends(as_of=TO))
        scores = read_out_of_fold(as_of=TO, strategies=[STRATEGY], first_on=FROM)
        places, weights = [], []
        for (day,), rows in scores.group_by("session_on", maintain_order=True):
            best = rows.sort("score", "instrument_id", descending=[True, False])["instrument_id"][:10]
            held = np.isin(whole.instrument_ids, best.to_numpy())
            places.append(int(np.searchsorted(whole.sessions, np.datetime64(day))))
            weights.append(held / held.sum() * (1 - CASH_WEIGHT_MIN - 1e-12))
        own = run_backtest(
            whole.prices,
            decided=np.array(places),
            weights=np.array(weights),
            cash_usd=1_000_000.0,
            cash_weight_min=CASH_WEIGHT_MIN,
        )
        assert found["measures"]["value_end_usd"] == pytest.approx(float(own.values_usd[-1]), abs=0.005)
        assert found["measures"]["decisions"] == len(places)
        assert found["measures"]["costs_usd"] == pytest.approx(float(own.costs_usd.sum()), abs=0.01)

    def test_says_that_it_is_hypothetical_and_what_to_doubt(self, market: Market) -> None:
        found = job_file.run(asked())
        told = found["measures"]
        assert told["hypothetical"] is True
        assert (told["trials"], told["backtests"], told["gate"]) == (0, 0, None)
        assert any("Hypothetical" in line for line in told["caveats"])
        assert any("nothing is annualised" in line for line in told["caveats"])
        assert found["series"]["regimes"][-5:] == ["bull"] * 5
        assert found["series"]["index"][0] == 1.0
        assert {len(column) for column in found["series"].values()} == {len(found["series"]["sessions"])}

    def test_dearer_trading_earns_less(self, market: Market) -> None:
        free, dear = (job_file.run(asked(cost_multiple=multiple))["measures"] for multiple in (0.0, 5.0))
        assert free["costs_usd"] == 0.0
        assert free["value_end_usd"] > dear["value_end_usd"]

    def test_nights_screens_are_followed_in_their_order(self, market: Market) -> None:
        found = job_file.run(asked(scores="served", rebalance_sessions=1, stocks=5))
        first = [
            symbol
            for symbol, day in zip(found["trades"]["symbol"], found["trades"]["decided_on"], strict=True)
            if day == market.sessions[-8].isoformat()
        ]
        assert sorted(first) == market.symbols[:5]
        assert found["measures"]["decisions"] == 2

    def test_nothing_to_decide_is_told(self, market: Market) -> None:
        with pytest.raises(DataMissing, match="has no served scores"):
            job_file.run(asked(scores="served", to_on=date(2017, 3, 31)))

    def test_every_optimiser_can_be_asked(self, market: Market) -> None:
        for optimiser in backtests.OPTIMISERS:
            assert job_file.run(asked(optimiser=optimiser))["measures"]["value_end_usd"] > 0

    def test_progress_rises_to_its_end_and_may_stop_it(self, market: Market) -> None:
        seen: list[tuple[int, int]] = []
        job_file.run(asked(), progress=lambda step, done, total: seen.append((done, total)))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1][0] == seen[-1][1]

        def stop(step: str, done: int, total: int) -> None:
            if "weights" in step:
                raise Cancelled("somebody asked")

        with pytest.raises(Cancelled):
            job_file.run(asked(), progress=stop)


class TestPerform:
    def test_what_came_out_is_kept_under_the_number_it_was_first_asked_by(self, market: Market) -> None:
        with transaction() as session:
            assert session.get(Instrument, market.instrument_ids[0]) is not None
            key = backtests.ask(session, asked(), title=None, actor="ada@firm.example", requested_by=None)
            job_id = find_backtests(session, backtest_ids=[key])[key].job_id
        answer = job_file.perform(asked(), Ticket(job_id=job_id + 1000, origin_id=job_id, actor="worker"))
        assert answer["hypothetical"] is True
        with transaction() as session:
            row = find_backtests(session, backtest_ids=[key])[key]
        assert row.measures["portfolio"]["total_return"] == answer["total_return"]
        assert row.measures["backtests"] == 1


class TestPlainRule:
    def test_ranks_every_fifth_session_by_the_recipe_s_own_rule(
        self, market: Market, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe = RECIPES[STRATEGY]
        days = [day for day in market.sessions if day.year == 2017][:12]
        generator = np.random.default_rng(3)
        size = len(days) * len(market.instrument_ids)
        columns: dict[str, Any] = {
            "session_on": np.repeat(np.array(days, dtype="datetime64[D]"), len(market.instrument_ids)),
            "instrument_id": np.tile(np.array(market.instrument_ids, dtype=np.int32), len(days)),
            "in_universe": np.ones(size, dtype=bool),
            **{name: generator.normal(size=size).astype(np.float32) for name in FEATURES},
        }
        columns["log_market_cap"] = np.full(size, 25.0, dtype=np.float32)
        frame = pl.DataFrame(columns)
        monkeypatch.setattr(job_file, "read_features", lambda *, as_of, first_on, columns: frame)
        found = job_file.run(asked(scores="plain_rule", to_on=days[-1], stocks=5))
        assert found["measures"]["decisions"] == 3
        told = zip(found["trades"]["decided_on"], found["trades"]["symbol"], strict=True)
        first = {symbol for day, symbol in told if day == days[0].isoformat()}
        today = frame.filter(pl.col("session_on") == days[0])
        judged = judge_day(recipe, {name: today[name].to_numpy() for name in filter_inputs(recipe)})
        own = today.filter(pl.Series(judged.mask))
        standing = np.zeros(len(own))
        for term in recipe.rule:
            standing += own[term.feature].rank().to_numpy() * (1 if term.direction == "high" else -1)
        symbols = dict(zip(market.instrument_ids, market.symbols, strict=True))
        by_symbol = {symbols[int(key)]: value for key, value in zip(own["instrument_id"], standing, strict=True)}
        # Where two stand level either may be taken, so it is the standings that are held side by side.
        assert sorted(by_symbol[symbol] for symbol in first) == sorted(standing)[-5:]
