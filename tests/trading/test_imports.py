"""Holdings brought in from a file: planned, booked as transfers, undone; the books agree whatever happens."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from auth.audit import read_trail
from core.errors import InputError, NotFound, Refused
from database.queries import ledger as ledger_queries
from database.tables.accounts import Account
from database.tables.holding_imports import HoldingImport
from tests.factories.nights import create_funded_account
from tests.factories.quotes import (
    NIGHT,
    SESSIONS,
    create_dividend,
    create_priced_stock,
    create_split,
    create_stock,
)
from tests.trading.test_ledger import create_fill
from trading import service
from trading.import_plan import Mode
from trading.imports import apply_import, preview_import, undo_import
from trading.ledger import book_fills, find_faults

D = Decimal
HEADER = "symbol,quantity,cost basis,purchase date"


@pytest.fixture
def account(session: Session) -> Account:
    """An account with a million in cash, and three stocks at 100 USD."""
    for symbol in ("AAA", "BBB", "CCC"):
        create_priced_stock(session, symbol)
    return create_funded_account(session, opened_on=NIGHT)


def preview(session: Session, account: Account, *rows: str, mode: Mode = "replace") -> HoldingImport:
    return preview_import(
        session,
        account_id=account.account_id,
        content="\n".join((HEADER, *rows)).encode(),
        file_name="holdings.csv",
        mode=mode,
        as_of=NIGHT,
        actor="ann",
    )


def apply(session: Session, brought: HoldingImport, *, skip_errors: bool = False) -> HoldingImport:
    done = apply_import(session, import_id=brought.holding_import_id, skip_errors=skip_errors, as_of=NIGHT, actor="ann")
    session.execute(text("set constraints all immediate"))
    session.execute(text("set constraints all deferred"))
    return done


def undo(session: Session, brought: HoldingImport) -> HoldingImport:
    return undo_import(session, import_id=brought.holding_import_id, as_of=NIGHT, actor="ann")


def held(session: Session, account: Account) -> dict[str, tuple[str, str]]:
    """Shares and cost by symbol; the books must agree."""
    assert find_faults(session, account_ids=[account.account_id]) == {}
    balance = ledger_queries.trial_balance(session, account_id=account.account_id)
    assert sum(balance.values()) == 0
    rows = session.execute(
        text("""select symbol, quantity, cost_usd from positions join instruments using (instrument_id)
                where account_id = :key order by 1"""),
        {"key": account.account_id},
    ).all()
    assert balance.get("securities", D(0)) == sum((row.cost_usd for row in rows), D(0))
    return {row.symbol: (f"{row.quantity.normalize():f}", str(row.cost_usd)) for row in rows}


def changed(brought: HoldingImport) -> dict[str, str]:
    return {one["symbol"]: one["change"] for one in brought.changes["holdings"]}


class TestPreview:
    def test_shows_what_comes_what_leaves_and_what_breaks(self, session: Session, account: Account) -> None:
        apply(session, preview(session, account, "AAA,100,5000,2016-01-04", "BBB,10,900,2016-01-04"))
        again = preview(session, account, "AAA,100,5000,2016-01-04", "CCC,5000,250000,2015-01-05")
        assert changed(again) == {"AAA": "unchanged", "BBB": "removed", "CCC": "added"}
        assert again.changes["cash_usd"] == "1000000.00"
        assert again.changes["value_before_usd"] == "1011000.00"
        assert again.changes["value_after_usd"] == "1510000.00"
        # 500,000 of 1,510,000 USD is a third; the mandate allows 8 %.
        assert [one["subject"] for one in again.changes["breaches_after"]] == ["CCC"]
        assert again.changes["breaches_before"] == []
        assert held(session, account) == {"AAA": ("100", "5000.00"), "BBB": ("10", "900.00")}

    def test_a_second_preview_puts_the_first_out_of_date(self, session: Session, account: Account) -> None:
        first, second = preview(session, account, "AAA,1,1,"), preview(session, account, "AAA,2,2,")
        session.refresh(first)
        assert (first.status, second.status) == ("superseded", "previewed")
        with pytest.raises(Refused, match="superseded: upload the file again"):
            apply(session, first)

    def test_what_only_the_database_knows_is_a_mistake_of_its_row(self, session: Session, account: Account) -> None:
        create_stock(session, "OLD")
        brought = preview(session, account, "NOPE,1,1,", "OLD,1,1,", "AAA,1,1,")
        assert [
            (row["number"], row["status"], row["errors"][0]["remedy"][:12] if row["errors"] else "")
            for row in brought.rows
        ] == [
            (2, "error", "is not known"),
            (3, "error", "has no price"),
            (4, "ok", ""),
        ]

    def test_neither_a_replays_account_nor_a_file_without_a_table(self, session: Session, account: Account) -> None:
        replay = create_funded_account(session, opened_on=NIGHT, book="replay")
        with pytest.raises(Refused, match="paper accounts only"):
            preview(session, replay, "AAA,1,1,")
        with pytest.raises(InputError, match="names the columns"):
            preview_import(
                session,
                account_id=account.account_id,
                content=b"nothing",
                file_name="x",
                mode="add",
                as_of=NIGHT,
                actor="ann",
            )


class TestApply:
    def test_lots_keep_their_cost_and_day(self, session: Session, account: Account) -> None:
        brought = apply(session, preview(session, account, "AAA,100,5000,2016-01-04", "AAA,50,6000,", "BBB,1.5,10,"))
        assert held(session, account) == {"AAA": ("150", "11000.00"), "BBB": ("1.5", "10.00")}
        lots = session.execute(
            text("select opened_on, quantity, fill_id, entry_id from tax_lots order by lot_id")
        ).all()
        assert [lot.opened_on for lot in lots] == [date(2016, 1, 4), NIGHT, NIGHT]
        assert {lot.fill_id for lot in lots} == {None}
        cash = ledger_queries.cash_on(session, account_ids=[account.account_id], until_on=date.max)
        assert cash[account.account_id] == D("1000000.00")
        assert brought.status == "applied"
        trail = read_trail(session, subject="account", subject_id=account.account_id)
        assert [(row.actor, row.action) for row in trail if row.action == "import"] == [("ann", "import")]

    def test_the_same_file_again_changes_nothing(self, session: Session, account: Account) -> None:
        rows = ("AAA,100,5000,2016-01-04", "AAA,50,6000,", "BBB,7,70,2016-01-04")
        apply(session, preview(session, account, *rows))
        with pytest.raises(Refused, match="would change nothing"):
            apply(session, preview(session, account, *rows))
        twice = preview(session, account, *rows, mode="add")
        assert "already" in twice.changes["notes"][0]
        apply(session, twice)
        assert held(session, account) == {"AAA": ("300", "22000.00"), "BBB": ("14", "140.00")}

    def test_rows_with_mistakes_stop_it_or_are_left_out(self, session: Session, account: Account) -> None:
        apply(session, preview(session, account, "AAA,100,5000,2016-01-04", "BBB,7,70,2016-01-04"))
        brought = preview(session, account, "AAA,many,5000,2016-01-04", "CCC,1,1,")
        with pytest.raises(Refused, match="mistakes in 1 rows"):
            apply(session, brought)
        apply(session, brought, skip_errors=True)
        # AAA is held, though nobody can tell how much: it stays. BBB is not in the file: it leaves.
        assert held(session, account) == {"AAA": ("100", "5000.00"), "CCC": ("1", "1.00")}

    def test_an_account_that_has_changed_since_is_refused(self, session: Session, account: Account) -> None:
        brought = preview(session, account, "AAA,100,5000,2016-01-04")
        key = position_key(session, "BBB")
        fill = create_fill(session, account, key, side="buy", quantity=1)
        book_fills(session, account_id=account.account_id, fills=[fill], closed_on=None)
        with pytest.raises(Refused, match="have changed since"):
            apply(session, brought)

    def test_shares_under_a_sale_do_not_leave(self, session: Session, account: Account) -> None:
        apply(session, preview(session, account, "AAA,100,5000,2016-01-04"))
        create_fill(session, account, position_key(session, "AAA"), side="sell", quantity=5)
        session.execute(text("update orders set state = 'accepted', filled_quantity = 0"))
        with pytest.raises(Refused, match="under way"):
            apply(session, preview(session, account, "BBB,1,1,"))

    def test_a_later_sale_takes_the_oldest_lot_at_its_cost(self, session: Session, account: Account) -> None:
        apply(session, preview(session, account, "AAA,10,2000,2017-01-03", "AAA,10,500,2010-01-04"))
        sale = create_fill(session, account, position_key(session, "AAA"), side="sell", quantity=10, price="90.0000")
        book_fills(session, account_id=account.account_id, fills=[sale], closed_on=None)
        assert held(session, account) == {"AAA": ("10", "2000.00")}
        gain = session.execute(text("select gain_usd from lot_closings")).scalar_one()
        assert gain == D("400.00")

    def test_after_a_valued_session_it_is_booked_on_the_next_day(self, session: Session, account: Account) -> None:
        service.value_accounts(session, as_of=NIGHT, book="paper")
        apply(session, preview(session, account, "AAA,100,5000,2016-01-04"))
        assert session.execute(
            text("select booked_on from journal_entries where kind = 'transfer'")
        ).scalar_one() == date(2017, 7, 1)
        value = "select securities_usd from account_valuations where session_on = :on"
        service.value_accounts(session, as_of=SESSIONS[5], book="paper")
        assert session.execute(text(value), {"on": NIGHT}).scalar_one() == D(0)
        assert session.execute(text(value), {"on": SESSIONS[5]}).scalar_one() == D("10000.00")


class TestUndo:
    def test_everything_is_as_before(self, session: Session, account: Account) -> None:
        apply(session, preview(session, account, "AAA,100,5000,2016-01-04", "BBB,7,70,2016-01-04"))
        before = held(session, account)
        brought = apply(session, preview(session, account, "AAA,60,100,2016-01-04", "CCC,5,5,"))
        assert held(session, account) == {"AAA": ("60", "100.00"), "CCC": ("5", "5.00")}
        assert undo(session, brought).status == "undone"
        assert held(session, account) == before
        reversal = session.execute(text("select * from journal_entries where kind = 'reversal'")).one()
        assert reversal.reverses_entry_id is not None
        with pytest.raises(Refused, match="nothing to undo"):
            undo(session, brought)

    def test_not_once_a_share_was_sold(self, session: Session, account: Account) -> None:
        brought = apply(session, preview(session, account, "AAA,100,5000,2016-01-04"))
        sale = create_fill(session, account, position_key(session, "AAA"), side="sell", quantity=1)
        book_fills(session, account_id=account.account_id, fills=[sale], closed_on=None)
        with pytest.raises(Refused, match="cannot be undone"):
            undo(session, brought)

    def test_not_once_a_later_import_took_them(self, session: Session, account: Account) -> None:
        first = apply(session, preview(session, account, "AAA,100,5000,2016-01-04"))
        apply(session, preview(session, account, "BBB,1,1,"))
        with pytest.raises(Refused, match="cannot be undone"):
            undo(session, first)

    def test_unknown(self, session: Session) -> None:
        with pytest.raises(NotFound, match="no import 99 here"):
            undo_import(session, import_id=99, as_of=NIGHT, actor="ann")


class TestEntitlements:
    def test_dividends_from_the_transfer_on_however_old_the_lot(self, session: Session, account: Account) -> None:
        key = position_key(session, "AAA")
        for ex_on in (date(2016, 6, 1), SESSIONS[6]):
            create_dividend(session, key, ex_on=ex_on, amount_usd="1.00")
        apply(session, preview(session, account, "AAA,100,5000,2010-01-04"))
        settled = service.settle_book(session, as_of=SESSIONS[7], book="paper")
        assert settled.dividends_usd == D("100.00")

    def test_a_split_restates_shares_brought_in_when_the_bars_were_restated(
        self, session: Session, account: Account
    ) -> None:
        apply(session, preview(session, account, "AAA,100,5000,2010-01-04", "BBB,100,5000,2010-01-04"))
        restated, as_it_was = position_key(session, "AAA"), position_key(session, "BBB")
        for key in (restated, as_it_was):
            create_split(session, key, ex_on=SESSIONS[6], ratio="2")
        session.execute(
            text("update daily_bars set open = open / 2, close = close / 2 where instrument_id = :key"),
            {"key": restated},
        )
        session.expire_all()
        assert service.settle_book(session, as_of=SESSIONS[6], book="paper").splits == 1
        assert held(session, account) == {"AAA": ("200", "5000.00"), "BBB": ("100", "5000.00")}


def position_key(session: Session, symbol: str) -> int:
    key: int = session.execute(
        text("select instrument_id from instruments where symbol = :symbol"), {"symbol": symbol}
    ).scalar_one()
    return key


lot = st.tuples(st.sampled_from(("AAA", "BBB", "CCC")), st.integers(1, 50), st.integers(0, 9_999), st.integers(1, 28))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(("replace", "add", "undo")), st.lists(lot, max_size=4)), max_size=6))
def test_any_life_of_imports_adds_up(
    session: Session, account: Account, steps: list[tuple[str, list[tuple[str, int, int, int]]]]
) -> None:
    """Whatever is brought in and undone, the books agree, and `replace` leaves exactly what the file tells."""
    with session.begin_nested() as savepoint:
        booked: list[HoldingImport] = []
        for kind, lots in steps:
            rows = {f"{symbol},{shares},{cents / 100:.2f},2016-01-{day:02d}" for symbol, shares, cents, day in lots}
            try:
                if kind == "undo":
                    if booked:
                        undo(session, booked.pop())
                elif rows:
                    mode: Mode = "replace" if kind == "replace" else "add"
                    booked.append(apply(session, preview(session, account, *sorted(rows), mode=mode)))
            except Refused:
                continue
            found = held(session, account)
            if kind == "replace" and rows:
                wanted: dict[str, int] = {}
                for row in rows:
                    symbol, shares, *_ = row.split(",")
                    wanted[symbol] = wanted.get(symbol, 0) + int(shares)
                assert {symbol: int(shares) for symbol, (shares, _) in found.items()} == wanted
        savepoint.rollback()
