"""Performance of one or several accounts over periods: time- and money-weighted, beside index and equal weight.

It begins at the first close at which the account was valued. ADR 0024 states every convention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from core.money import ZERO, Money, money
from portfolios.history import Path, net_by_day
from quant.drawdown import find_drawdown
from quant.exposure import annual_volatility
from quant.flows import Rate, annual_rate, money_weighted_return
from quant.stats import YEAR_ENOUGH_SESSIONS

Floats = npt.NDArray[np.float64]
VOLATILITY_RETURNS_MIN = 20
_MISSED_SHARE_MAX = 0.05
PERIODS = ("day", "month", "quarter", "year_to_date", "one_year", "inception")


@dataclass(frozen=True)
class Period:
    """Returns are fractions over the whole period; `annual_*` only from a year on. None has its reason in `notes`.

    `from_on` is the close that the period starts from. With `is_partial` the account is younger than the period.
    """

    name: str
    from_on: date | None
    to_on: date | None
    sessions: int
    is_partial: bool
    time_weighted: float | None
    money_weighted: float | None
    benchmark: float | None
    difference: float | None
    equal_weight: float | None
    annual_time_weighted: float | None
    annual_money_weighted: float | None
    annual_benchmark: float | None
    deposits_usd: Money
    withdrawals_usd: Money
    gain_usd: Money | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Risk:
    """Since inception, of time-weighted returns. Sharpe counts cash as earning nothing."""

    daily_volatility: float | None
    annual_volatility: float | None
    sharpe: float | None
    tracking_error: float | None
    drawdown_max: float | None
    drawdown_from_on: date | None
    drawdown_trough_on: date | None
    drawdown_recovered_on: date | None
    drawdown_now: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Month:
    """One month's time-weighted return; `is_partial` where its first or last session is not covered."""

    year: int
    month: int
    time_weighted: float
    benchmark: float | None
    is_partial: bool


def measure_period(path: Path, name: str) -> Period:
    """One of PERIODS, up to the path's last close."""
    if len(path.sessions) < 2:
        return _unknown(path, name, "the account has been valued at fewer than two closes")
    last = len(path.sessions) - 1
    base = _base(path.sessions, name)
    if base is None:
        return _unknown(path, name, f"the account is valued since {path.sessions[0]} only, less than a year")
    started = base >= 0
    return between(path, max(base, 0), last, name=name, is_partial=not started)


def between(path: Path, base: int, last: int, *, name: str, is_partial: bool = False) -> Period:
    """From one close of the path to a later one."""
    from_on, to_on = path.sessions[base], path.sessions[last]
    days, sessions = (to_on - from_on).days, last - base
    grown = float(np.prod(1.0 + path.returns[base + 1 : last + 1]) - 1.0)
    paid_in, taken_out = float(path.inflows[base + 1 : last + 1].sum()), float(path.outflows[base + 1 : last + 1].sum())
    rate = _money_weighted(path, base, last)
    benchmark, equal = _ratio(path.benchmark, base, last), _ratio(path.universe, base, last)
    is_year = sessions >= YEAR_ENOUGH_SESSIONS
    notes = [f"money-weighted: {rate.why}"] if rate.value is None else []
    if benchmark is None:
        notes.append("benchmark: the index is not known on both days")
    if equal is None:
        notes.append("equal weight: the universe's returns are not kept for all these sessions")
    if not is_year:
        notes.append("not annualised: less than a year")
    return Period(
        name=name,
        from_on=from_on,
        to_on=to_on,
        sessions=sessions,
        is_partial=is_partial,
        time_weighted=grown,
        money_weighted=rate.value,
        benchmark=benchmark,
        difference=None if benchmark is None else grown - benchmark,
        equal_weight=equal,
        annual_time_weighted=annual_rate(grown, days) if is_year else None,
        annual_money_weighted=annual_rate(rate.value, days) if is_year and rate.value is not None else None,
        annual_benchmark=annual_rate(benchmark, days) if is_year and benchmark is not None else None,
        deposits_usd=money(paid_in),
        withdrawals_usd=money(taken_out),
        gain_usd=money(float(path.values[last] - path.values[base]) - paid_in + taken_out),
        notes=tuple(notes),
    )


def _unknown(path: Path, name: str, why: str) -> Period:
    first = path.sessions[0] if path.sessions else None
    last = path.sessions[-1] if path.sessions else None
    nothing = (None,) * 8
    return Period(name, first, last, 0, True, *nothing, ZERO, ZERO, None, (why,))


def _base(sessions: Sequence[date], name: str) -> int | None:
    """Place of the close that the period starts from; -1 where the account is younger, None where that is refused."""
    last_on = sessions[-1]
    if name == "inception":
        return 0
    if name == "day":
        return len(sessions) - 2
    if name == "one_year":
        end = last_on.replace(year=last_on.year - 1, day=min(last_on.day, 28) if last_on.month == 2 else last_on.day)
    elif name == "month":
        end = last_on.replace(day=1) - timedelta(days=1)
    elif name == "quarter":
        end = last_on.replace(month=3 * ((last_on.month - 1) // 3) + 1, day=1) - timedelta(days=1)
    else:
        end = date(last_on.year - 1, 12, 31)
    base = int(np.searchsorted(np.array(sessions, dtype="datetime64[D]"), np.datetime64(end), side="right")) - 1
    return None if base < 0 and name == "one_year" else base


def _money_weighted(path: Path, base: int, last: int) -> Rate:
    """Inflows count from the evening before their day, outflows until the evening of it, as in the returns."""
    from_on, to_on = path.sessions[base], path.sessions[last]
    amounts = [(0, -float(path.values[base])), ((to_on - from_on).days, float(path.values[last]))]
    for booked_on, amount in net_by_day(path.flows).items():
        if from_on < booked_on <= to_on:
            days = (booked_on - from_on).days
            amounts.append((max(days - 1, 0) if amount > 0 else days, -amount))
    counted = [(day, amount) for day, amount in amounts if amount]
    return money_weighted_return(
        np.array([day for day, _ in counted], dtype=float), np.array([amount for _, amount in counted])
    )


def _ratio(levels: Floats, base: int, last: int) -> float | None:
    start, end = float(levels[base]), float(levels[last])
    return end / start - 1.0 if np.isfinite(start) and np.isfinite(end) and start > 0 else None


def measure_risk(path: Path) -> Risk:
    """Volatility, Sharpe, tracking error and drawdown since the first close."""
    returns = path.returns[1:]
    notes: list[str] = []
    if len(returns) < 1:
        return Risk(*(None,) * 9, notes=("the account has been valued at fewer than two closes",))
    fall = find_drawdown(path.index)
    missed = path.left_out + _gaps(path.sessions)
    usable = len(returns) >= VOLATILITY_RETURNS_MIN and missed <= _MISSED_SHARE_MAX * len(returns)
    is_year = usable and len(returns) >= YEAR_ENOUGH_SESSIONS
    if len(returns) < VOLATILITY_RETURNS_MIN:
        notes.append(f"volatility: {len(returns)} returns are known, {VOLATILITY_RETURNS_MIN} are needed")
    elif not usable:
        notes.append(f"volatility: about {missed} sessions were not valued, so the returns are not daily")
    elif not is_year:
        notes.append("annual volatility, Sharpe ratio and tracking error: less than a year")
    volatility = annual_volatility(returns) if is_year else None
    mean = float(returns.mean()) * 252 if is_year else None
    moved = fall.trough > fall.peak
    return Risk(
        daily_volatility=float(returns.std(ddof=1)) if usable else None,
        annual_volatility=volatility,
        sharpe=mean / volatility if mean is not None and volatility else None,
        tracking_error=_tracking_error(path, is_year),
        drawdown_max=fall.depth,
        drawdown_from_on=path.sessions[fall.peak] if moved else None,
        drawdown_trough_on=path.sessions[fall.trough] if moved else None,
        drawdown_recovered_on=path.sessions[fall.recovered] if moved and fall.recovered is not None else None,
        drawdown_now=fall.current,
        notes=tuple(notes),
    )


def _tracking_error(path: Path, is_year: bool) -> float | None:
    if not is_year or not np.isfinite(path.benchmark).all():
        return None
    return annual_volatility(path.returns[1:] - (path.benchmark[1:] / path.benchmark[:-1] - 1.0))


def _gaps(sessions: Sequence[date]) -> int:
    """Weekdays between the first and the last close that were not valued, less a holiday in 25."""
    days = np.array(sessions, dtype="datetime64[D]")
    weekdays = int(np.busday_count(days[0], days[-1])) + 1
    return max(0, int(weekdays * 0.96) - len(sessions))


def monthly_returns(path: Path) -> list[Month]:
    """The calendar of months, oldest first."""
    months: list[Month] = []
    base = 0
    for row in range(1, len(path.sessions)):
        on = path.sessions[row]
        is_last = row == len(path.sessions) - 1
        if is_last or (path.sessions[row + 1].year, path.sessions[row + 1].month) != (on.year, on.month):
            begins_late = base == 0 and (path.sessions[0].year, path.sessions[0].month) == (on.year, on.month)
            months.append(
                Month(
                    year=on.year,
                    month=on.month,
                    time_weighted=float(np.prod(1.0 + path.returns[base + 1 : row + 1]) - 1.0),
                    benchmark=_ratio(path.benchmark, base, row),
                    is_partial=begins_late or (is_last and not _ends_month(on)),
                )
            )
            base = row
    return months


def _ends_month(on: date) -> bool:
    following = np.busday_offset(np.datetime64(on), 1, roll="forward").astype(object)
    return bool(following.month != on.month)
