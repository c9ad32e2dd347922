"""Paper broker and ledger against the simulator and the backtest: the same prices and decisions, the same cents."""

from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from database.queries import ledger as ledger_queries
from database.queries import positions as position_queries
from quant.backtest import Prices, run_backtest
from quant.costs import STANDARD_COSTS, VOLUME_SESSIONS
from quant.simulator import settle_account
from tests.factories.market import Market, create_market
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.quotes import create_dividend
from tests.factories.targets import create_target, equal_weights

D = Decimal


@pytest.fixture
def market(session: Session) -> Market:
    return create_market(session, instruments=12, sessions=40)


def read_prices(session: Session, market: Market) -> Prices:
    """The market's bars as arrays (sessions, instruments), as a backtest reads them."""
    shape = (len(market.instrument_ids), len(market.sessions))
    rows = session.execute(text("select open, close, volume from daily_bars order by instrument_id, session_on")).all()
    opened, closed, volume = (np.array([row[k] for row in rows], dtype=float).reshape(shape).T for k in range(3))
    average = np.array([volume[max(0, n - VOLUME_SESSIONS + 1) : n + 1].mean(axis=0) for n in range(shape[1])])
    dividend = np.zeros_like(closed)
    paid = session.execute(text("select instrument_id, ex_on, amount_usd from corporate_actions"))
    for instrument_id, ex_on, amount in paid:
        dividend[market.sessions.index(ex_on), market.instrument_ids.index(instrument_id)] = float(amount)
    return Prices(*(np.ascontiguousarray(values) for values in (opened, closed, average, dividend)))


class TestSameAccounting:
    def test_one_night_agrees_with_the_kernel_to_the_cent(self, session: Session, market: Market) -> None:
        """Also where cash is short at the open and the floor cuts the last buy."""
        night, place = market.sessions[-3], len(market.sessions) - 3
        session.execute(
            text("update daily_bars set open = open * 1.07, high = high * 1.07 where session_on = :day"),
            {"day": market.sessions[-2]},
        )
        account = create_funded_account(session, opened_on=night, position_weight_max="0.2", cash_weight_min="0.02")
        create_target(session, account, session_on=night, weights=equal_weights(market.instrument_ids, invested="0.98"))
        trade_night(session, as_of=night)
        prices = read_prices(session, market)
        orders = session.execute(text("select instrument_id, quantity, filled_quantity from orders")).all()
        wanted = {row.instrument_id: int(row.quantity) for row in orders}
        cash, outcomes = settle_account(
            cash_usd=D("1000000.00"),
            shares=[0] * len(market.instrument_ids),
            orders=[wanted.get(key, 0) for key in market.instrument_ids],
            prices=[D(str(value)) for value in prices.open[place + 1].tolist()],
            volumes=prices.volume[place].tolist(),
            floor_usd=D("20000.00"),
            costs=STANDARD_COSTS,
        )
        filled = {row.instrument_id: int(row.filled_quantity) for row in orders}
        assert [filled.get(key, 0) for key in market.instrument_ids] == [outcome.executed for outcome in outcomes]
        assert any(0 < filled[key] < wanted[key] for key in wanted), "the case must cut a buy"
        booked = session.execute(
            text("select sum(amount_usd) from journal_lines where ledger_account = 'cash'")
        ).scalar_one()
        assert booked == cash >= D("20000.00")

    def test_a_month_agrees_with_the_backtest_to_the_cent(self, session: Session, market: Market) -> None:
        """Shares as the desk decided them, handed to the backtest as weights: the same value on every session."""
        start = len(market.sessions) - 12
        account = create_funded_account(
            session,
            opened_on=market.sessions[start],
            position_weight_max="0.3",
            cash_weight_min="0.02",
            drift_threshold="0",
            trade_usd_min="0",
        )
        key = account.account_id
        for number, amount in enumerate(("0.37", "1.255", "0.085")):
            create_dividend(
                session, market.instrument_ids[number], ex_on=market.sessions[start + 2 + number], amount_usd=amount
            )
        decided, weights = [], []
        for place in range(start, len(market.sessions) - 1):
            if (place - start) % 3 == 0:
                stocks = market.instrument_ids[(place - start) // 3 : (place - start) // 3 + 8]
                create_target(
                    session,
                    account,
                    session_on=market.sessions[place],
                    weights=equal_weights(stocks, invested="0.90"),
                )
            trade_night(session, as_of=market.sessions[place])
        trade_night(session, as_of=market.last_on)
        history = position_queries.valuation_history(session, account_id=key)
        traded = {
            (row.session_on, row.instrument_id): int(row.signed)
            for row in session.execute(
                text("""
                    select o.session_on, o.instrument_id,
                           case o.side when 'buy' then o.quantity else -o.quantity end as signed
                    from orders o
                """)
            )
        }
        prices = read_prices(session, market)
        held = np.zeros(len(market.instrument_ids))
        for place in range(start, len(market.sessions) - 1):
            row = history[place - start]
            value = float(row.cash_usd + row.securities_usd)
            change = [traded.get((market.sessions[place], key), 0) for key in market.instrument_ids]
            if any(change):
                held += np.array(change)
                # Half a share on top: the backtest rounds down, and must land on the shares that were decided.
                decided.append(place - start)
                weights.append(np.where(held > 0, (held + 0.5) * prices.close[place] / value, 0.0))
        tested = run_backtest(
            Prices(
                *(
                    np.ascontiguousarray(values[start:])
                    for values in (prices.open, prices.close, prices.volume, prices.dividend)
                )
            ),
            decided=np.array(decided),
            weights=np.array(weights),
            cash_usd=1_000_000.0,
            cash_weight_min=0.02,
        )
        assert [row.cash_usd + row.securities_usd for row in history] == [
            D(f"{value:.2f}") for value in tested.values_usd.tolist()
        ]
        assert len(decided) >= 4
        assert ledger_queries.trial_balance(session, account_id=key)["dividends"] < 0
