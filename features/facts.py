"""Reported facts as they stood on each day."""

from dataclasses import dataclass

import numpy as np

from features.arrays import Days, Floats
from features.kernel import kernel

# An annual report is followed by the next one after a year; what was first known 18 months ago has gone stale.
FACT_AGE_DAYS_MAX = 549
# A share count is no report of a year's business: it drifts by a few percent a year, and splits are taken out. Where a
# report leaves it out, the count before it says more than nothing (ADR 0011).
SHARES_AGE_DAYS_MAX = 3 * 366
# No annual report is out sooner, whatever a vendor says about the date on which it was known.
FACT_LAG_DAYS = 15
# The report of the year before: its period ended one year earlier, give or take a change of the fiscal year.
_YEAR_DAYS_MIN, _YEAR_DAYS_MAX = 320, 410
SHARES = "shares_outstanding"
# A company without them does not exist: in these items zero means "not reported".
NEVER_ZERO = frozenset(
    {
        SHARES,
        "cost_of_revenue",
        "gross_profit",
        "operating_income",
        "total_assets",
        "total_current_assets",
        "total_current_liabilities",
        "total_equity",
        "total_liabilities",
        "total_revenue",
    }
)


@dataclass(frozen=True)
class FactHistory:
    """One item of one stock in the order in which its values became known; days count from 1970-01-01."""

    known: Days
    period_end: Days
    value: Floats


@kernel
def as_known(days: Days, known: Days, period_end: Days, value: Floats, age_days_max: int) -> tuple[Floats, Floats]:
    """Newest value and the one a year before it, as known on each of the ascending `days`.

    A restatement replaces its own period only from the day it became known, and makes it no younger. NaN where nothing
    is known or the newest period has been known for more than `age_days_max`.
    """
    newest = np.full(len(days), np.nan)
    year_before = np.full(len(days), np.nan)
    period = -(2**62)
    known_since = period
    current = np.nan
    previous = np.nan
    seen = 0
    for i in range(len(days)):
        if seen < len(known) and known[seen] <= days[i]:
            while seen < len(known) and known[seen] <= days[i]:
                if period_end[seen] > period:
                    period = period_end[seen]
                    known_since = known[seen]
                if period_end[seen] == period:
                    current = value[seen]
                seen += 1
            previous = np.nan
            for event in range(seen):
                if _YEAR_DAYS_MIN <= period - period_end[event] <= _YEAR_DAYS_MAX:
                    previous = value[event]
        if days[i] - known_since <= age_days_max:
            newest[i] = current
            year_before[i] = previous
    return newest, year_before
