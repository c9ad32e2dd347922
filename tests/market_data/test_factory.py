"""The synthetic market that other rooms' tests stand on."""

import pytest

from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.fundamentals import read_facts
from database.queries.index_memberships import read_memberships
from database.queries.macro_series import read_macro
from database.session import transaction
from tests.factories.market import Market, create_market


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    with transaction() as session:
        return create_market(session, instruments=8, sessions=300)


class TestCreateMarket:
    def test_all_words_are_filled(self, market: Market) -> None:
        bars = read_bars(as_of=market.last_on)
        assert len(bars) == 8 * 300
        assert (bars["high"] >= bars["low"]).all()
        assert len(read_memberships(as_of=market.last_on)) == 8
        assert read_macro(as_of=market.last_on)["series"].n_unique() == 15
        assert read_facts(as_of=market.last_on)["item"].n_unique() == 13

    def test_dividends_are_the_ones_implied_by_adjusted_closes(self, market: Market) -> None:
        factor = market.adj_close / market.close
        implied = market.close[:-1] * (1 - factor[:-1] / factor[1:])
        paid = read_dividends(as_of=market.last_on)
        assert len(paid) == (implied > 1e-6).sum() > 0
        assert paid["amount_usd"].sum() == pytest.approx(implied.sum(), abs=1e-4)

    def test_same_seed_same_market(self, market: Market) -> None:
        with transaction() as session:
            again = create_market(session, instruments=8, sessions=300)
        assert (again.close == market.close).all()
        assert len(read_bars(as_of=market.last_on)) == 8 * 300
