"""End to end: screeners that learned from noise, or from the future, are trained, judged and refused."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from core.errors import Refused
from database.queries.models import find_versions
from database.queries.roles import role_history
from database.queries.verdicts import newest_verdict
from database.session import transaction
from database.tables.models import ModelVersion
from database.tables.verdicts import GateVerdict
from ml_models.algorithms import ALGORITHMS
from ml_models.configuration import Configuration
from ml_models.dataset import Dataset
from ml_models.folds import store_fold
from ml_models.labels import PricePanel
from ml_models.recipe import Recipe, RuleTerm
from ml_models.training import plan_fold, train_fold
from mlops.jobs.judge_models import run_judge_models
from quant.backtest import Prices
from quant.guards import Dated, Frames, probe_prefixes
from quant.market import Market
from registry.decisions import promote_version
from registry.leaks import record_leak_audit
from registry.roles import challengers, champions
from registry.service import Candidate
from tests.factories.market import create_market
from tests.factories.scores import (
    QUICK_TREES,
    SCREENER_FEATURES,
    SIGNAL,
    make_panel,
    make_snapshots,
    signal_reader,
)
from tests.factories.trials import create_audit, create_reading, create_trial

NIGHT = date(2016, 1, 5)
YEARS = (2014, 2015, 2016)
NOISE, LEAKED = "noise_largecap", "leaked_largecap"
PANEL = make_panel(first_year=2011, last_year=2016, instruments=90)


def market_of(year: int) -> Market:
    """The panel's year as a market without spreads between one close and the next open."""
    sessions = np.array(PANEL.sessions, dtype="datetime64[D]")
    part = np.flatnonzero(sessions.astype("datetime64[Y]") == np.datetime64(f"{year}-01-01", "Y"))
    close = PANEL.prices[part]
    prices = Prices(close, close, np.full(close.shape, 1e7), np.zeros(close.shape))
    return Market(sessions[part], PANEL.instrument_ids, prices)


def train(strategy: str, *, strength: float) -> None:
    """A screener's folds with what they earned, beside five other configurations without skill."""
    recipe = Recipe(strategy=strategy, keeps=(), emphasis={}, rule=(RuleTerm("momentum_21", "high"),))
    xgboost = ALGORITHMS["xgboost"]
    rows = Dataset(
        panel=PANEL,
        features=[feature.name for feature in SCREENER_FEATURES],
        read_year=signal_reader(PANEL, strength=strength),
        every_sessions=5,
        label_sessions=21,
        years_kept=6,
    )
    for year in YEARS:
        plan = plan_fold(
            Configuration(recipe, xgboost, xgboost.configured(QUICK_TREES)),
            make_snapshots(2011, 2016),
            SCREENER_FEATURES,
            valid_from_on=date(year, 1, 1),
        )
        with transaction() as session:
            store_fold(session, replace(train_fold(plan, rows, SCREENER_FEATURES), market=market_of(year)))
    with transaction() as session:
        for seed in range(5):
            create_trial(session, strategy=strategy, years=YEARS, seed=seed, without=("plain", "model_costs_doubled"))
        create_reading(session, newest(strategy), on=NIGHT)


def newest(strategy: str) -> ModelVersion:
    with transaction() as session:
        return find_versions(session, name=f"screener-{strategy}")[-1]


def judged(strategy: str) -> tuple[Candidate, GateVerdict]:
    """What the job said of the strategy's newest fold, and the verdict that it stored."""
    (candidate,) = [one for one in run_judge_models(as_of=NIGHT) if one.strategy == strategy]
    with transaction() as session:
        verdict = newest_verdict(session, model_version_id=candidate.model_version_id, as_of=NIGHT)
    assert verdict is not None
    return candidate, verdict


def refused_by_hand(strategy: str) -> str:
    """Why a person cannot promote it either."""
    with pytest.raises(Refused) as refusal, transaction() as session:
        promote_version(session, name=f"screener-{strategy}", version=len(YEARS), actor="ada@firm.example")
    with transaction() as session:
        assert strategy not in champions(session, kind="screener", as_of=NIGHT)
    return str(refusal.value)


def leaky_features(frames: Frames) -> Frames:
    """The path by which the leaked signal came about: each stock's return over the coming 21 sessions."""
    coming = (pl.col("close").shift(-21) / pl.col("close") - 1.0).over("instrument_id")
    bars = frames["bars"].sort("instrument_id", "session_on")
    return {"features": bars.select("session_on", "instrument_id", coming.alias(SIGNAL))}


@pytest.fixture(scope="module", autouse=True)
def models(committed_database: str) -> None:
    """Both screeners, trained by the product's own code on the same market."""
    with transaction() as session:
        create_market(session, instruments=2, sessions=3, last_on=NIGHT)
    train(NOISE, strength=0.0)
    train(LEAKED, strength=1.0)


class TestRunJudgeModels:
    """In order: the leak is found after the first judgement."""

    def test_without_an_audit_nobody_gets_in(self) -> None:
        candidate, verdict = judged(LEAKED)
        assert (verdict.verdict, candidate.outcome) == ("not_proven", "refused")
        assert "leak probes have not run over this code" in refused_by_hand(LEAKED)
        assert judged(NOISE)[0].outcome == "refused"

    def test_noise_is_not_promoted(self) -> None:
        with transaction() as session:
            create_audit(session)
        candidate, verdict = judged(NOISE)
        ratio = next(check for check in verdict.checks if check["name"] == "deflated_sharpe")
        assert verdict.verdict != "pass"
        assert ratio["value"] < 0.5
        assert verdict.trials == 12, "both screeners and the ten others"
        assert candidate.outcome in ("registered", "refused")
        assert "screener-noise_largecap version 3 is not" in refused_by_hand(NOISE)

    def test_what_learned_from_the_future_is_refused_though_it_earned_splendidly(self) -> None:
        frames = {"bars": _bars(PANEL)}
        tables = {"bars": Dated("session_on", values=("close",))}
        probe = probe_prefixes(leaky_features, frames, tables, [date(2011, 3, 1), date(2011, 5, 3)])
        assert probe.status == "found"
        with transaction() as session:
            record_leak_audit(
                session,
                as_of=NIGHT,
                probes=[{"name": "prefix invariance", "status": probe.status, "is_required": True}],
            )
        candidate, verdict = judged(LEAKED)
        assert (verdict.verdict, candidate.outcome) in (("fail", "refused"), ("fail", "withdrawn"))
        values = {check["name"]: check["value"] for check in verdict.checks}
        assert values["deflated_sharpe"] > 0.99, "its returns look splendid"
        assert "knowledge of the future" in refused_by_hand(LEAKED)
        with transaction() as session:
            assert LEAKED not in challengers(session, kind="screener", as_of=NIGHT)

    def test_twice_is_once(self) -> None:
        with transaction() as session:
            before = [
                row.model_role_id for name in (NOISE, LEAKED) for row in role_history(session, name=f"screener-{name}")
            ]
        first, second = run_judge_models(as_of=NIGHT), run_judge_models(as_of=NIGHT)
        assert [one.verdict_id for one in first] == [one.verdict_id for one in second]
        with transaction() as session:
            after = [
                row.model_role_id for name in (NOISE, LEAKED) for row in role_history(session, name=f"screener-{name}")
            ]
        assert after == before


def _bars(panel: PricePanel) -> pl.DataFrame:
    """Half a year of ten stocks' closes."""
    sessions = np.array(panel.sessions, dtype="datetime64[D]")[:130]
    return pl.DataFrame(
        {
            "session_on": np.repeat(sessions, 10),
            "instrument_id": np.tile(panel.instrument_ids[:10], len(sessions)),
            "close": panel.prices[: len(sessions), :10].ravel(),
        }
    )
