"""What a report says, as figures: JSON-ready, with money as text."""

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from core.money import ZERO
from core.version import code_commit
from database.queries import portfolios as queries
from database.queries.portfolios import TradeRow
from database.session import Session
from portfolios.history import Path, read_path
from portfolios.performance import Period, between, measure_period, measure_risk, monthly_returns
from portfolios.service import read_allocation, read_drift, read_health
from portfolios.view import View

CHART_POINTS_MAX = 260
DISCLOSURES = (
    "Past performance does not tell the future. Values can fall as well as rise.",
    "Paper accounts trade no real money: their results are hypothetical, at past prices with stated costs.",
    "Returns are after commissions, spread and market impact, before advisory fees and taxes.",
    "Time-weighted returns link the sub-periods between closes: money that comes in counts from the start of its day,"
    " money that leaves until its end. Money-weighted returns are the rate that makes all flows even.",
    "Returns over less than a year are not annualised.",
    "The benchmark is the S&P 500 as a price index, without dividends, and cannot be bought itself.",
    "The health score is a set of rules, not advice: what would improve it leaves costs and taxes aside.",
)


def write_content(session: Session, view: View, *, from_on: date) -> dict[str, Any]:
    """Everything that the report says of the days after `from_on` up to the view's day."""
    to_on, row = view.moment.as_of, view.rows[0]
    path = read_path(session, account_ids=view.account_ids, until_on=to_on)
    allocation = read_allocation(session, view)
    trades = queries.trades_between(session, account_ids=view.account_ids, after_on=from_on, until_on=to_on)
    dividends = queries.dividends_between(session, account_ids=view.account_ids, after_on=from_on, until_on=to_on)
    found = {
        "client": row.client,
        "household": row.household,
        "risk_tolerance": row.risk_tolerance,
        "from_on": from_on,
        "to_on": to_on,
        "accounts": [{"account": one.account, "taxation": one.taxation, "status": one.status} for one in view.accounts],
        "portfolio": allocation.portfolio,
        "sectors": allocation.sectors,
        "strategies": allocation.strategies,
        "period": _period(path, from_on),
        "inception": measure_period(path, "inception"),
        "months": [one for one in monthly_returns(path) if (one.year, one.month) >= (from_on.year, from_on.month)],
        "risk": measure_risk(path),
        "series": _series(path, from_on),
        "flows": [flow for flow in path.booked if from_on < flow.booked_on],
        "drifts": [{**asdict(one), "trades": one.trades} for one in read_drift(session, view)],
        "health": read_health(session, view),
        "trades": trades,
        "costs": _costs(trades),
        "dividends_usd": dividends,
        "notes": _notes(path, from_on),
        "disclosures": DISCLOSURES,
        "code_commit": code_commit(),
    }
    return {name: plain(value) for name, value in found.items()}


def plain(value: Any) -> Any:
    """As JSON holds it: named rows as objects, dates and decimals as text, what is not finite as null."""
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Decimal | date):
        return str(value)
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value


def _base(path: Path, from_on: date) -> int:
    return max(sum(day <= from_on for day in path.sessions) - 1, 0)


def _period(path: Path, from_on: date) -> Period:
    if len(path.sessions) < 2 or path.sessions[-1] <= from_on:
        return measure_period(path, "inception")
    is_partial = path.sessions[0] > from_on
    return between(path, _base(path, from_on), len(path.sessions) - 1, name="report", is_partial=is_partial)


def _series(path: Path, from_on: date) -> dict[str, Any]:
    """Points for a chart, both lines 1 at the start."""
    if len(path.sessions) < 2:
        return {"on": [], "index": [], "benchmark": []}
    rows = np.unique(np.linspace(_base(path, from_on), len(path.sessions) - 1, CHART_POINTS_MAX).astype(int))
    index, benchmark = path.index[rows], path.benchmark[rows]
    return {
        "on": [path.sessions[row] for row in rows.tolist()],
        "index": (index / index[0]).tolist(),
        "benchmark": (benchmark / benchmark[0]).tolist(),
    }


def _costs(trades: Sequence[TradeRow]) -> dict[str, Decimal]:
    return {
        "traded_usd": sum((trade.amount_usd for trade in trades), ZERO),
        "commissions_usd": sum((trade.commission_usd for trade in trades), ZERO),
        "spread_usd": sum((trade.spread_cost_usd for trade in trades), ZERO),
        "impact_usd": sum((trade.impact_cost_usd for trade in trades), ZERO),
    }


def _notes(path: Path, from_on: date) -> list[str]:
    notes = []
    if not path.sessions:
        notes.append("No account of the client has been valued at a close yet, so there is no performance.")
    elif path.sessions[0] > from_on:
        notes.append(f"The accounts are valued since {path.sessions[0]}: performance begins there.")
    if path.left_out:
        notes.append(f"{path.left_out} closes are left out: an account could not be valued there.")
    return notes
