"""The data: how much is there, how fresh, what was loaded and what was refused."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class FreshnessOut(_Row):
    """How new one data set is."""

    dataset: str = Field(examples=["daily_bars"])
    newest_on: date | None = Field(description="The newest day up to `as_of` that it tells of; null: nothing is there.")
    sessions_behind: int | None = Field(description="Trading sessions between that day and `as_of`.")
    changed_at: datetime | None = Field(description="When a row last changed.")
    version: int | None = Field(description="Rises with each load that altered a row.")


class DataStatusOut(BaseModel):
    """What is there as of a date, at a glance."""

    as_of: date | None = Field(description="Null while nothing is loaded.")
    last_session_on: date | None = Field(description="The newest session with bars.")
    datasets: list[FreshnessOut]
    quarantined_by_reason: dict[str, int]


class YearOut(_Row):
    """One year's bars, and the true members of the index with bars on its last session."""

    year: int
    bars: int
    instruments: int
    last_on: date
    members: int
    members_with_bars: int
    coverage: float | None = Field(description="Share of the true members that have bars.")


class CoverageSeriesOut(_Row):
    """One market-wide series."""

    series: str
    title: str
    last_on: date
    observations: int


class FactsOut(_Row):
    """Company facts that became known in one year."""

    year: int
    facts: int
    companies: int
    last_period_end_on: date


class CoverageOut(_Row):
    """How much of the market is there, by year and data set."""

    as_of: date
    last_session_on: date | None
    years: list[YearOut]
    series: list[CoverageSeriesOut]
    facts: list[FactsOut]
    warnings: list[str] = Field(description="What to keep in mind of results made from these data, such as survivors.")


class BarGapOut(_Row):
    """Sessions in a row without a bar."""

    from_on: date
    to_on: date
    sessions: int


class GapsOut(BaseModel):
    """One instrument's bars against the exchange's calendar."""

    symbol: str
    as_of: date
    first_on: date | None
    last_on: date | None
    bars: int
    sessions: int = Field(description="Sessions from the first bar to the last.")
    gaps: list[BarGapOut]


class DataImportOut(_Row):
    """One load of one file."""

    batch_id: int
    source: str
    file_name: str
    status: str = Field(description="loading, loaded or failed")
    rows_read: int
    rows_inserted: int
    rows_changed: int
    rows_unchanged: int
    rows_quarantined: int
    started_at: datetime
    finished_at: datetime | None


class QuarantinedOut(_Row):
    """A row that the quality gate refused, as it came."""

    quarantine_id: int
    batch_id: int
    source: str
    file_name: str
    row_number: int
    symbol: str | None
    session_on: str | None = Field(description="As it stood in the file; it may be no date.")
    reason: str
    detail: str
    row: dict[str, Any]
