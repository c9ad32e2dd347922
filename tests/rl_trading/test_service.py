"""A night's allocations on real tables: who decides, that weights add up and stand, and what they cannot see."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import DataMissing, IntegrityBroken
from database.queries.allocations import allocations_on
from database.session import Session, transaction
from database.tables.models import ModelVersion
from features.service import build_features
from rl_trading import artefact
from rl_trading.baselines import DEFAULT
from rl_trading.evaluate import PPO, Choice
from rl_trading.service import Allocation, allocate_night
from rl_trading.windows import REBALANCE_SESSIONS
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.regimes import create_regime, create_screen
from tests.factories.scores import create_batch
from tests.rl_trading.test_artefact import make_graph

MOMENTUM, QUALITY = "momentum_largecap", "quality_largecap"


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    with transaction() as session:
        market = create_market(session, instruments=60, sessions=330, last_on=date(2017, 6, 30))
    build_features()
    return market


@pytest.fixture
def session(market: Market) -> Iterator[Session]:
    """A transaction over the committed market that is rolled back."""
    with transaction() as session:
        yield session
        session.rollback()


def screen(session: Session, market: Market, as_of: date, *, strategy: str = MOMENTUM, seed: int = 0) -> list[int]:
    """Regime and scores of a night; returns the best fifty."""
    ids = np.random.default_rng([seed, as_of.toordinal()]).permutation(market.instrument_ids).tolist()
    if not session.execute(text("select 1 from regimes where session_on = :d"), {"d": as_of}).first():
        create_regime(session, session_on=as_of)
    create_screen(session, session_on=as_of, strategy=strategy, instrument_ids=ids)
    return [int(i) for i in ids[:50]]


def fold(session: Session, allocator: str, *, seed: int | None = None, **fields: Any) -> ModelVersion:
    choice = Choice(allocator, seed, f"{allocator} won")
    return create_model(session, kind="allocator", strategy=MOMENTUM, metrics={"choice": asdict(choice)}, **fields)


def policy_fold(session: Session) -> ModelVersion:
    folder, digest, _ = artefact.save(get_settings().models_dir, 2017, {3: make_graph(3)}, {"year": 2017})
    return fold(session, PPO, seed=3, artefact_dir=folder, artefact_sha256=digest)


def whole(allocation: Allocation) -> Decimal:
    return sum(allocation.weights.values(), allocation.cash_weight)


class TestAllocateNight:
    def test_without_a_fold_the_default_serves_and_says_so(self, session: Session, market: Market) -> None:
        best = screen(session, market, market.last_on)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == DEFAULT
        assert allocation.model_version_id is None
        assert "no allocator fold is valid on 2017-06-30" in allocation.reason
        assert set(allocation.weights) == set(best)
        assert whole(allocation) == 1

    @pytest.mark.parametrize("name", ["equal_weight", "minimum_variance"])
    def test_the_simple_allocator_that_won_serves(self, session: Session, market: Market, name: str) -> None:
        screen(session, market, market.last_on)
        model = fold(session, name)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert (allocation.allocator, allocation.reason) == (name, f"{name} won")
        assert allocation.model_version_id == model.model_version_id
        assert whole(allocation) == 1
        assert max(allocation.weights.values()) <= Decimal("0.08")

    def test_the_policy_serves_where_it_won(self, session: Session, market: Market) -> None:
        best = screen(session, market, market.last_on)
        policy_fold(session)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == PPO
        assert set(allocation.weights) <= set(best)
        assert len(set(allocation.weights.values())) > 10
        assert whole(allocation) == 1
        assert allocation.cash_weight >= Decimal("0.02")
        stored = allocations_on(session, session_on=market.last_on)[MOMENTUM]
        assert stored.diagnostics["seed"] == 3
        assert len(stored.diagnostics["tilts"]) == 5
        assert 0 < stored.diagnostics["effective_positions"] <= 50

    def test_a_fold_that_is_not_valid_on_the_date_does_not_serve(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        fold(session, "equal_weight", year=2018)
        fold(session, "equal_weight", year=2016, version=2)
        assert allocate_night(session, as_of=market.last_on)[0].allocator == DEFAULT

    def test_refused_strategies_get_none(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        create_batch(session, session_on=market.last_on, strategy=QUALITY, refused="no facts")
        assert [a.strategy for a in allocate_night(session, as_of=market.last_on)] == [MOMENTUM]

    def test_what_was_decided_stands(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        first = allocate_night(session, as_of=market.last_on)
        fold(session, "equal_weight")
        assert allocate_night(session, as_of=market.last_on) == first
        rows = session.execute(text("select count(*) from allocation_weights")).scalar_one()
        assert rows == len(first[0].weights)

    def test_a_policy_that_was_tampered_with_is_refused(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        model = policy_fold(session)
        path = get_settings().models_dir / model.artefact_dir / artefact.policy_file(3)
        honest = path.read_bytes()
        path.write_bytes(make_graph(4))
        artefact.load.cache_clear()
        with pytest.raises(IntegrityBroken, match="not the file of its manifest"):
            allocate_night(session, as_of=market.last_on)
        path.write_bytes(honest)

    def test_needs_scores_and_a_regime(self, session: Session, market: Market) -> None:
        with pytest.raises(DataMissing, match="acis screen"):
            allocate_night(session, as_of=market.last_on)
        create_batch(session, session_on=market.last_on, instrument_ids=market.instrument_ids)
        with pytest.raises(DataMissing, match="no regime"):
            allocate_night(session, as_of=market.last_on)


class TestHolding:
    def _nights(self, session: Session, market: Market, count: int) -> list[Allocation]:
        nights = []
        for day in market.sessions[-count:]:
            screen(session, market, day)
            nights.append(allocate_night(session, as_of=day)[0])
        return nights

    def test_decides_every_fifth_session_and_drifts_in_between(self, session: Session, market: Market) -> None:
        nights = self._nights(session, market, 2 * REBALANCE_SESSIONS + 1)
        batches = [night.score_batch_id for night in nights]
        assert len(set(batches[:5])) == len(set(batches[5:10])) == 1
        assert len({batches[0], batches[5], batches[10]}) == 3
        assert all(whole(night) == 1 for night in nights)
        assert [night.reason.startswith("held") for night in nights] == [False, True, True, True, True] * 2 + [False]

        first, last = nights[0], nights[4]
        closes = market.adj_close[-11:]
        column = {instrument_id: k for k, instrument_id in enumerate(market.instrument_ids)}
        grown = {i: float(w) * closes[4, column[i]] / closes[0, column[i]] for i, w in first.weights.items()}
        total = sum(grown.values()) + float(first.cash_weight)
        for instrument_id, value in grown.items():
            assert float(last.weights[instrument_id]) == pytest.approx(value / total, abs=1e-6)

    def test_a_new_fold_decides_at_once(self, session: Session, market: Market) -> None:
        self._nights(session, market, 3)
        fold(session, "equal_weight")
        session.execute(text("delete from allocations where session_on = :d"), {"d": market.last_on})
        assert allocate_night(session, as_of=market.last_on)[0].reason == "equal_weight won"

    def test_a_portfolio_of_long_ago_is_forgotten(self, session: Session, market: Market) -> None:
        screen(session, market, market.sessions[-40])
        allocate_night(session, as_of=market.sessions[-40])
        screen(session, market, market.last_on)
        allocate_night(session, as_of=market.last_on)
        assert allocations_on(session, session_on=market.last_on)[MOMENTUM].diagnostics["held_since"] is None

    def test_the_policy_sees_what_it_holds(self, session: Session, market: Market) -> None:
        model = policy_fold(session)
        weights = []
        for held in (False, True):
            session.execute(text("delete from allocations"))
            session.execute(text("delete from score_batches"))
            if held:
                screen(session, market, market.sessions[-6])
                allocate_night(session, as_of=market.sessions[-6])
            screen(session, market, market.last_on)
            weights.append(allocate_night(session, as_of=market.last_on)[0])
        assert {night.model_version_id for night in weights} == {model.model_version_id}
        assert weights[0].weights != weights[1].weights


class TestNoLookAhead:
    @pytest.mark.parametrize("name", ["minimum_variance", PPO])
    def test_poisoned_prices_after_the_night_change_nothing(self, session: Session, market: Market, name: str) -> None:
        as_of = market.sessions[-8]
        screen(session, market, as_of)
        policy_fold(session) if name == PPO else fold(session, name)
        honest = allocate_night(session, as_of=as_of)[0]
        session.execute(text("delete from allocations"))
        poison = "update daily_bars set adj_close = adj_close * (1 + instrument_id), close = 9999 where session_on > :d"
        try:
            with transaction() as other:
                other.execute(text(poison), {"d": as_of})
                other.execute(text("update data_vintages set version = version + 1 where dataset = 'daily_bars'"))
            poisoned = allocate_night(session, as_of=as_of)[0]
        finally:
            with transaction() as other:
                restore = "update daily_bars set adj_close = adj_close / (1 + instrument_id) where session_on > :d"
                other.execute(text(restore), {"d": as_of})
                other.execute(text("update data_vintages set version = version + 1 where dataset = 'daily_bars'"))
        assert poisoned.weights == honest.weights
        assert poisoned.cash_weight == honest.cash_weight
