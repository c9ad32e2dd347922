"""Money of paper accounts: what may be taken out, what is warned of, when it is booked."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from auth.audit import read_trail
from core.errors import Refused
from tests.factories.nights import create_funded_account, trade_night
from tests.factories.quotes import NIGHT, create_priced_stock
from tests.factories.targets import create_target
from tests.trading.test_ledger import create_fill
from trading import service
from trading.closing import archive_client, close_account
from trading.ledger import book_fills
from trading.paper import deposit, reset_account, withdraw

D = Decimal


def move(session: Session, account_id: int, amount: str, *, out: bool = True, reference: str = "r") -> list[str]:
    act = withdraw if out else deposit
    return act(
        session,
        account_id=account_id,
        amount_usd=D(amount),
        reference=reference,
        note=None,
        as_of=NIGHT,
        actor="ann",
    ).warnings


class TestWithdraw:
    def test_what_open_buys_need_stays(self, session: Session) -> None:
        stock = create_priced_stock(session, "AAA")
        account = create_funded_account(session, opened_on=NIGHT)
        create_target(session, account, session_on=NIGHT, weights={stock: D("0.05")})
        session.execute(text("delete from daily_bars where session_on > :on"), {"on": NIGHT})
        trade_night(session, as_of=NIGHT)
        # 500 shares at 100 USD wait for the next open.
        with pytest.raises(Refused, match=r"orders under way need 50,000\.00: take out at most 950,000\.00"):
            move(session, account.account_id, "950000.01")
        move(session, account.account_id, "950000.00")

    def test_under_the_mandates_floor_it_warns(self, session: Session) -> None:
        """10,000 USD in a stock: beside it 10,000 in cash are enough for a floor of 10 %, 500 are not."""
        stock = create_priced_stock(session, "AAA")
        account = create_funded_account(session, opened_on=NIGHT, cash_weight_min="0.10")
        key = account.account_id
        fill = create_fill(session, account, stock, side="buy", quantity=100, commission="0.00")
        book_fills(session, account_id=key, fills=[fill], closed_on=None)
        assert move(session, key, "980000.00") == []
        (warning,) = move(session, key, "9500.00", reference="more")
        assert "cash is then 4.76% of the account, the mandate keeps at least 10.00%" in warning

    def test_a_closed_day_is_not_booked_into(self, session: Session) -> None:
        key = create_funded_account(session, opened_on=NIGHT).account_id
        service.value_accounts(session, as_of=NIGHT, book="paper")
        move(session, key, "1.00")
        booked = session.execute(text("select booked_on from journal_entries where kind = 'withdrawal'")).scalar_one()
        assert booked == date(2017, 7, 1)

    def test_one_reference_is_one_movement(self, session: Session) -> None:
        key = create_funded_account(session, opened_on=NIGHT).account_id
        move(session, key, "1.00", out=False)
        with pytest.raises(Refused, match="booked already"):
            move(session, key, "2.00", out=False)
        move(session, key, "2.00", out=False, reference="another")
        trail = [row.action for row in read_trail(session, subject="account", subject_id=key)]
        assert trail == ["deposit", "deposit"]

    def test_a_replays_money_is_left_alone(self, session: Session) -> None:
        key = create_funded_account(session, opened_on=NIGHT, book="replay").account_id
        with pytest.raises(Refused, match="replay account"):
            move(session, key, "1.00")


class TestClosing:
    def test_what_waited_for_a_decision_is_void(self, session: Session) -> None:
        stock = create_priced_stock(session, "AAA")
        account = create_funded_account(session, opened_on=NIGHT, autonomous=False, position_weight_max="0.5")
        create_target(session, account, session_on=NIGHT, weights={stock: D("0.1")})
        trade_night(session, as_of=NIGHT)
        status = "select status from recommendations"
        assert session.execute(text(status)).scalars().all() == ["proposed"]
        close_account(session, account_id=account.account_id, closed_on=NIGHT, reason="done", actor="ann")
        assert session.execute(text(status)).scalars().all() == ["expired"]

    def test_an_archived_clients_accounts_take_part_in_no_night(self, session: Session) -> None:
        stock = create_priced_stock(session, "AAA")
        account = create_funded_account(session, opened_on=NIGHT)
        archive_client(session, client_id=account.client_id, reason="left", actor="ann")
        create_target(session, account, session_on=NIGHT, weights={stock: D("0.05")})
        trade_night(session, as_of=NIGHT)
        assert session.execute(text("select count(*) from recommendations")).scalar_one() == 0

    def test_a_long_name_is_kept_within_its_bounds(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT)
        name = "x" * 200
        session.execute(text("update accounts set name = :name"), {"name": name})
        session.expire_all()
        opened = reset_account(
            session, account_id=account.account_id, confirm=name, initial_cash_usd=None, as_of=NIGHT, actor="ann"
        )
        assert (opened.name, opened.initial_cash_usd) == (name, D("1000000.00"))
        session.refresh(account)
        assert account.name.endswith(f" (until 2017-06-30, no. {account.account_id})")
