"""Standings: kept beside the rows that they follow from, for many accounts at once."""

from datetime import date
from decimal import Decimal

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from database.queries.standings import first_valued_on, health_place, standings_of
from database.tables.accounts import Account
from database.tables.standings import AccountStanding, UniverseDay
from portfolios.standings import keep_standings, refresh
from tests.factories.market import create_market
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NIGHT, create_priced_stock, create_stock
from tests.factories.targets import create_target
from tests.factories.trades import move_cash, trade, value

D = Decimal
EARLIER = date(2017, 6, 29)
LAST_YEAR = date(2016, 12, 30)


def standing(session: Session, account: Account) -> AccountStanding:
    session.expire_all()
    return session.scalars(select(AccountStanding).where(AccountStanding.account_id == account.account_id)).one()


class TestRefresh:
    def test_value_drift_and_what_is_off(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=EARLIER)
        aaa, bbb = create_priced_stock(session, "AAA", closes={NIGHT: 101.0}), create_priced_stock(session, "BBB")
        trade(session, account, aaa, quantity=1000, session_on=NIGHT, commission="0.00")
        create_target(session, account, session_on=NIGHT, weights={aaa: D("0.1"), bbb: D("0.1")})
        assert refresh(session, account_ids=[account.account_id], as_of=NIGHT) == 1
        found = standing(session, account)
        assert (found.session_on, found.value_usd, found.cash_usd) == (NIGHT, D("1001000.00"), D("900000.00"))
        assert abs((found.drift or 0) - D("0.1")) < D("0.001")
        assert found.off_plan_count == 1
        assert (found.day_change_usd, found.year_return) == (None, None), "never valued"

    def test_the_day_and_the_year_leave_flows_out(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=LAST_YEAR)
        value(session, account, {LAST_YEAR: ("1000000", "0"), EARLIER: ("1100000", "0"), NIGHT: ("1155000", "100000")})
        move_cash(session, account, amount="100000", booked_on=NIGHT)
        refresh(session, account_ids=[account.account_id], as_of=NIGHT)
        found = standing(session, account)
        assert found.day_change_usd == D("55000.00")
        assert abs((found.year_return or 0) - (D("1.1") * D(1255) / D(1200) - 1)) < D("1e-7")

    def test_again_after_a_trade(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=EARLIER)
        aaa = create_priced_stock(session, "AAA")
        refresh(session, account_ids=[account.account_id], as_of=NIGHT)
        trade(session, account, aaa, quantity=10, session_on=NIGHT)
        refresh(session, account_ids=[account.account_id], as_of=NIGHT)
        assert standing(session, account).cash_usd == D("998999.00")

    def test_what_nobody_can_price_keeps_the_standing_of_before(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=EARLIER)
        refresh(session, account_ids=[account.account_id], as_of=EARLIER)
        trade(session, account, create_stock(session, "DARK"), quantity=10, session_on=NIGHT)
        assert refresh(session, account_ids=[account.account_id], as_of=NIGHT) == 0
        assert standing(session, account).session_on == EARLIER

    def test_a_replay_has_none(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=EARLIER, book="replay x")
        assert refresh(session, account_ids=[account.account_id], as_of=NIGHT) == 0
        assert keep_standings(session, as_of=NIGHT, book="replay x") == 0

    def test_queries_do_not_grow_with_the_accounts(self, session: Session) -> None:
        aaa = create_priced_stock(session, "AAA")
        accounts = [create_funded_account(session, opened_on=EARLIER) for _ in range(6)]
        for account in accounts:
            trade(session, account, aaa, quantity=10, session_on=EARLIER)
            value(session, account, {EARLIER: ("999000", "1000"), NIGHT: ("999000", "1000")})

        def count(chosen: list[Account]) -> int:
            seen = []
            connection = session.connection()

            def note(*_: object) -> None:
                seen.append(1)

            event.listen(connection, "before_cursor_execute", note)
            refresh(session, account_ids=[account.account_id for account in chosen], as_of=NIGHT)
            event.remove(connection, "before_cursor_execute", note)
            return len(seen)

        assert count(accounts) == count(accounts[:1])


class TestKeepStandings:
    def test_the_universe_is_carried_on_from_the_first_close(self, session: Session) -> None:
        market = create_market(session, instruments=4, sessions=20)
        first, last = market.sessions[-5], market.sessions[-1]
        account = create_funded_account(session, opened_on=first)
        value(session, account, {first: ("1000000", "0")})
        assert first_valued_on(session) == first
        assert keep_standings(session, as_of=market.sessions[-2], book="paper") == 1
        assert keep_standings(session, as_of=last, book="paper") == 1
        kept = session.scalars(select(UniverseDay.session_on).order_by(UniverseDay.session_on)).all()
        assert list(kept) == market.sessions[-5:]
        assert standings_of(session, account_ids=[account.account_id])[account.account_id].session_on == last


class TestHealthPlace:
    def place(self, session: Session, scores: list[str], *, sees: str = "all") -> tuple[int, float] | None:
        accounts = [create_funded_account(session, opened_on=EARLIER) for _ in scores]
        for account, health in zip(accounts, scores, strict=True):
            session.add(
                AccountStanding(
                    account_id=account.account_id,
                    session_on=NIGHT,
                    value_usd=D(1000),
                    cash_usd=D(0),
                    health_score=D(health),
                )
            )
        session.flush()
        session.execute(text("select set_config('acis.sees', :sees, true)"), {"sees": sees})
        found = health_place(session, client_id=accounts[0].client_id, peers_min=5)
        return None if found is None else (found.peers, found.below)

    def test_share_below_with_ties_in_the_middle(self, session: Session) -> None:
        assert self.place(session, ["70", "60", "65", "70", "80", "90"]) == (5, 0.5)

    def test_few_peers_tell_nothing(self, session: Session) -> None:
        assert self.place(session, ["70", "60", "65", "70", "80"]) is None

    def test_who_does_not_see_the_client_hears_nothing(self, session: Session) -> None:
        assert self.place(session, ["70", "60", "65", "70", "80", "90"], sees="assigned") is None
        session.execute(text("select set_config('acis.sees', 'none', true)"))
        assert health_place(session, client_id=1, peers_min=0) is None
