"""The nightly verbs over a stretch of history, on copies of the firm's accounts."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from clients.service import PAPER_BOOK
from core.config import get_settings
from core.errors import DataMissing, InputError
from core.jobs import Replay as ReplayJob
from core.jobs import Ticket
from core.progress import Progress, silent
from database.queries.accounts import accounts_in_book
from database.queries.backtests import book_trades, book_values
from database.queries.macro_series import read_macro
from database.queries.positions import valuation_history
from database.queries.regimes import readings_between
from database.queries.runs import count_runs, exclusive_run
from database.queries.targets import chosen_between
from database.session import transaction
from features.service import build_features
from market_data.calendars import next_session, sessions_between
from market_data.service import latest_session
from mlops.night import JOB as NIGHTLY
from mlops.night import run_night
from mlops.rehearsal import measures_of, monthly, rolling_sharpe
from quant.service import detect_regimes
from quant.stats import daily_returns
from registry import backtests
from trading.service import clone_book

JOB = "replay"
BENCHMARK = "SPX"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AccountOutcome:
    """How one account fared, hypothetically: paper trades at past prices, net of the stated costs."""

    account_id: int
    account: str
    value_start_usd: float
    value_end_usd: float
    cash_end_usd: float
    measures: dict[str, Any]


@dataclass(frozen=True)
class Replay:
    """One replay: how many sessions there were, how many nights ran now or before, and what came of it."""

    book: str
    first_on: date
    last_on: date
    sessions: int
    nights_run: int
    nights_before: int
    orders: int
    fills: int
    refused: int
    strategies: dict[str, int]
    scorers: dict[str, int]
    allocators: dict[str, int]
    regimes: dict[str, int]
    accounts: list[AccountOutcome]
    seconds: float


def book_name(first_on: date, last_on: date) -> str:
    """The book that a replay of this stretch trades."""
    return f"replay {first_on}..{last_on}"


def run_replay(*, first_on: date, last_on: date, progress: Progress = silent) -> Replay:
    """Run every night from `first_on` to `last_on`, in order, on clones of the paper accounts.

    Each night uses the models whose folds were valid on it. Nights that ran before are not run again, so a replay
    that was cut off carries on and a second one changes nothing. Raises InputError as `require_stretch`.
    """
    begun = time.perf_counter()
    sessions = require_stretch(first_on, last_on)
    book = book_name(first_on, last_on)
    with exclusive_run(JOB, last_on, book):
        build_features(progress=progress)
        with transaction() as session:
            detect_regimes(session, first_on=sessions[0], last_on=sessions[-1], progress=progress)
            clone_book(session, from_book=PAPER_BOOK, to_book=book, opened_on=sessions[0])
            before = count_runs(session, job=NIGHTLY, book=book, first_on=first_on, last_on=last_on)
        reports = []
        for done, session_on in enumerate(sessions):
            progress("nights", done, len(sessions))
            reports.append(run_night(as_of=session_on, book=book))
        progress("nights", len(sessions), len(sessions))
    return _summary(book, first_on, last_on, sessions, before, reports, time.perf_counter() - begun)


def require_stretch(first_on: date, last_on: date) -> list[date]:
    """The sessions of the stretch, or InputError: it is empty, runs backwards or goes past the last bars."""
    if last_on < first_on:
        raise InputError(f"--from is {first_on} and --to is {last_on}: the first must not be later than the last")
    sessions = sessions_between(first_on, last_on)
    if not sessions:
        raise InputError(
            f"there is no trading session from {first_on} to {last_on}; the next is {next_session(last_on)}"
        )
    with transaction() as session:
        newest = latest_session(session)
    if last_on > newest and sessions[-1] > newest:
        raise InputError(f"--to is {last_on}, but the bars end on {newest}: give {newest} or earlier")
    return sessions


def _summary(
    book: str,
    first_on: date,
    last_on: date,
    sessions: list[date],
    before: int,
    reports: list[dict[str, Any]],
    seconds: float,
) -> Replay:
    counts = [report["counts"] for report in reports]
    chosen = [report["strategy"]["name"] for report in reports]
    followed = [
        next(row for row in report["strategies"] if row["strategy"] == report["strategy"]["name"]) for report in reports
    ]
    return Replay(
        book=book,
        first_on=first_on,
        last_on=last_on,
        sessions=len(sessions),
        nights_run=len(sessions) - before,
        nights_before=before,
        orders=sum(count["orders"] for count in counts),
        fills=sum(count["fills"] for count in counts),
        refused=sum(count["refused"] for count in counts),
        strategies=_tally(chosen),
        scorers=_tally([row.get("scored_by") or "unknown" for row in followed]),
        allocators=_tally([row["allocator"] for row in followed]),
        regimes=_tally([report["regime"]["label"] for report in reports]),
        accounts=_outcomes(book, sessions),
        seconds=round(seconds, 2),
    )


def _tally(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _outcomes(book: str, sessions: list[date]) -> list[AccountOutcome]:
    index = _benchmark(sessions)
    outcomes = []
    with transaction() as session:
        for account in accounts_in_book(session, book=book):
            history = valuation_history(session, account_id=account.account_id)
            if [row.session_on for row in history] != sessions:
                raise DataMissing(
                    f"account {account.account_id} was valued on {len(history)} of {len(sessions)} sessions:"
                    f" {account.halted_reason or 'some nights are missing, run the replay again'}"
                )
            values = np.array([float(row.cash_usd + row.securities_usd) for row in history])
            comparable = index is not None and len(values) > 1
            outcomes.append(
                AccountOutcome(
                    account_id=account.account_id,
                    account=account.name,
                    value_start_usd=values[0],
                    value_end_usd=values[-1],
                    cash_end_usd=float(history[-1].cash_usd),
                    measures=measures_of(values, index if comparable else None) if len(values) > 1 else {},
                )
            )
    return outcomes


def _benchmark(sessions: list[date]) -> Floats | None:
    """The price index over the same sessions; None where a session is missing."""
    macro = read_macro(as_of=sessions[-1])
    series = dict(macro.filter(macro["series"] == BENCHMARK).select("observed_on", "value").iter_rows())
    if any(session_on not in series for session_on in sessions):
        return None
    return np.array([series[session_on] for session_on in sessions])


def perform(job: ReplayJob, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in: what the book as a whole went through is kept; no account is named."""
    told = run_replay(first_on=job.from_on, last_on=job.to_on, progress=ticket.progress)
    with transaction() as session:
        rows = book_values(session, book=told.book)
        trades = book_trades(session, book=told.book)
        regimes = readings_between(
            session, detector=get_settings().regime_detector, first_on=job.from_on, last_on=job.to_on
        )
        chosen = chosen_between(session, first_on=job.from_on, last_on=job.to_on)
    days, values = [row.session_on for row in rows], np.array([float(row.value_usd) for row in rows])
    index = _benchmark(days)
    with transaction() as session:
        backtests.keep(
            session,
            job_id=ticket.origin_id,
            measures=_book_measures(told, days, values, index),
            series=_book_series(
                days, values, index, {day: label for day, label, _ in regimes}, {day: chosen.get(day) for day in days}
            ),
            trades={name: [_plain(row._mapping[name]) for row in trades] for name in _TRADE_COLUMNS},
        )
    return {"sessions": told.sessions, "nights_run": told.nights_run, "fills": told.fills, "hypothetical": True}


# Neither shares nor dollars: of a firm with one client they would tell that client's.
_TRADE_COLUMNS = ("decided_on", "filled_on", "symbol", "side", "price_usd")
_CAVEATS = [
    "Hypothetical: copies of the paper accounts, filled on paper at past prices with the standard costs.",
    "Companies without stored prices are missing, mostly those that failed: the past looks better than it was.",
]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, Decimal) else value


def _book_measures(told: Replay, days: list[date], values: Floats, index: Floats | None) -> dict[str, Any]:
    """Of all accounts together, beside the price index; nothing where fewer than two sessions were valued."""
    counts = {name: getattr(told, name) for name in ("sessions", "orders", "fills", "refused")}
    mixes = {name: getattr(told, name) for name in ("strategies", "scorers", "allocators", "regimes")}
    known = len(values) > 1
    return {
        "hypothetical": True,
        "from_on": days[0].isoformat() if days else None,
        "to_on": days[-1].isoformat() if days else None,
        "portfolio": measures_of(values, index) if known else None,
        "index": measures_of(index, None) if known and index is not None else None,
        "months": monthly(values, index, days) if known else [],
        **counts,
        **mixes,
        "caveats": _CAVEATS,
    }


def _book_series(
    days: list[date],
    values: Floats,
    index: Floats | None,
    regimes: Mapping[date, str],
    chosen: Mapping[date, str | None],
) -> dict[str, list[Any]]:
    if not len(values):
        return {}
    return {
        "sessions": [day.isoformat() for day in days],
        "portfolio": [round(float(value / values[0]), 6) for value in values],
        "index": [None] * len(days) if index is None else [round(float(value / index[0]), 6) for value in index],
        "drawdown": [round(float(value), 6) for value in values / np.maximum.accumulate(values) - 1],
        "rolling_sharpe": rolling_sharpe(daily_returns(values)),
        "regimes": [regimes.get(day) for day in days],
        "strategies": [chosen[day] for day in days],
    }
