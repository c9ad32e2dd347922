"""A night's choice and each account's target, from rows to rows."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from core.errors import DataMissing
from database.queries.accounts import add_restriction, halt_account
from database.queries.targets import add_choice, find_choice
from database.session import Session, transaction
from database.tables.accounts import EsgFlag
from database.tables.instruments import Instrument
from database.tables.targets import StrategyChoice
from strategies.library import STRATEGIES
from strategies.service import choose_strategy, set_targets
from strategies.strategy import Strategy
from tests.factories.accounts import create_account, create_mandate
from tests.factories.market import Market, create_market
from tests.factories.models import create_model
from tests.factories.regimes import create_regime, create_screen, create_weighed_screen
from tests.factories.roles import crown
from tests.factories.scores import create_batch, create_out_of_fold

MOMENTUM, QUALITY, LOW = "momentum_largecap", "quality_largecap", "low_volatility_largecap"


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    """A year of a synthetic market, committed."""
    with transaction() as session:
        return create_market(session, instruments=40, sessions=260, last_on=date(2017, 6, 30))


@pytest.fixture
def session(market: Market) -> Iterator[Session]:
    """A transaction over the committed market that is rolled back."""
    with transaction() as session:
        yield session
        session.rollback()


@pytest.fixture
def night(session: Session, market: Market) -> date:
    """The last session: bull, three strategies allocated over ten stocks each, the others refused."""
    as_of = market.last_on
    create_regime(session, session_on=as_of)
    for number, strategy in enumerate((MOMENTUM, QUALITY, LOW)):
        ids = market.instrument_ids[number * 10 : number * 10 + 10]
        create_weighed_screen(session, session_on=as_of, strategy=strategy, instrument_ids=ids)
    for strategy in set(STRATEGIES) - {MOMENTUM, QUALITY, LOW}:
        create_batch(session, session_on=as_of, strategy=strategy, refused=f"{strategy} has no facts")
    return as_of


class TestChooseStrategy:
    def test_picks_an_available_one_and_stores_why(self, session: Session, night: date) -> None:
        choice = choose_strategy(session, as_of=night)
        stored = find_choice(session, session_on=night)
        assert choice.strategy == MOMENTUM
        assert choice.regime == "bull"
        assert stored is not None
        assert stored.reason == choice.reason
        findings = choice.evidence["strategies"]
        assert findings["growth_largecap"]["refusal"] == "growth_largecap has no facts"
        assert {name for name in findings if findings[name]["available"]} == {MOMENTUM, QUALITY, LOW}

    def test_asking_twice_changes_nothing(self, session: Session, night: date) -> None:
        first = choose_strategy(session, as_of=night)
        session.expire_all()
        assert choose_strategy(session, as_of=night) == first

    def test_scored_but_not_weighed_is_not_available(self, session: Session, night: date, market: Market) -> None:
        other = market.sessions[-2]
        create_regime(session, session_on=other)
        create_screen(session, session_on=other, strategy=MOMENTUM, instrument_ids=market.instrument_ids[:10])
        create_weighed_screen(session, session_on=other, strategy=QUALITY, instrument_ids=market.instrument_ids[:10])
        choice = choose_strategy(session, as_of=other)
        assert choice.strategy == QUALITY
        assert choice.evidence["strategies"][MOMENTUM]["refusal"] == "its stocks were not weighed that night"
        assert choice.evidence["strategies"]["value_largecap"]["refusal"] == "it was not screened that night"

    def test_the_nights_own_screens_of_the_past_are_performance(
        self, session: Session, night: date, market: Market
    ) -> None:
        scored_on = market.sessions[-1 - 63]
        create_screen(session, session_on=scored_on, strategy=LOW, instrument_ids=market.instrument_ids[:20])
        evidence = choose_strategy(session, as_of=night).evidence["strategies"]
        assert evidence[LOW]["realised"]["sessions"] == 63
        assert evidence[LOW]["worth"] != evidence[LOW]["affinity"]
        assert evidence[MOMENTUM]["realised"] is None

    def test_yesterdays_strategy_is_the_incumbent_unless_nights_were_left_out(
        self, session: Session, night: date, market: Market
    ) -> None:
        for day in market.sessions[-6:-1]:
            add_choice(session, _choice(day, QUALITY))
        choice = choose_strategy(session, as_of=night)
        assert choice.evidence["incumbent"] == {"strategy": QUALITY, "sessions": 5, "regime": "bull"}
        assert choice.strategy == QUALITY

    def test_a_choice_of_last_month_is_no_incumbent(self, session: Session, night: date) -> None:
        add_choice(session, _choice(night - timedelta(days=30), QUALITY))
        assert choose_strategy(session, as_of=night).evidence["incumbent"] is None

    def test_later_choices_do_not_reach_back(self, session: Session, night: date) -> None:
        add_choice(session, _choice(night + timedelta(days=3), QUALITY))
        assert choose_strategy(session, as_of=night).evidence["incumbent"] is None

    def test_needs_the_regime(self, session: Session, market: Market) -> None:
        with pytest.raises(DataMissing, match="regime"):
            choose_strategy(session, as_of=market.last_on)


def _choice(day: date, strategy: str) -> StrategyChoice:
    return StrategyChoice(session_on=day, strategy=strategy, regime="bull", reason="made for a test", evidence={})


class TestOutOfFoldScores:
    @pytest.mark.parametrize("is_champion", [True, False])
    def test_a_champions_are_performance_where_the_night_has_no_screen_of_its_own(
        self, market: Market, is_champion: bool
    ) -> None:
        """Out-of-fold scores are read on a connection of their own, so they are committed here and taken away."""
        scored = [market.sessions[-1 - back] for back in (63, 42, 21)]
        with transaction() as session:
            model = create_model(session, strategy=MOMENTUM, year=2017)
            create_out_of_fold(session, model=model, sessions=scored, instrument_ids=market.instrument_ids)
        with transaction() as session:
            if is_champion:
                crown(session, model)
            create_regime(session, session_on=market.last_on)
            create_weighed_screen(
                session, session_on=market.last_on, strategy=LOW, instrument_ids=market.instrument_ids[:10]
            )
            evidence = choose_strategy(session, as_of=market.last_on).evidence["strategies"]
            session.rollback()
        with transaction() as session:
            session.delete(session.merge(model))
        realised = evidence[MOMENTUM]["realised"]
        assert (realised and realised["sessions"]) == (63 if is_champion else None)
        assert evidence[LOW]["realised"] is None


class TestSetTargets:
    def test_one_target_for_each_active_account_of_the_book(
        self, session: Session, night: date, market: Market
    ) -> None:
        accounts = [create_account(session, book=book) for book in ("paper", "paper", "paper", "replay a")]
        for account in accounts:
            create_mandate(session, account, position_weight_max="0.2", sector_weight_max="1")
        halt_account(session, account_id=accounts[1].account_id, reason="looked at")
        session.expire_all()
        choose_strategy(session, as_of=night)
        targets = set_targets(session, as_of=night, book="paper")
        assert [target.account_id for target in targets] == [accounts[0].account_id, accounts[2].account_id]
        assert {target.strategy for target in targets} == {MOMENTUM}
        assert set(targets[0].weights) == set(market.instrument_ids[:10])
        assert sum(targets[0].weights.values(), targets[0].cash_weight) == 1
        assert targets[0].adjustments == []

    def test_asking_twice_changes_nothing(self, session: Session, night: date) -> None:
        create_mandate(session, create_account(session))
        choose_strategy(session, as_of=night)
        first = set_targets(session, as_of=night, book="paper")
        session.expire_all()
        assert set_targets(session, as_of=night, book="paper") == first

    def test_mandate_and_restrictions_shape_the_target(self, session: Session, night: date, market: Market) -> None:
        account = create_account(session)
        create_mandate(session, account, cash_weight_min="0.1", position_weight_max="0.12", sector_weight_max="0.3")
        ticker, sector = (
            session.get(Instrument, market.instrument_ids[0]),
            session.get(Instrument, market.instrument_ids[1]),
        )
        assert ticker is not None
        assert sector is not None
        session.add(EsgFlag(instrument_id=market.instrument_ids[2], flag="tobacco", source="test"))
        session.flush()
        for kind, value in (("ticker", ticker.symbol), ("sector", sector.sector or ""), ("esg", "tobacco")):
            add_restriction(session, account_id=account.account_id, kind=kind, value=value, reason=None)
        choose_strategy(session, as_of=night)
        (target,) = set_targets(session, as_of=night, book="paper")
        assert not set(target.weights) & set(market.instrument_ids[:3])
        assert max(target.weights.values()) <= Decimal("0.12")
        assert target.cash_weight >= Decimal("0.1")
        told = {entry["instrument_id"]: entry["reason"] for entry in target.adjustments if entry["kind"] == "excluded"}
        assert told[market.instrument_ids[0]] == f"the account excludes ticker {ticker.symbol}"
        assert told[market.instrument_ids[2]] == "the account excludes esg tobacco"

    @pytest.mark.parametrize("name", ["quality", QUALITY])
    def test_the_clients_preference_overrides(self, session: Session, night: date, market: Market, name: str) -> None:
        create_mandate(session, create_account(session), preferred_strategy=name)
        choose_strategy(session, as_of=night)
        (target,) = set_targets(session, as_of=night, book="paper")
        assert target.strategy == QUALITY
        assert target.reason == "the client prefers Quality, large caps"
        assert set(target.weights) <= set(market.instrument_ids[10:20])

    def test_a_preference_that_is_not_available_says_so(self, session: Session, night: date) -> None:
        create_mandate(session, create_account(session), preferred_strategy="growth_largecap")
        choice = choose_strategy(session, as_of=night)
        (target,) = set_targets(session, as_of=night, book="paper")
        assert target.strategy == choice.strategy
        assert "prefers Growth, large caps, which is not available: growth_largecap has no facts" in target.reason
        assert choice.reason in target.reason

    def test_account_opened_later_or_without_mandate_gets_none(self, session: Session, night: date) -> None:
        create_mandate(session, create_account(session, opened_on=night + timedelta(days=1)))
        create_account(session)
        choose_strategy(session, as_of=night)
        assert set_targets(session, as_of=night, book="paper") == []

    def test_needs_the_choice(self, session: Session, night: date) -> None:
        with pytest.raises(DataMissing, match="choose_strategy"):
            set_targets(session, as_of=night, book="paper")

    def test_a_strategy_added_since_the_choice_was_not_available(
        self, session: Session, night: date, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create_mandate(session, create_account(session), preferred_strategy="new")
        choose_strategy(session, as_of=night)
        fresh = Strategy("new_largecap", "New", "largecap", "A new one.", STRATEGIES[MOMENTUM].affinity)
        monkeypatch.setitem(STRATEGIES, fresh.name, fresh)
        (target,) = set_targets(session, as_of=night, book="paper")
        assert target.strategy == MOMENTUM
        assert "not known on that night" in target.reason
