"""Loads the shipped sample. Each file is one step, recognised by its content, so a second load finds nothing to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from core.clock import now
from core.progress import Progress
from database.queries.bars import finish_batch, raise_vintages, take_batch
from database.queries.fundamentals import merge_facts
from database.queries.index_memberships import merge_memberships
from database.queries.instruments import ids_by_symbol, merge_instruments, merge_market_caps
from database.queries.macro_series import merge_observations, merge_series
from database.session import Session, transaction
from market_data.calendars import all_sessions
from market_data.coverage import INDEX
from market_data.files import content_hash
from market_data.ingest import NO_YEAR, FileImport, import_file

SAMPLE_DIR = Path(__file__).parent
SOURCE = "sample"
# The source has no filing dates; 90 days after the period's end annual reports of large companies are out.
REPORT_LAG = timedelta(days=90)
_FUND = "USD, adjusted close"
_FUND_SOURCE = "Huge Stock Market Dataset"
SERIES = (
    ("VIX", "CBOE Volatility Index", "percent a year", "datasets/finance-vix"),
    ("SPX", "S&P 500 price index", "index points", "skfolio"),
    ("DGS3MO", "Treasury yield, 3 months", "percent a year", "Federal Reserve H.15"),
    ("DGS2", "Treasury yield, 2 years", "percent a year", "Federal Reserve H.15"),
    ("DGS10", "Treasury yield, 10 years", "percent a year", "Federal Reserve H.15"),
    ("SPY", "S&P 500 fund", _FUND, _FUND_SOURCE),
    ("XLB", "Materials fund", _FUND, _FUND_SOURCE),
    ("XLE", "Energy fund", _FUND, _FUND_SOURCE),
    ("XLF", "Financials fund", _FUND, _FUND_SOURCE),
    ("XLI", "Industrials fund", _FUND, _FUND_SOURCE),
    ("XLK", "Technology fund", _FUND, _FUND_SOURCE),
    ("XLP", "Consumer staples fund", _FUND, _FUND_SOURCE),
    ("XLU", "Utilities fund", _FUND, _FUND_SOURCE),
    ("XLV", "Health care fund", _FUND, _FUND_SOURCE),
    ("XLY", "Consumer discretionary fund", _FUND, _FUND_SOURCE),
)
_NOT_FACTS = ("symbol", "period_end_on", "split_factor", "market_cap_usd", "estimated_shares_outstanding")


@dataclass(frozen=True)
class SampleLoad:
    """What `load_sample` did: rows by file (None where the file was there already), and the bars in full."""

    rows: dict[str, int | None]
    bars: FileImport


def _load_instruments(session: Session, frame: pl.DataFrame) -> None:
    rows = frame.select("symbol", "name", "sector", "industry", "cik").rows()
    if merge_instruments(session, rows, kind="stock"):
        raise_vintages(session, dataset="instruments", years={NO_YEAR})


def _with_ids(session: Session, frame: pl.DataFrame) -> pl.DataFrame:
    ids = ids_by_symbol(session, symbols=frame["symbol"].unique().to_list())
    return frame.with_columns(instrument_id=pl.col("symbol").replace_strict(ids, return_dtype=pl.Int32))


def _load_memberships(session: Session, frame: pl.DataFrame) -> None:
    rows = _with_ids(session, frame).select("instrument_id", "start_on", "end_on").rows()
    years = merge_memberships(session, rows, index_name=INDEX)
    raise_vintages(session, dataset="index_memberships", years=years)


def _load_macro(session: Session, frame: pl.DataFrame) -> None:
    """A closing value is known that evening, a yield with the next session; a day without trading counts on."""
    merge_series(session, list(SERIES))
    sessions = pl.DataFrame({"known_on": all_sessions()}, schema={"known_on": pl.Date})
    yields = pl.col("series").str.starts_with("DGS")
    rows = (
        frame.with_columns(
            usable_on=pl.col("observed_on") + pl.when(yields).then(pl.duration(days=1)).otherwise(pl.duration())
        )
        .sort("usable_on")
        .join_asof(sessions, left_on="usable_on", right_on="known_on", strategy="forward", coalesce=False)
        .select("series", "observed_on", "known_on", "value")
    )
    raise_vintages(session, dataset="macro_series", years=merge_observations(session, rows.rows()))


def _load_fundamentals(session: Session, frame: pl.DataFrame) -> None:
    """Facts in long form, per-share facts and share counts on the split basis of the bars."""
    known = _with_ids(session, frame).with_columns(
        known_on=pl.col("period_end_on") + REPORT_LAG,
        earnings_per_share=pl.col("earnings_per_share") / pl.col("split_factor"),
    )
    facts = (
        known.drop(_NOT_FACTS[0], *_NOT_FACTS[2:])
        .unpivot(index=["instrument_id", "period_end_on", "known_on"], variable_name="item", value_name="value")
        .drop_nulls("value")
        .select("instrument_id", "item", "period_end_on", "known_on", "value")
    )
    raise_vintages(session, dataset="fundamentals", years=merge_facts(session, facts.rows(), source=SOURCE))
    caps = known.drop_nulls("shares_outstanding").select(
        "instrument_id",
        "known_on",
        "period_end_on",
        pl.col("shares_outstanding").cast(pl.Decimal(20, 0)),
        pl.col("market_cap_usd").cast(pl.Decimal(20, 2)),
    )
    raise_vintages(session, dataset="market_caps", years=merge_market_caps(session, caps.rows()))


_FILES: tuple[tuple[str, Callable[[Session, pl.DataFrame], None]], ...] = (
    ("instruments", _load_instruments),
    ("index_memberships", _load_memberships),
    ("macro_observations", _load_macro),
    ("fundamentals", _load_fundamentals),
)


def _load_file(path: Path, load: Callable[[Session, pl.DataFrame], None]) -> int | None:
    digest = content_hash(path)
    with transaction() as session:
        batch = take_batch(session, source=SOURCE, file_name=path.name, content_sha256=digest)
        if batch.status == "loaded":
            return None
        frame = pl.read_parquet(path)
        load(session, frame)
        batch.rows_read = len(frame)
        finish_batch(session, batch, at=now())
        return len(frame)


def load_sample_files(folder: Path, *, progress: Progress) -> SampleLoad:
    """Load the sample's files in `folder`; see `market_data.service.load_sample`."""
    rows: dict[str, int | None] = {}
    for number, (name, load) in enumerate(_FILES):
        progress("sample", number, len(_FILES))
        rows[name] = _load_file(folder / f"{name}.parquet", load)
    progress("sample", len(_FILES), len(_FILES))
    bars = import_file(folder / "daily_bars.parquet", symbol=None, source=SOURCE, progress=progress)
    rows["daily_bars"] = None if bars.already_loaded else bars.rows_read
    return SampleLoad(rows, bars)
