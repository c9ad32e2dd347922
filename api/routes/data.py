"""The data: status, coverage, freshness, loads, quarantine, gaps."""

from typing import Annotated, Any, Literal

from fastapi import Query

from api.deps import AsOf, Cursor, Limit, desk, needs
from api.names import Symbol
from api.schemas.data import (
    BarGapOut,
    CoverageOut,
    DataImportOut,
    DataStatusOut,
    FreshnessOut,
    GapsOut,
    QuarantinedOut,
)
from api.schemas.page import Page
from api.word import Word
from auth.actor import Actor
from clients.practice import practice_date
from core.errors import DataMissing, NotFound
from database.queries import loads
from database.queries.bars import last_session_on, quarantine_counts
from database.queries.symbols import instrument_of
from market_data.coverage import bars_of_instrument, data_status, freshness

router = Word("data", tags=["data"])


@router.get("/status")
def show_data_status(as_of: AsOf = None, actor: Actor = needs("data.read")) -> DataStatusOut:
    """How fresh each data set is, and how many rows were refused."""
    with desk(actor) as session:
        try:
            day = as_of or practice_date(session)
        except DataMissing:
            # Before the first load the answer is that nothing is there, not that nobody may ask.
            return DataStatusOut(as_of=None, last_session_on=None, datasets=[], quarantined_by_reason={})
        return DataStatusOut(
            as_of=day,
            last_session_on=last_session_on(session, as_of=day),
            datasets=[FreshnessOut.model_validate(one) for one in freshness(session, as_of=day)],
            quarantined_by_reason=quarantine_counts(session),
        )


@router.get("/coverage")
def show_data_coverage(as_of: AsOf = None, actor: Actor = needs("data.read")) -> CoverageOut:
    """Bars, series and company facts by year, held against the true members of the index.

    Counts every bar: takes about a second for two million.
    """
    with desk(actor) as session:
        return CoverageOut.model_validate(data_status(session, as_of=as_of or practice_date(session)))


@router.get("/gaps/{symbol}")
def show_data_gaps(symbol: Symbol, as_of: AsOf = None, actor: Actor = needs("data.read")) -> GapsOut:
    """Where an instrument has no bars although the exchange traded, between its first and its last."""
    with desk(actor) as session:
        day = as_of or practice_date(session)
        instrument = instrument_of(session, symbol=symbol.upper())
        if instrument is None:
            raise NotFound("instrument", symbol)
        found = bars_of_instrument(session, instrument_id=instrument.instrument_id, as_of=day)
        return GapsOut(
            symbol=instrument.symbol,
            as_of=day,
            first_on=found.first_on,
            last_on=found.last_on,
            bars=found.bars,
            sessions=found.sessions,
            gaps=[BarGapOut.model_validate(gap) for gap in found.gaps],
        )


@router.get("/imports")
def list_data_imports(
    status: Literal["loading", "loaded", "failed"] | None = None,
    source: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9 ._-]+$", examples=["sample"])] = None,
    sort: Literal["started_at", "-started_at", "batch_id", "-batch_id"] = "-started_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("data.read"),
) -> Page[DataImportOut]:
    """The loads, newest first."""
    with desk(actor) as session:
        found = loads.page_batches(session, status=status, source=source, sort=sort, limit=limit, cursor=cursor)
        return Page[DataImportOut].of(found, lambda row: DataImportOut.model_validate(row.ImportBatch))


@router.get("/quarantine")
def list_quarantine(
    reason: Annotated[str | None, Query(max_length=64, pattern="^[a-z_]+$", examples=["inconsistent_ohlc"])] = None,
    symbol: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9.^=-]+$")] = None,
    batch_id: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Of one load.")] = None,
    sort: Literal["quarantine_id", "-quarantine_id", "reason", "-reason", "symbol", "-symbol"] = "-quarantine_id",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("data.read"),
) -> Page[QuarantinedOut]:
    """Rows that the quality gate refused, as they came, with the reason."""
    with desk(actor) as session:
        found = loads.page_quarantine(
            session, reason=reason, symbol=symbol, batch_id=batch_id, sort=sort, limit=limit, cursor=cursor
        )
        return Page[QuarantinedOut].of(found, _quarantined)


def _quarantined(row: Any) -> QuarantinedOut:
    refused = row.QuarantinedBar
    own = {name: getattr(refused, name) for name in QuarantinedOut.model_fields if hasattr(refused, name)}
    return QuarantinedOut(**own, source=row.source, file_name=row.file_name)
