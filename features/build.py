"""Build what is stale. A year's features are a function of this room's code and of the data known up to that year.

Each year is its own unit of work: its file is written and named, then the register takes it in one transaction. A crash
leaves finished years finished and the year in hand as it was.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import polars as pl

from core.errors import DataMissing
from core.progress import Progress
from database.queries import bars, corporate_actions, fundamentals, index_memberships, instruments, macro_series
from database.queries import features as register
from database.session import Session, advisory_lock, transaction
from features.facts import SHARES
from features.library import FEATURES
from features.matrix import Matrix, compute_matrix
from features.panel import assemble
from features.store import KEYS, frame_of, hash_of, path_of, remove_superseded, write_year

# Before the year's first session: the longest look-back is 252 sessions; the rest is room for halts.
LOOK_BACK_DAYS = 470
# The newest superseded file stays for whoever is about to open it.
_FILES_KEPT = 2
# Of these data sets only the look-back matters to a year, of all others everything known before its end.
_LOOKED_BACK_AT = ("corporate_actions", "daily_bars")
Vintage = dict[str, dict[str, int]]


@dataclass(frozen=True)
class BuildReport:
    """What a build did: years built anew and left as they were, rows written, the newest session with bars."""

    years_built: tuple[int, ...]
    years_fresh: tuple[int, ...]
    rows_written: int
    features: int
    last_on: date


@dataclass(frozen=True, eq=False)
class _Tables:
    """What all years share, read once; a year sees of it only what was known then."""

    instruments: pl.DataFrame
    memberships: pl.DataFrame
    dividends: pl.DataFrame
    facts: pl.DataFrame
    shares: pl.DataFrame
    macro: pl.DataFrame


def build_stale(*, progress: Progress) -> BuildReport:
    """Build the years whose code or data have changed since they were built; see `BuildReport`."""
    with transaction() as session:
        last_on = bars.last_session_on(session)
        if last_on is None:
            raise DataMissing("there are no bars yet: load some with `acis data load-sample` or `acis data import`")
        versions = bars.vintages(session, last_year=last_on.year)
        current = register.current_snapshots(session)
    stocks = instruments.read_instruments().filter(pl.col("kind") == "stock")
    years = sorted(versions.get("daily_bars", {}))
    vintages = {year: _vintage_of(year, versions) for year in years}
    wanted = {year: _input_hash(vintages[year], stocks) for year in years}
    stale = [year for year in years if not _is_fresh(current.get(year), wanted[year])]
    rows = 0
    if stale:
        tables = _read_tables(stocks, as_of=last_on)
        for done, year in enumerate(stale):
            progress(f"features of {year}", done, len(stale))
            rows += _build_year(year, wanted[year], vintages[year], tables, newest=year == years[-1])
        progress("features", len(stale), len(stale))
    return BuildReport(
        years_built=tuple(stale),
        years_fresh=tuple(year for year in years if year not in stale),
        rows_written=rows,
        features=len(FEATURES),
        last_on=last_on,
    )


@cache
def code_fingerprint() -> str:
    """Hash of this room's sources: another formula makes another feature."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _first_looked_at(year: int) -> date:
    return date(year, 1, 1) - timedelta(days=LOOK_BACK_DAYS)


def _vintage_of(year: int, versions: Mapping[str, Mapping[int, int]]) -> Vintage:
    """The versions of all data that can matter to the year."""
    first = _first_looked_at(year).year
    return {
        dataset: {
            str(known): version
            for known, version in by_year.items()
            if known <= year and (known >= first or dataset not in _LOOKED_BACK_AT)
        }
        for dataset, by_year in versions.items()
    }


def _input_hash(vintage: Vintage, stocks: pl.DataFrame) -> str:
    # Of the instruments only the sectors matter: a company that is new to the list must not age what is built.
    sectors = stocks.filter(pl.col("sector").is_not_null()).select("instrument_id", "sector").sort("instrument_id")
    versions = {dataset: by_year for dataset, by_year in vintage.items() if dataset != "instruments"}
    parts = [code_fingerprint(), versions, sectors.rows()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _is_fresh(snapshot: register.Snapshot | None, input_hash: str) -> bool:
    return snapshot is not None and snapshot.input_hash == input_hash and path_of(snapshot.file_name).exists()


def _read_tables(stocks: pl.DataFrame, *, as_of: date) -> _Tables:
    items = {name for feature in FEATURES.values() for name in feature.inputs} - {SHARES}
    facts = fundamentals.read_facts(as_of=as_of)
    return _Tables(
        instruments=stocks,
        memberships=index_memberships.read_memberships(as_of=as_of),
        dividends=corporate_actions.read_dividends(as_of=as_of),
        facts=facts.filter(pl.col("item").is_in(sorted(items))),
        shares=instruments.read_market_caps(as_of=as_of),
        macro=macro_series.read_macro(as_of=as_of),
    )


def _build_year(year: int, input_hash: str, vintage: Vintage, tables: _Tables, *, newest: bool) -> int:
    """Compute, write and register one year; returns its rows, 0 where another process has just built it."""
    with transaction() as session:
        advisory_lock(session, f"features:{year}")
        if _is_fresh(register.current_snapshots(session, year=year).get(year), input_hash):
            return 0
        quotes = bars.read_bars(as_of=date(year, 12, 31), first_on=_first_looked_at(year))
        quotes = quotes.join(tables.instruments, on="instrument_id", how="semi")
        if quotes.is_empty():
            return 0
        panel = assemble(
            bars=quotes,
            instruments=tables.instruments,
            memberships=tables.memberships,
            dividends=tables.dividends,
            facts=tables.facts,
            shares=tables.shares,
            macro=tables.macro,
        )
        matrix = compute_matrix(panel, FEATURES, first_day=(date(year, 1, 1) - date(1970, 1, 1)).days)
        if not len(matrix.day):
            return 0
        frame = frame_of(matrix, panel)
        content_hash = hash_of(frame)
        register.register_snapshot(
            session,
            year=year,
            content_hash=content_hash,
            input_hash=input_hash,
            data_vintage=vintage,
            first_on=frame["session_on"][0],
            last_on=frame["session_on"][-1],
            rows=len(frame),
            columns=[name for name in frame.columns if name not in KEYS],
            file_name=write_year(year, content_hash, frame),
        )
        if newest:
            _publish_newest(session, matrix, frame["session_on"][-1])
        kept = register.newest_files(session, year=year, count=_FILES_KEPT)
    remove_superseded(year, kept)
    return len(frame)


def _publish_newest(session: Session, matrix: Matrix, session_on: date) -> None:
    """Lay the newest cross-section out for SQL users."""
    newest = matrix.day == matrix.day[-1]
    register.replace_latest_values(
        session,
        session_on=session_on,
        features=matrix.names,
        instrument_ids=matrix.instrument_id[newest],
        values=matrix.values[:, newest],
    )
