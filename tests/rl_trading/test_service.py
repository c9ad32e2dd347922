"""A night's allocations on real tables: who decides, that weights add up and stand, and what they cannot see."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from core.config import get_settings
from core.errors import DataMissing
from database.queries.allocations import allocations_on, weights_of
from database.session import Session, transaction
from database.tables import allocations as tables
from database.tables.models import ModelVersion
from database.tables.shadow import LANES
from features.service import build_features
from registry.alerts import open_alerts
from rl_trading import artefact
from rl_trading.baselines import DEFAULT
from rl_trading.evaluate import PPO, Choice
from rl_trading.service import Allocation, allocate_night
from rl_trading.windows import REBALANCE_SESSIONS
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.regimes import create_regime, create_screen
from tests.factories.roles import create_role, crown
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


def screen(
    session: Session, market: Market, as_of: date, *, strategy: str = MOMENTUM, lanes: Sequence[str] = ("served",)
) -> list[int]:
    """Regime and a model's scores of a night in `lanes`, each in its own order; returns the served best fifty."""
    if not session.execute(text("select 1 from regimes where session_on = :d"), {"d": as_of}).first():
        create_regime(session, session_on=as_of)
    orders = {}
    for lane in lanes:
        seed = [len(lane) if lane != "served" else 0, as_of.toordinal()]
        orders[lane] = np.random.default_rng(seed).permutation(market.instrument_ids).tolist()
        create_screen(session, session_on=as_of, strategy=strategy, instrument_ids=orders[lane], lane=lane)
    return [int(i) for i in orders["served"][:50]]


def fold(session: Session, allocator: str, **fields: Any) -> ModelVersion:
    choice = Choice(allocator, f"{allocator} won")
    return create_model(session, kind="allocator", strategy=MOMENTUM, metrics={"choice": asdict(choice)}, **fields)


def policy_fold(session: Session, *, seed: int = 3, **fields: Any) -> ModelVersion:
    """A fold with a policy behind it, whose validation liked equal weight best; it has no role."""
    folder, digest, _ = artefact.save(get_settings().models_dir, 2017, make_graph(seed), {"year": 2017})
    return fold(session, "equal_weight", artefact_dir=folder, artefact_sha256=digest, **fields)


def weighed(session: Session, as_of: date) -> dict[str, tables.Allocation]:
    """The strategy's allocations of the night by lane."""
    found = {lane: allocations_on(session, session_on=as_of, lane=lane).get(MOMENTUM) for lane in LANES}
    return {lane: row for lane, row in found.items() if row is not None}


@contextmanager
def tampered(model: ModelVersion, seed: int = 3) -> Iterator[None]:
    """Another policy's file in the place of the model's."""
    path = get_settings().models_dir / model.artefact_dir / artefact.POLICY_FILE
    honest = path.read_bytes()
    path.write_bytes(make_graph(seed + 1))
    artefact.load.cache_clear()
    yield
    path.write_bytes(honest)
    artefact.load.cache_clear()


def whole(allocation: Allocation) -> Decimal:
    return sum(allocation.weights.values(), allocation.cash_weight)


class TestAllocateNight:
    def test_without_a_fold_the_default_serves_and_says_so(self, session: Session, market: Market) -> None:
        best = screen(session, market, market.last_on)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == DEFAULT
        assert allocation.model_version_id is None
        assert "no allocator fold is valid on 2017-06-30" in allocation.reason
        assert allocation.reason.endswith("no learned allocator: no allocator may serve on 2017-06-30")
        assert set(allocation.weights) == set(best)
        assert whole(allocation) == 1

    @pytest.mark.parametrize("name", ["equal_weight", "minimum_variance"])
    def test_the_simple_allocator_that_won_serves(self, session: Session, market: Market, name: str) -> None:
        screen(session, market, market.last_on)
        model = fold(session, name)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == name
        assert allocation.reason == f"{name} won; no learned allocator: no allocator has been judged by 2017-06-30"
        assert allocation.model_version_id == model.model_version_id
        assert whole(allocation) == 1
        assert max(allocation.weights.values()) <= Decimal("0.08")

    def test_the_champion_serves(self, session: Session, market: Market) -> None:
        best = screen(session, market, market.last_on)
        crown(session, policy_fold(session))
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == PPO
        assert allocation.reason.startswith("allocator-momentum_largecap version 1 is champion since 2017-01-01")
        assert set(allocation.weights) <= set(best)
        assert len(set(allocation.weights.values())) > 10
        assert whole(allocation) == 1
        assert allocation.cash_weight >= Decimal("0.02")
        stored = allocations_on(session, session_on=market.last_on)[MOMENTUM]
        assert len(stored.diagnostics["tilts"]) == 5
        assert 0 < stored.diagnostics["effective_positions"] <= 50

    def test_a_policy_without_a_role_does_not_serve(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        policy_fold(session)
        assert allocate_night(session, as_of=market.last_on)[0].allocator == "equal_weight"

    def test_a_champion_does_not_weigh_what_the_plain_rule_scored(self, session: Session, market: Market) -> None:
        create_regime(session, session_on=market.last_on)
        create_batch(
            session, session_on=market.last_on, strategy=MOMENTUM, instrument_ids=market.instrument_ids, source="rule"
        )
        crown(session, policy_fold(session))
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == "equal_weight"
        assert "learned on a screener's scores, and the plain rule scored tonight" in allocation.reason

    def test_a_fold_whose_choice_is_unknown_leaves_the_default(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        fold(session, PPO)
        (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == DEFAULT

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

    def test_a_tampered_champion_gives_way_and_raises_an_alert(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on)
        model = crown(session, policy_fold(session))
        with tampered(model):
            (allocation,) = allocate_night(session, as_of=market.last_on)
        assert allocation.allocator == "equal_weight"
        assert "version 1 was refused at loading" in allocation.reason
        (alert,) = open_alerts(session, subject=model.name)
        assert (alert.severity, alert.details["model_version_id"]) == ("critical", model.model_version_id)

    def test_the_champion_before_serves_again_where_the_new_one_is_refused(
        self, session: Session, market: Market
    ) -> None:
        screen(session, market, market.last_on)
        before = crown(session, policy_fold(session))
        after = crown(session, policy_fold(session, seed=7, version=2), effective_on=date(2017, 3, 1))
        with tampered(after, seed=7):
            (allocation,) = allocate_night(session, as_of=market.last_on)
        assert (allocation.allocator, allocation.model_version_id) == (PPO, before.model_version_id)
        assert "serves again" in allocation.reason

    def test_needs_scores_and_a_regime(self, session: Session, market: Market) -> None:
        with pytest.raises(DataMissing, match="acis screen"):
            allocate_night(session, as_of=market.last_on)
        create_batch(session, session_on=market.last_on, instrument_ids=market.instrument_ids)
        with pytest.raises(DataMissing, match="no regime"):
            allocate_night(session, as_of=market.last_on)


class TestHolding:
    def _nights(
        self, session: Session, market: Market, count: int, lanes: Sequence[str] = ("served",)
    ) -> list[Allocation]:
        nights = []
        for day in market.sessions[-count:]:
            screen(session, market, day, lanes=lanes)
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
        assert allocate_night(session, as_of=market.last_on)[0].reason.startswith("equal_weight won")

    def test_another_screener_decides_at_once(self, session: Session, market: Market) -> None:
        self._nights(session, market, 3)
        session.execute(text("delete from allocations where session_on = :d"), {"d": market.last_on})
        session.execute(
            text("update score_batches set model_version_id = null, source = 'rule' where session_on = :d"),
            {"d": market.last_on},
        )
        assert not allocate_night(session, as_of=market.last_on)[0].reason.startswith("held")

    def test_a_portfolio_of_long_ago_is_forgotten(self, session: Session, market: Market) -> None:
        screen(session, market, market.sessions[-40])
        allocate_night(session, as_of=market.sessions[-40])
        screen(session, market, market.last_on)
        allocate_night(session, as_of=market.last_on)
        assert allocations_on(session, session_on=market.last_on)[MOMENTUM].diagnostics["held_since"] is None

    def test_the_policy_sees_what_it_holds(self, session: Session, market: Market) -> None:
        model = crown(session, policy_fold(session))
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


class TestLanes:
    """`served` is the model's screen, `plain` the rule's, `screener` the challenger's, `allocator` weighs the last."""

    ALL = ("served", "plain", "screener")

    def test_each_lane_weighs_its_own_scores(self, session: Session, market: Market) -> None:
        served = screen(session, market, market.last_on, lanes=self.ALL)
        model = policy_fold(session)
        create_role(session, model, role="challenger")
        allocate_night(session, as_of=market.last_on)
        lanes = weighed(session, market.last_on)
        assert {lane: row.allocator for lane, row in lanes.items()} == {
            "served": "equal_weight",
            "plain": "equal_weight",
            "screener": "equal_weight",
            "allocator": PPO,
        }
        weights = weights_of(session, allocation_ids=[row.allocation_id for row in lanes.values()])
        held = {lane: set(weights[row.allocation_id]) for lane, row in lanes.items()}
        assert held["served"] == set(served)
        assert held["plain"] != held["served"] != held["screener"] != held["plain"]
        assert held["allocator"] <= held["screener"]
        assert lanes["allocator"].reason == "allocator-momentum_largecap version 1, in shadow"

    def test_the_champion_runs_in_the_lane_without_a_challenger(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on, lanes=self.ALL)
        model = crown(session, policy_fold(session))
        allocate_night(session, as_of=market.last_on)
        assert weighed(session, market.last_on)["allocator"].model_version_id == model.model_version_id

    def test_lanes_that_have_nothing_of_their_own_are_left_out(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on, lanes=("served", "plain"))
        crown(session, policy_fold(session))
        allocate_night(session, as_of=market.last_on)
        assert weighed(session, market.last_on).keys() == {"served", "plain"}

    def test_a_refused_challenger_leaves_its_lane_empty(self, session: Session, market: Market) -> None:
        screen(session, market, market.last_on, lanes=self.ALL)
        model = policy_fold(session)
        create_role(session, model, role="challenger")
        with tampered(model):
            allocate_night(session, as_of=market.last_on)
        assert weighed(session, market.last_on).keys() == {"served", "plain", "screener"}
        assert open_alerts(session, subject=model.name)

    def test_each_lane_keeps_its_own_rhythm_and_holdings(self, session: Session, market: Market) -> None:
        early, late = market.sessions[-4:-2], market.sessions[-2:]
        for day in early:
            screen(session, market, day, lanes=("served", "plain"))
            allocate_night(session, as_of=day)
        for day in late:
            screen(session, market, day, lanes=self.ALL)
            allocate_night(session, as_of=day)
        lanes = weighed(session, market.last_on)
        decided = {lane: row.diagnostics["decided_on"] for lane, row in lanes.items()}
        assert decided == {"served": str(early[0]), "plain": str(early[0]), "screener": str(late[0])}


class TestNoLookAhead:
    @pytest.mark.parametrize("name", ["minimum_variance", PPO])
    def test_poisoned_prices_after_the_night_change_nothing(self, session: Session, market: Market, name: str) -> None:
        as_of = market.sessions[-8]
        screen(session, market, as_of)
        crown(session, policy_fold(session)) if name == PPO else fold(session, name)
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
