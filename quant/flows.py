"""Returns of a portfolio into and out of which money flows.

Timing: money that comes in is at work from the start of its day, money that leaves works until the end of its day.
Sources: CFA Institute, Global Investment Performance Standards (2020), on linking sub-periods at each external flow;
Bacon, Practical Portfolio Performance Measurement and Attribution (2008), chapter 2, on timing and on the rate that
makes all flows even.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats = npt.NDArray[np.float64]
# Growth over the whole span is looked for between e^-10 and e^10, in steps fine enough to see every crossing.
_SEARCHED = np.linspace(-10.0, 10.0, 2001)
_PRECISION = 1e-13


@dataclass(frozen=True)
class Rate:
    """The growth over the span as a fraction, or why there is none."""

    value: float | None
    why: str | None = None


def time_weighted_returns(values: Floats, inflows: Floats, outflows: Floats) -> Floats:
    """Return of each sub-period that ends at a value, from the second value on; flows are positive amounts.

    (value + outflow) / (value before + inflow) - 1. Where no money was at work the return is 0.
    """
    if not len(values) == len(inflows) == len(outflows) or (inflows < 0).any() or (outflows < 0).any():
        raise InputError("flows must be positive amounts, one for each value")
    base = values[:-1] + inflows[1:]
    at_work = base > 0
    returns: Floats = np.where(at_work, (values[1:] + outflows[1:]) / np.where(at_work, base, 1.0) - 1.0, 0.0)
    return returns


def money_weighted_return(days: Floats, amounts: Floats) -> Rate:
    """What each unit of money earned over the whole span: the growth at which the amounts are even.

    `amounts` are seen by the owner: paid in is negative, taken out or still there at the end positive; `days` counts
    from any day. The yearly rate is (1 + value) ** (365 / span) - 1, which is Excel's XIRR.
    """
    span = float(days.max() - days.min()) if len(days) else 0.0
    if span <= 0.0:
        return Rate(None, "no time passed between the flows")
    if not ((amounts > 0).any() and (amounts < 0).any()):
        return Rate(None, "money flowed in one direction only")
    times = (days - days.min()) / span

    signs = np.sign(np.exp(-np.outer(_SEARCHED, times)) @ amounts)
    crossings = np.flatnonzero(signs[1:] * signs[:-1] < 0)
    exact = np.flatnonzero(signs == 0)
    found = len(crossings) + len(exact)
    if found == 0:
        return Rate(None, "no rate makes these flows even")
    if found > 1:
        return Rate(None, f"{found} different rates make these flows even, so none of them means anything")
    if len(exact):
        return Rate(math.expm1(float(_SEARCHED[exact[0]])))
    low, high = float(_SEARCHED[crossings[0]]), float(_SEARCHED[crossings[0] + 1])
    return Rate(math.expm1(_solve(times, amounts, low, high, float(signs[crossings[0]]))))


def _solve(times: Floats, amounts: Floats, low: float, high: float, sign_low: float) -> float:
    """Newton's steps, kept inside a bracket that halves whenever a step would leave it."""
    guess = (low + high) / 2
    for _ in range(200):
        discounted = amounts * np.exp(-guess * times)
        worth, slope = float(discounted.sum()), -float(discounted @ times)
        if (worth > 0) == (sign_low > 0):
            low = guess
        else:
            high = guess
        step = guess - worth / slope if slope else math.nan
        following = step if low < step < high else (low + high) / 2
        if abs(following - guess) < _PRECISION:
            return following
        guess = following
    return guess


def annual_rate(total: float, days: float) -> float:
    """A return over `days` calendar days as a yearly one."""
    return float((1.0 + total) ** (365.0 / days) - 1.0) if total > -1.0 else -1.0
