"""The nightly verbs over a stretch of history, on copies of the firm's accounts."""

import time
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from clients.service import PAPER_BOOK
from core.errors import DataMissing, InputError
from core.progress import Progress, silent
from database.queries.accounts import accounts_in_book
from database.queries.macro_series import read_macro
from database.queries.positions import valuation_history
from database.queries.runs import count_runs, exclusive_run
from database.session import transaction
from features.service import build_features
from market_data.calendars import next_session, sessions_between
from market_data.service import latest_session
from mlops.night import JOB as NIGHTLY
from mlops.night import run_night
from quant.service import detect_regimes
from quant.stats import YEAR_ENOUGH_SESSIONS, measure_performance
from trading.service import clone_book

JOB = "replay"
BENCHMARK = "SPX"
_ANNUALISED = ("annual_return", "annual_volatility", "sharpe", "excess_return", "information_ratio")

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


def measures_of(values: Floats, index: Floats | None) -> dict[str, Any]:
    """Performance beside the index, as JSON; what is annualised is None for less than a year."""
    told = measure_performance(values, index).as_dict()
    return told if told["sessions"] >= YEAR_ENOUGH_SESSIONS else {**told, **dict.fromkeys(_ANNUALISED)}


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
