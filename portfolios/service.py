"""The verbs on portfolios for doors. All read; each takes a `View`, which says whose and as of when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from core.money import Money
from database.queries import portfolios as queries
from database.queries import standings as standing_queries
from database.session import Session
from portfolios.allocation import Slice, by_sector, by_strategy
from portfolios.book import Book, Prices, read_books
from portfolios.drift import Drift, measure_drift
from portfolios.facts import Facts, read_history, state_facts
from portfolios.health import Health, advise, assess, combine_healths
from portfolios.history import Path, read_path
from portfolios.holdings import Portfolio, combine
from portfolios.lots import LotLine, closed_lots, open_lots
from portfolios.performance import PERIODS, Month, Period, Risk, measure_period, measure_risk, monthly_returns
from portfolios.practice import Practice, sum_practice
from portfolios.view import Kind, View, open_view

__all__ = [
    "Kind",
    "View",
    "open_view",
    "read_allocation",
    "read_drift",
    "read_health",
    "read_holdings",
    "read_lots",
    "read_peers",
    "read_performance",
    "read_practice",
    "read_summary",
]

PEERS_MIN = 5


@dataclass(frozen=True)
class Allocation:
    """Where the money is, in two ways of cutting it."""

    portfolio: Portfolio
    sectors: list[Slice]
    strategies: list[Slice]


@dataclass(frozen=True)
class Performance:
    """How it went, with the path itself."""

    path: Path
    periods: list[Period]
    risk: Risk
    months: list[Month]


@dataclass(frozen=True)
class AccountSummary:
    """One account of the subject."""

    book: Book
    value_usd: Money
    is_partial: bool
    drift: Drift
    health: float | None


@dataclass(frozen=True)
class Summary:
    """The head of a client's page; `notes` say what a figure leaves out or includes."""

    portfolio: Portfolio
    day: Period
    year_to_date: Period
    inception: Period
    drifts: list[Drift]
    health: Health
    accounts: list[AccountSummary]
    notes: list[str]


@dataclass(frozen=True)
class Peers:
    """Where a client's health stands in the firm; `below` is the share with a lower score, to five percent."""

    peers: int | None
    below: float | None
    why: str | None


def read_holdings(session: Session, view: View) -> Portfolio:
    """What is held."""
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    return combine(books, prices, as_of=view.moment.as_of)


def read_allocation(session: Session, view: View) -> Allocation:
    """Where the money is."""
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    portfolio = combine(books, prices, as_of=view.moment.as_of)
    return Allocation(portfolio, by_sector(portfolio, books, prices), by_strategy(portfolio, books, prices))


def read_drift(session: Session, view: View) -> list[Drift]:
    """How far each account is from its target."""
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    return [measure_drift(book, prices) for book in books]


def read_health(session: Session, view: View) -> Health:
    """The score with what would improve it."""
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    facts = _read_facts(session, books, prices, view.moment.as_of)
    return combine_healths([advise(one) for one in facts], [one.total for one in facts]) if facts else _no_health()


def read_peers(session: Session, *, client_id: int) -> Peers:
    """A client's place among the firm's, without telling of any other."""
    place = standing_queries.health_place(session, client_id=client_id, peers_min=PEERS_MIN)
    if place is None:
        why = f"the client has no score yet, or fewer than {PEERS_MIN} others of the firm have one"
        return Peers(None, None, why)
    return Peers(place.peers, place.below, None)


def read_lots(session: Session, view: View, *, status: Literal["open", "closed"], year: int | None) -> list[LotLine]:
    """Open lots (bought in `year`, if given), or what sales closed (in `year`, if given)."""
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    if status == "open":
        lines = open_lots(books, prices, as_of=view.moment.as_of)
        return [line for line in lines if year is None or line.opened_on.year == year]
    closed = queries.lots_closed(
        session,
        account_ids=[book.account_id for book in books],
        first_on=date.min if year is None else date(year, 1, 1),
        until_on=min(view.moment.until_on, date.max if year is None else date(year, 12, 31)),
    )
    stocks = queries.stocks_of(session, instrument_ids={lot.instrument_id for lot in closed})
    return closed_lots(books, closed, stocks)


def read_performance(session: Session, view: View) -> Performance:
    """How it went up to the last close."""
    path = read_path(session, account_ids=view.account_ids, until_on=view.moment.as_of)
    return Performance(
        path, [measure_period(path, name) for name in PERIODS], measure_risk(path), monthly_returns(path)
    )


def read_practice(session: Session, view: View) -> tuple[Practice, Performance]:
    """The desk's home."""
    return sum_practice(session, view), read_performance(session, view)


def read_summary(session: Session, view: View) -> Summary:
    """What a client's page begins with, in one go."""
    as_of = view.moment.as_of
    books, prices = read_books(session, accounts=view.accounts, moment=view.moment)
    portfolio = combine(books, prices, as_of=as_of)
    path = read_path(session, account_ids=view.account_ids, until_on=as_of)
    facts = _read_facts(session, books, prices, as_of)
    healths = [assess(one) for one in facts]
    drifts = [one.drift for one in facts]
    return Summary(
        portfolio=portfolio,
        day=measure_period(path, "day"),
        year_to_date=measure_period(path, "year_to_date"),
        inception=measure_period(path, "inception"),
        drifts=drifts,
        health=combine_healths(healths, [one.total for one in facts]) if facts else _no_health(),
        accounts=[
            AccountSummary(book, book.value_usd(prices), bool(one.unpriced), one.drift, health.score)
            for book, one, health in zip(books, facts, healths, strict=True)
        ],
        notes=_notes(portfolio, path, as_of),
    )


def _read_facts(session: Session, books: Sequence[Book], prices: Prices, as_of: date) -> list[Facts]:
    held = {lot.instrument_id for book in books for lot in book.lots}
    planned = {key for book in books if book.plan is not None for key in book.plan.weights}
    history = read_history(session, instrument_ids=held | planned, as_of=as_of)
    return [state_facts(book, prices, history) for book in books]


def _no_health() -> Health:
    return Health(None, "there is no open account", ())


def _notes(portfolio: Portfolio, path: Path, as_of: date) -> list[str]:
    notes = []
    if portfolio.missing:
        notes.append(f"The totals leave out {', '.join(portfolio.missing)}: there is no price for it.")
    if portfolio.stale:
        notes.append(f"The price of {', '.join(portfolio.stale)} is older than the market's newest session.")
    later = [holding.symbol for holding in portfolio.holdings if holding.bought_after]
    if later:
        notes.append(f"{len(later)} holdings include shares bought after {as_of}; they count at that session's close.")
    if path.sessions and path.sessions[-1] < as_of:
        notes.append(f"Performance ends on {path.sessions[-1]}, the last close at which the account was valued.")
    return notes
