"""A night that dies anywhere and is run again ends as if it had not died."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from core.config import REPOSITORY
from database.session import transaction
from tests.factories.market import Market, create_market
from tests.factories.nights import create_funded_account
from tests.factories.targets import create_target, equal_weights
from tests.trading.killed_night import run_night

_numbers = count(1)
VERBS = (
    "settle_book",
    "propose_orders",
    "check_orders",
    "approve_autonomous",
    "claim_orders",
    "send_orders",
    "record_answers",
    "reconcile_book",
    "value_accounts",
)
LABELS = [label for verb in VERBS for label in (f"inside:{verb}", verb)]


class PowerCutError(Exception):
    """Stands for the process's death."""


def die_at(label: str) -> Callable[[str], None]:
    def at(passed: str) -> None:
        if passed == label:
            raise PowerCutError

    return at


def stay(_: str) -> None:
    """Nothing happens."""


@pytest.fixture(scope="module")
def market(committed_database: str) -> Market:
    with transaction() as session:
        return create_market(session, instruments=14, sessions=30)


@pytest.fixture(scope="module")
def undisturbed(market: Market) -> dict[str, Any]:
    """What two nights without any death leave."""
    book = make_book(market)
    for night in nights(market):
        run_night(night, book, stay)
    return outcome(book)


def nights(market: Market) -> tuple[date, date]:
    return market.sessions[-4], market.sessions[-3]


def make_book(market: Market) -> str:
    """A book with one account and targets for two nights, the second of which turns over a third."""
    book = f"case {next(_numbers)}"
    with transaction() as session:
        account = create_funded_account(session, opened_on=market.sessions[-5], book=book, position_weight_max="0.12")
        for number, night in enumerate(nights(market)):
            stocks = market.instrument_ids[number * 3 : number * 3 + 9]
            create_target(session, account, session_on=night, weights=equal_weights(stocks, invested="0.95"))
    return book


def outcome(book: str) -> dict[str, Any]:
    """Everything that must not depend on how often the night was tried: no ids, no clocks."""
    queries = {
        "holdings": "p.instrument_id, p.quantity, p.cost_usd from positions p",
        "lots": "p.instrument_id, p.opened_on, p.quantity, p.remaining, p.remaining_cost_usd from tax_lots p",
        "orders": "p.instrument_id, p.session_on, p.side, p.quantity, p.filled_quantity, p.state from orders p",
        "entries": "p.booked_on, p.kind, p.source_key like 'fill:%' from journal_entries p",
        "cash": "p.booked_on, l.amount_usd from journal_entries p join journal_lines l using (entry_id)",
        "valuations": "p.session_on, p.cash_usd, p.securities_usd from account_valuations p",
    }
    with transaction() as session:
        return {
            name: sorted(
                map(
                    tuple,
                    session.execute(
                        text(f"select {query} join accounts a on a.account_id = p.account_id where a.book = :book"),
                        {"book": book},
                    ),
                ),
                key=str,
            )
            for name, query in queries.items()
        }


class TestDeath:
    @pytest.mark.parametrize("label", LABELS)
    def test_the_night_again_doubles_nothing_and_loses_nothing(
        self, market: Market, undisturbed: dict[str, Any], label: str
    ) -> None:
        book = make_book(market)
        first, second = nights(market)
        run_night(first, book, stay)
        with pytest.raises(PowerCutError):
            run_night(second, book, die_at(label))
        run_night(second, book, stay)
        assert outcome(book) == undisturbed

    @pytest.mark.slow
    @pytest.mark.servers
    def test_kill_9_of_a_real_process(self, market: Market, undisturbed: dict[str, Any]) -> None:
        """Killed when the broker has the orders and nothing of that is written down."""
        book = make_book(market)
        first, second = nights(market)
        run_night(first, book, stay)
        died = subprocess.run(
            [sys.executable, "-m", "tests.trading.killed_night", book, str(second), "inside:record_answers"],
            cwd=REPOSITORY,
            check=False,
            timeout=120,
        )
        assert died.returncode == -signal.SIGKILL
        run_night(second, book, stay)
        assert outcome(book) == undisturbed

    def test_the_whole_night_again_changes_nothing(self, market: Market, undisturbed: dict[str, Any]) -> None:
        book = make_book(market)
        for night in nights(market):
            run_night(night, book, stay)
            run_night(night, book, stay)
        assert outcome(book) == undisturbed
