"""The stated rule by which the shadow ledger lets a challenger in and takes a champion out. Pure.

In: a challenger that the gate has passed becomes champion beside another one once its lane has run for
`SESSIONS_MIN` sessions and earned more than what was served, after costs, on average over all of them.
Out: a champion goes when what it serves has fallen `DRAWDOWN_MAX` below its best standing against the plain lane since
it took office, or when, after `SESSIONS_MIN` sessions, even the upper end of the 90 % interval of its mean daily lead
over the plain lane lies below zero (stationary bootstrap, see `quant.bootstrap`).

The bar to get in is low because the gate has set the high one; the bar to stay is one-sided because a champion that is
merely not proven any more has done nothing wrong.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quant.bootstrap import LEVEL, mean_interval

SESSIONS_MIN = 63
DRAWDOWN_MAX = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Word:
    """What the rule says of a model, and why."""

    action: Literal["promote", "wait", "keep", "roll_back"]
    reason: str


def let_in(returns: Floats, served: Floats) -> Word:
    """Of a challenger: daily returns of its lane and of the served one on the same sessions."""
    count = len(returns)
    if count < SESSIONS_MIN:
        return Word("wait", f"{count} of {SESSIONS_MIN} shadow sessions")
    lead = float((returns - served).mean())
    told = f"{lead * 1e4:+.2f} bp a session against what was served over {count} shadow sessions"
    return Word("promote" if lead > 0 else "wait", told)


def keep_in_office(returns: Floats, plain: Floats) -> Word:
    """Of a champion: daily returns of what it serves, and of the plain lane on the same sessions, in office."""
    if not len(returns):
        return Word("keep", "no session in office yet")
    relative = np.cumprod(np.append(1.0, (1.0 + returns) / (1.0 + plain)))
    fallen = float(1.0 - relative[-1] / relative.max())
    told = f"{relative[-1] - 1.0:+.2%} against the plain lane over {len(returns)} sessions"
    if fallen >= DRAWDOWN_MAX:
        return Word("roll_back", f"{told}, {fallen:.2%} below its best standing (at most {DRAWDOWN_MAX:.0%} may be)")
    if len(returns) < SESSIONS_MIN:
        return Word("keep", told)
    high = mean_interval(returns - plain).high
    if high < 0.0:
        return Word("roll_back", f"{told}; the {LEVEL:.0%} interval of its daily lead ends at {high * 1e4:+.2f} bp")
    return Word("keep", told)
