"""The worth of some accounts by session, with what flowed in and out, and what they are compared with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from database.queries import portfolios as queries
from database.queries import standings as standing_queries
from database.queries.portfolios import DayRow, Flow, SpanRow
from database.session import Session
from portfolios.facts import BENCHMARK
from quant.flows import time_weighted_returns

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Closes at which every account that was open was valued. Flows of the days since the close before, in USD.

    `returns[i]` is the time-weighted return of the sub-period that ends at `sessions[i]`; the first is 0.
    `benchmark` and `universe` are levels, NaN where they are not known. `booked` are the flows as booked, `flows` as
    they count. `left_out` counts the closes at which an account could not be valued.
    """

    sessions: tuple[date, ...]
    values: Floats
    cash: Floats
    inflows: Floats
    outflows: Floats
    returns: Floats
    benchmark: Floats
    universe: Floats
    booked: tuple[Flow, ...]
    flows: tuple[Flow, ...]
    left_out: int

    @property
    def index(self) -> Floats:
        """What one dollar became, time-weighted."""
        return np.cumprod(1.0 + self.returns, dtype=np.float64)


def read_path(session: Session, *, account_ids: Collection[int], until_on: date) -> Path:
    """The accounts together, from the first close at which one of them was valued."""
    days = queries.valued_days(session, account_ids=account_ids, until_on=until_on)
    spans = queries.valued_spans(session, account_ids=account_ids)
    booked = queries.flows_of(session, account_ids=account_ids, until_on=until_on)
    flows = count_flows(booked, spans)
    kept = complete_days(days, spans)
    sessions = tuple(day.session_on for day in kept)
    values = np.array([float(day.cash_usd + day.securities_usd) for day in kept])
    inflows, outflows = lay_out_flows(sessions, flows)
    returns = np.zeros(len(sessions))
    if len(sessions) > 1:
        returns[1:] = time_weighted_returns(values, inflows, outflows)
    return Path(
        sessions=sessions,
        values=values,
        cash=np.array([float(day.cash_usd) for day in kept]),
        inflows=inflows,
        outflows=outflows,
        returns=returns,
        benchmark=_read_benchmark(session, sessions),
        universe=_read_universe(session, sessions),
        booked=tuple(booked),
        flows=tuple(flows),
        left_out=len(days) - len(kept),
    )


def complete_days(days: Collection[DayRow], spans: Collection[SpanRow]) -> list[DayRow]:
    """The sessions on which no account that had begun and was not closed is missing."""
    begun = np.sort(np.array([span.first_on for span in spans], dtype="datetime64[D]"))
    closed = np.sort(np.array([span.closed_on for span in spans if span.closed_on], dtype="datetime64[D]"))
    found = []
    for day in days:
        on = np.datetime64(day.session_on)
        least = int(np.searchsorted(begun, on, side="right")) - int(np.searchsorted(closed, on, side="right"))
        if day.accounts >= least:
            found.append(day)
    return found


def count_flows(flows: Collection[Flow], spans: Collection[SpanRow]) -> list[Flow]:
    """The flows of accounts that were valued, none before its account's first close: only there its worth appears."""
    begun = {span.account_id: span.first_on for span in spans}
    return [
        flow._replace(booked_on=max(flow.booked_on, begun[flow.account_id]))
        for flow in flows
        if flow.account_id in begun
    ]


def lay_out_flows(sessions: tuple[date, ...], flows: Collection[Flow]) -> tuple[Floats, Floats]:
    """Inflows and outflows by the first session not before their day. What moved between the accounts on one day nets
    out; what came before the first close is in its value already; what came after the last is not counted yet."""
    inflows, outflows = np.zeros(len(sessions)), np.zeros(len(sessions))
    days = np.array(sessions, dtype="datetime64[D]")
    for booked_on, amount in net_by_day(flows).items():
        row = int(np.searchsorted(days, np.datetime64(booked_on)))
        if 0 < row < len(sessions):
            (inflows if amount > 0 else outflows)[row] += abs(amount)
    return inflows, outflows


def net_by_day(flows: Collection[Flow]) -> dict[date, float]:
    """The sum of each day's flows, by day."""
    sums: dict[date, float] = {}
    for flow in flows:
        sums[flow.booked_on] = sums.get(flow.booked_on, 0.0) + float(flow.amount_usd)
    return {day: amount for day, amount in sorted(sums.items()) if abs(amount) > 0.005}


def _read_benchmark(session: Session, sessions: tuple[date, ...]) -> Floats:
    if not sessions:
        return np.array([])
    levels = queries.index_levels(session, series=BENCHMARK, first_on=sessions[0], until_on=sessions[-1])
    return np.array([levels.get(day, np.nan) for day in sessions])


def _read_universe(session: Session, sessions: tuple[date, ...]) -> Floats:
    """One dollar in equal weights of the index's members from the first close on; NaN where days are missing."""
    if not sessions:
        return np.array([])
    days = standing_queries.universe_days(session, after_on=sessions[0], until_on=sessions[-1])
    level, levels = 1.0, {sessions[0]: 1.0}
    for day, mean_return in days:
        level *= 1.0 + mean_return
        levels[day] = level
    found, unbroken = [], True
    for day in sessions:
        unbroken = unbroken and day in levels
        found.append(levels[day] if unbroken else np.nan)
    return np.array(found)
