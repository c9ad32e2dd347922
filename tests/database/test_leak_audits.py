"""Rows that stand before their time are counted, and named."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from database.queries.leak_audits import early_fills, misplaced_models, misplaced_scores
from tests.factories.market import create_market
from tests.factories.models import create_model
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.scores import create_batch, create_out_of_fold
from tests.factories.targets import create_target, equal_weights

LAST_ON = date(2017, 6, 30)


def test_nothing_stored_is_nothing_looked_at(session: Session) -> None:
    for look in (early_fills, misplaced_scores, misplaced_models):
        assert look(session, as_of=LAST_ON).rows == 0


def test_fill_of_the_night_that_decided_it_is_early(session: Session) -> None:
    market = create_market(session, instruments=20, sessions=30, last_on=LAST_ON)
    nights = market.sessions[-4:-1]
    account = create_funded_account(session, opened_on=nights[0])
    for night in nights:
        create_target(session, account, session_on=night, weights=equal_weights(market.instrument_ids[:16]))
        trade_night(session, as_of=night)
    honest = early_fills(session, as_of=LAST_ON)
    assert honest.rows > 0
    assert honest.early == 0
    session.execute(text("update recommendations set session_on = session_on + 1"))
    assert early_fills(session, as_of=LAST_ON).early == honest.rows


def test_scores_of_sessions_that_a_model_had_seen_are_misplaced(session: Session) -> None:
    market = create_market(session, instruments=20, sessions=30, last_on=LAST_ON)
    create_out_of_fold(
        session,
        model=create_model(session, year=2017),
        sessions=market.sessions[-2:],
        instrument_ids=market.instrument_ids,
    )
    honest = misplaced_scores(session, as_of=LAST_ON)
    assert (honest.rows, honest.early, honest.first) == (2, 0, None)
    late = create_model(session, year=2018, version=2)
    create_out_of_fold(session, model=late, sessions=market.sessions[-1:], instrument_ids=market.instrument_ids)
    found = misplaced_scores(session, as_of=LAST_ON)
    assert (found.rows, found.early) == (3, 1)
    assert found.first == "screener-momentum_largecap on 2017-06-30"


def test_night_by_a_model_of_another_year_is_misplaced(session: Session) -> None:
    create_batch(session, session_on=LAST_ON, model=create_model(session, year=2017))
    assert misplaced_models(session, as_of=LAST_ON).early == 0
    create_batch(session, session_on=date(2017, 6, 29), model=create_model(session, year=2015, version=2))
    found = misplaced_models(session, as_of=LAST_ON)
    assert (found.rows, found.early, found.first) == (2, 1, "screener-momentum_largecap on 2017-06-29")
