"""What the room of portfolios found, in the shapes of the API."""

import math
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from api.schemas import portfolio as out
from core.money import ZERO, weight
from portfolios.drift import Drift
from portfolios.health import Health
from portfolios.history import Path
from portfolios.holdings import Portfolio
from portfolios.lots import LotLine, sum_gains
from portfolios.performance import Period
from portfolios.practice import Practice
from portfolios.service import Allocation, Performance, Summary, View

BASIS = [
    "Values are closes; deposits and shares brought in count from the start of their day, withdrawals until its end.",
    "Time-weighted returns link the sub-periods between closes; money-weighted is the rate that makes all flows even.",
    "Returns are after trading costs and before taxes and fees; nothing shorter than a year is annualised.",
    "The benchmark is the S&P 500 as a price index, without dividends; equal weight is its members with dividends,"
    " without costs, weighted anew each day.",
    "Paper trading at past prices is hypothetical.",
]
_Row = Sequence[Any]


def subject_of(view: View) -> out.SubjectOut:
    """Whose portfolio it is."""
    row = view.rows[0] if view.rows and view.kind != "practice" else None
    names = {
        "account": row and row.account,
        "client": row and row.client,
        "household": row and row.household,
        "practice": None,
    }
    one_client = row is not None and view.kind != "household"
    return out.SubjectOut(
        kind=view.kind,
        id=view.key,
        name=names[view.kind] or None,
        household_id=row.household_id if row else None,
        household=row.household if row else None,
        client_id=row.client_id if row and one_client else None,
        client=row.client if row and one_client else None,
        risk_tolerance=row.risk_tolerance if row and one_client else None,
        as_of=view.moment.as_of,
        is_now=view.moment.is_now,
    )


def holdings_of(view: View, portfolio: Portfolio) -> out.HoldingsOut:
    """What is held."""
    return out.HoldingsOut(
        subject=subject_of(view),
        totals=out.TotalsOut.model_validate(portfolio),
        holdings=[out.HoldingOut.model_validate(one) for one in portfolio.holdings],
    )


def holding_cells(portfolio: Portfolio) -> Iterable[_Row]:
    """Rows of the holdings' file; cash is the last."""
    for one in portfolio.holdings:
        yield [getattr(one, name) for name in HOLDING_COLUMNS]
    cash = {"symbol": "", "name": "Cash", "value_usd": portfolio.cash_usd, "weight": portfolio.cash_weight}
    yield [{**cash, "target_weight": portfolio.cash_target}.get(name) for name in HOLDING_COLUMNS]


HOLDING_COLUMNS = (
    *("symbol", "name", "sector", "quantity", "price", "price_on", "value_usd", "weight", "target_weight"),
    *("cost_usd", "gain_usd", "gain", "day_change_usd", "lots", "is_stale", "restriction"),
)
LOT_COLUMNS = (
    *("account", "taxation", "symbol", "name", "status", "lot_id", "opened_on", "closed_on", "quantity", "cost_usd"),
    *("worth_usd", "gain_usd", "term", "days_held", "long_from_on"),
)


def lot_cells(lines: Iterable[LotLine]) -> Iterable[_Row]:
    """Rows of the lots' file."""
    return ([getattr(line, name) for name in LOT_COLUMNS] for line in lines)


def allocation_of(view: View, found: Allocation) -> out.AllocationOut:
    """Where the money is."""
    return out.AllocationOut(
        subject=subject_of(view),
        totals=out.TotalsOut.model_validate(found.portfolio),
        sectors=[out.SliceOut.model_validate(one) for one in found.sectors],
        strategies=[out.SliceOut.model_validate(one) for one in found.strategies],
    )


def lots_of(
    view: View, lines: Sequence[LotLine], *, status: Literal["open", "closed"], year: int | None
) -> out.LotsOut:
    """Lots and what they gained."""
    return out.LotsOut(
        subject=subject_of(view),
        status=status,
        year=year,
        gains=out.GainsOut.model_validate(sum_gains(lines)),
        lots=[out.LotOut.model_validate(line) for line in lines],
    )


def performance_of(view: View, found: Performance) -> out.PerformanceOut:
    """How it went."""
    return out.PerformanceOut(
        subject=subject_of(view),
        basis=BASIS,
        periods=_periods(found.periods),
        risk=out.RiskOut.model_validate(found.risk),
        months=[out.MonthOut.model_validate(one) for one in found.months],
        series=series_of(found.path),
        flows=[out.FlowOut.model_validate(one) for one in found.path.booked],
    )


def series_of(path: Path) -> out.ValueSeriesOut:
    """The path as parallel lists."""
    index = path.index
    highest = np.maximum.accumulate(index) if len(index) else index
    start = path.benchmark[0] if len(path.benchmark) else math.nan
    return out.ValueSeriesOut(
        on=list(path.sessions),
        value_usd=path.values.tolist(),
        cash_usd=path.cash.tolist(),
        index=index.tolist(),
        benchmark=_known(path.benchmark / start),
        equal_weight=_known(path.universe),
        drawdown=(index / highest - 1.0).tolist(),
    )


def drift_of(view: View, drifts: Sequence[Drift]) -> out.DriftOut:
    """How far each account is from its target."""
    return out.DriftOut(
        subject=subject_of(view),
        total=total_drift(drifts),
        off_count=_off_count(drifts),
        accounts=[out.AccountDriftOut.model_validate(one) for one in drifts],
    )


def total_drift(drifts: Sequence[Drift]) -> Decimal | None:
    """The accounts' drifts weighted with their values; unknown while one that holds anything has none."""
    worth = [one for one in drifts if one.value_usd > 0]
    total = sum((one.value_usd for one in worth), ZERO)
    if total <= 0 or any(one.total is None for one in worth):
        return None
    return weight(sum(((one.total or ZERO) * one.value_usd for one in worth), ZERO) / total)


def health_of(view: View, found: Health) -> out.HealthOut:
    """The score with its reasons."""
    return out.HealthOut(
        subject=subject_of(view),
        score=found.score,
        why=found.why,
        components=_components(found),
        steps=[out.ImprovementOut.model_validate(one) for one in found.steps],
    )


def summary_of(view: View, found: Summary) -> out.SummaryOut:
    """The head of a page."""
    return out.SummaryOut(
        subject=subject_of(view),
        totals=out.TotalsOut.model_validate(found.portfolio),
        holdings=len(found.portfolio.holdings),
        day=out.PeriodOut.model_validate(found.day),
        year_to_date=out.PeriodOut.model_validate(found.year_to_date),
        inception=out.PeriodOut.model_validate(found.inception),
        drift=total_drift(found.drifts),
        off_count=_off_count(found.drifts),
        health=found.health.score,
        health_why=found.health.why,
        components=_components(found.health),
        accounts=[
            out.AccountSummaryOut(
                account_id=one.book.account_id,
                account=one.book.account.account,
                client_id=one.book.account.client_id,
                client=one.book.account.client,
                status=one.book.account.status,
                halted_reason=one.book.account.halted_reason,
                taxation=one.book.account.taxation,
                value_usd=one.value_usd,
                is_partial=one.is_partial,
                cash_usd=one.book.cash_usd,
                strategy=one.drift.strategy,
                drift=one.drift.total,
                off_count=one.drift.off_count,
                health=one.health,
            )
            for one in found.accounts
        ],
        notes=found.notes,
    )


def practice_of(found: Practice, performance: Performance) -> out.PracticeOut:
    """The desk's home."""
    sums = {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "drift_classes"}
    return out.PracticeOut(
        **sums,
        drift_classes=[out.DriftClassOut.model_validate(one) for one in found.drift_classes],
        periods=_periods(performance.periods),
        series=series_of(performance.path),
    )


def file_name(view: View, word: str) -> str:
    """What a download is called: no names of people in it."""
    return f"{word}-{view.kind}-{view.key}-{_day(view.moment.as_of)}.csv"


def _day(day: date) -> str:
    return day.isoformat()


def _off_count(drifts: Sequence[Drift]) -> int | None:
    known = [one.off_count for one in drifts if one.off_count is not None]
    return sum(known) if known else None


def _components(found: Health) -> list[out.ComponentOut]:
    return [out.ComponentOut.model_validate(one) for one in found.components]


def _periods(found: Iterable[Period]) -> list[out.PeriodOut]:
    return [out.PeriodOut.model_validate(one) for one in found]


def _known(levels: Any) -> list[float | None]:
    return [level if math.isfinite(level) else None for level in levels.tolist()]
