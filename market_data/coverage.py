"""How much of the market is there: by year against the true index, how fresh each data set is, where a stock has gaps.

Reads rows only and loads no library of files, so that every process may ask.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from database.queries import loads
from database.queries.bars import bar_counts, last_session_on, quarantine_counts
from database.queries.charts import bar_sessions_of
from database.queries.fundamentals import fact_counts
from database.queries.index_memberships import coverage_on
from database.queries.macro_series import series_spans
from database.session import Session
from market_data.calendars import sessions_between

INDEX = "SP500"
# Under this share of the true members the history flatters: the missing ones are mostly those that failed.
COVERAGE_WARNED_BELOW = 0.95


@dataclass(frozen=True)
class YearCoverage:
    """One year: its bars, and the index members with bars on its last session against all true members."""

    year: int
    bars: int
    instruments: int
    last_on: date
    members: int
    members_with_bars: int
    coverage: float | None


@dataclass(frozen=True)
class SeriesSpan:
    """One market-wide series: its last value known and how many there are."""

    series: str
    title: str
    last_on: date
    observations: int


@dataclass(frozen=True)
class FactYear:
    """Company facts that became known in one year."""

    year: int
    facts: int
    companies: int
    last_period_end_on: date


@dataclass(frozen=True)
class DataStatus:
    """What is there as of a date."""

    as_of: date
    last_session_on: date | None
    years: tuple[YearCoverage, ...]
    series: tuple[SeriesSpan, ...]
    facts: tuple[FactYear, ...]
    quarantined_by_reason: dict[str, int]
    warnings: tuple[str, ...]


def data_status(session: Session, *, as_of: date) -> DataStatus:
    """Coverage per year against true index membership, last dates, counts of facts and of refused rows, warnings."""
    counts = bar_counts(session, as_of=as_of)
    coverage = coverage_on(session, days=[last_on for *_, last_on in counts], index_name=INDEX)
    years = []
    for year, bars, instruments, last_on in counts:
        total, have = coverage[last_on]
        years.append(YearCoverage(year, bars, instruments, last_on, total, have, have / total if total else None))
    facts = tuple(FactYear(*row) for row in fact_counts(session, as_of=as_of))
    return DataStatus(
        as_of=as_of,
        last_session_on=years[-1].last_on if years else None,
        years=tuple(years),
        series=tuple(SeriesSpan(*row) for row in series_spans(session, as_of=as_of)),
        facts=facts,
        quarantined_by_reason=quarantine_counts(session),
        warnings=_warnings(years),
    )


def _warnings(years: Sequence[YearCoverage]) -> tuple[str, ...]:
    if not years:
        return ("no bars are loaded: run acis data load-sample or acis data import FILE",)
    thin = [year for year in years if year.coverage is not None and year.coverage < COVERAGE_WARNED_BELOW]
    if not thin:
        return ()
    worst = min(thin, key=lambda year: year.coverage or 0.0)
    return (
        f"survivorship: {len(thin)} of {len(years)} years cover under {COVERAGE_WARNED_BELOW:.0%} of the true index"
        f" members (worst {worst.year}: {worst.members_with_bars} of {worst.members}); the missing ones are mostly"
        " companies that failed or were bought, so results of those years look better than they were",
    )


@dataclass(frozen=True)
class Freshness:
    """One data set: the newest day that it tells of, how many sessions that is before `as_of`, when it last changed.

    `newest_on` is None where there is nothing up to `as_of`.
    """

    dataset: str
    newest_on: date | None
    sessions_behind: int | None
    changed_at: datetime | None
    version: int | None


def freshness(session: Session, *, as_of: date) -> list[Freshness]:
    """Every data set, by name, from the bars to the features that were made of them."""
    changes = loads.newest_changes(session)
    newest = {"daily_bars": last_session_on(session, as_of=as_of), **loads.newest_days(session, as_of=as_of)}
    return [
        Freshness(
            dataset=name,
            newest_on=day,
            sessions_behind=None if day is None else len(sessions_between(day + timedelta(days=1), as_of)),
            changed_at=changes[name].changed_at if name in changes else None,
            version=changes[name].version if name in changes else None,
        )
        for name, day in sorted(newest.items())
    ]


@dataclass(frozen=True)
class Gap:
    """Sessions in a row without a bar, between bars."""

    from_on: date
    to_on: date
    sessions: int


@dataclass(frozen=True)
class Bars:
    """From when to when an instrument has bars, how many, and where some are missing."""

    first_on: date | None
    last_on: date | None
    bars: int
    sessions: int
    gaps: tuple[Gap, ...]


def bars_of_instrument(session: Session, *, instrument_id: int, as_of: date) -> Bars:
    """The instrument's bars up to `as_of` against the exchange's calendar."""
    have = bar_sessions_of(session, instrument_id=instrument_id, as_of=as_of)
    if not have:
        return Bars(None, None, 0, 0, ())
    expected = sessions_between(have[0], have[-1])
    return Bars(have[0], have[-1], len(have), len(expected), find_gaps(expected, have))


def find_gaps(expected: Sequence[date], have: Collection[date]) -> tuple[Gap, ...]:
    """The stretches of `expected` (rising) that are not in `have`."""
    there = set(have)
    return tuple(
        Gap(missing[0], missing[-1], len(missing))
        for is_there, days in groupby(expected, key=lambda day: day in there)
        if not is_there and (missing := list(days))
    )
