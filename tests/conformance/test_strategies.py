"""What every strategy promises: it joins with its screener by name, never looks ahead, keeps limits, turns little."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import text

from database.session import Session, transaction
from database.tables.regimes import LABELS
from ml_models.recipes import RECIPES
from strategies.library import STRATEGIES
from strategies.select import DANGER, DWELL_SESSIONS, Candidate, Incumbent, select_strategy
from strategies.service import choose_strategy, set_targets
from tests.factories.accounts import create_account, create_mandate
from tests.factories.market import Market, create_market
from tests.factories.regimes import create_regime, create_screen, create_weighed_screen

NIGHTS_AFTER = 30
BACK = (63, 42, 21)


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """A year of a synthetic market, committed."""
    with transaction() as session:
        return create_market(session, instruments=30, sessions=260, last_on=date(2017, 6, 30))


@pytest.fixture
def session(market: Market) -> Iterator[Session]:
    """A transaction over the committed market that is rolled back."""
    with transaction() as session:
        yield session
        session.rollback()


def _prepare(session: Session, market: Market, name: str, night: int) -> date:
    """One strategy that can be followed on `market.sessions[night]`, screened before; and an account that will."""
    as_of = market.sessions[night]
    create_regime(session, session_on=as_of)
    for back in BACK:
        ids = market.instrument_ids[back % 7 : back % 7 + 12]
        create_screen(session, session_on=market.sessions[night - back], strategy=name, instrument_ids=ids)
    create_weighed_screen(session, session_on=as_of, strategy=name, instrument_ids=market.instrument_ids[:20])
    create_mandate(session, create_account(session, opened_on=as_of), position_weight_max="0.06")
    return as_of


def _scale_future(as_of: date, factor: float) -> None:
    """Make later prices absurd, in a transaction of its own, because bars are read on another connection."""
    with transaction() as session:
        session.execute(
            text("update daily_bars set open = open * :factor, close = close * :factor where session_on > :as_of"),
            {"as_of": as_of, "factor": factor},
        )


@pytest.mark.parametrize("name", STRATEGIES)
class TestEveryStrategy:
    def test_has_its_screener_by_name_and_cap_band(self, name: str) -> None:
        assert STRATEGIES[name].name == name
        assert RECIPES[name].cap_band.name == STRATEGIES[name].cap_band

    def test_expected_affinity_is_bounded(self, name: str) -> None:
        source = np.random.default_rng(5)
        for probabilities in source.dirichlet(np.ones(len(LABELS)), size=50):
            suits = STRATEGIES[name].suits(dict(zip(LABELS, probabilities.tolist(), strict=True)))
            assert 0 <= suits <= 1

    def test_target_keeps_the_mandate_and_sums_to_one(self, name: str, session: Session, market: Market) -> None:
        as_of = _prepare(session, market, name, -1)
        assert choose_strategy(session, as_of=as_of).strategy == name
        (target,) = set_targets(session, as_of=as_of, book="paper")
        assert sum(target.weights.values(), target.cash_weight) == 1
        assert 0 < max(target.weights.values()) <= Decimal("0.06")
        assert target.cash_weight >= Decimal("0.02")

    def test_same_night_same_answer(self, name: str, session: Session, market: Market) -> None:
        answers = []
        for _ in range(2):
            as_of = _prepare(session, market, name, -1)
            choice = choose_strategy(session, as_of=as_of)
            (target,) = set_targets(session, as_of=as_of, book="paper")
            answers.append((choice, target.weights, target.cash_weight, target.adjustments))
            session.rollback()
        assert answers[0] == answers[1]

    def test_the_future_changes_nothing(self, name: str, session: Session, market: Market) -> None:
        night = -1 - NIGHTS_AFTER
        as_of = _prepare(session, market, name, night)
        before = choose_strategy(session, as_of=as_of)
        targets = [target.weights for target in set_targets(session, as_of=as_of, book="paper")]
        session.rollback()
        assert before.evidence["strategies"][name]["realised"]["sessions"] == BACK[0]
        _scale_future(as_of, 3)
        try:
            _prepare(session, market, name, night)
            later = market.sessions[-1]
            create_regime(session, session_on=later, label="bear")
            create_screen(session, session_on=later, strategy=name, instrument_ids=market.instrument_ids[-10:])
            after = choose_strategy(session, as_of=as_of)
            again = [target.weights for target in set_targets(session, as_of=as_of, book="paper")]
        finally:
            session.rollback()
            _scale_future(as_of, 1 / 3)
        assert after == before
        assert again == targets


class TestTurnover:
    @pytest.mark.parametrize("seed", range(5))
    def test_changes_of_strategy_are_few_however_wild_the_market(self, seed: int) -> None:
        source = np.random.default_rng(seed)
        incumbent, since, regime, changes, turns = None, 0, "bull", 0, 0
        for _ in range(504):
            label = LABELS[source.integers(len(LABELS))] if source.random() < 0.05 else regime
            turns += label in DANGER and regime not in DANGER
            probabilities = dict(zip(LABELS, source.dirichlet(np.full(len(LABELS), 0.2)).tolist(), strict=True))
            chosen = select_strategy(
                [Candidate(strategy, None, None) for strategy in STRATEGIES.values()],
                regime=label,
                probabilities=probabilities,
                incumbent=Incumbent(incumbent, since, regime) if incumbent else None,
            ).strategy
            changes += incumbent is not None and chosen != incumbent
            since = since + 1 if chosen == incumbent else 1
            incumbent, regime = chosen, label
        assert changes <= 504 / DWELL_SESSIONS + turns
