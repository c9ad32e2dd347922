"""Evidence for the gate, made of random returns."""

import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.gate import Evidence, Purge

Floats = npt.NDArray[np.float64]
# A tracking error of about ten percent a year.
ACTIVE_DEVIATION = 0.006


def weekdays(count: int) -> npt.NDArray[np.datetime64]:
    """The first `count` weekdays of 2011 and after."""
    days = np.arange("2011-01-03", "2041-01-01", dtype="datetime64[D]")
    return days[np.is_busday(days)][:count]


def make_trials(
    seed: int, *, sessions: int = 1260, trials: int = 50, shared: float = 0.0, skill: float = 0.0
) -> Floats:
    """(sessions, trials) of active returns. `shared` is their correlation, `skill` the Sharpe ratio a year of trial 0.

    Half of the seeds have fat tails.
    """
    generator = np.random.default_rng(seed)
    own = generator.normal(size=(sessions, trials))
    if seed % 2:
        own /= np.sqrt(generator.chisquare(5, (sessions, 1)) / 5 * 5 / 3)
    returns = math.sqrt(1 - shared) * own + math.sqrt(shared) * generator.normal(size=(sessions, 1))
    returns[:, 0] += skill / math.sqrt(252)
    return returns * ACTIVE_DEVIATION


def make_evidence(trials: Floats, *, chosen: int = 0, seed: int = 0, **changes: Any) -> Evidence:
    """What speaks for trial `chosen` of `trials`, with all hard checks in order; `changes` replace fields.

    The reference and the plain rule are random; the plain rule is as good as the reference.
    """
    generator = np.random.default_rng([seed, 1])
    count = len(trials)
    sessions = weekdays(count)
    reference = generator.normal(0.0003, 0.01, count)
    evidence = Evidence(
        kind="screener",
        strategy="toy_largecap",
        as_of=date(2041, 1, 1),
        reference="universe",
        sessions=sessions,
        returns=reference + trials[:, chosen],
        active=trials[:, chosen],
        active_costs_doubled=trials[:, chosen] - 0.00002,
        baselines={"plain": reference + generator.normal(0.0, ACTIVE_DEVIATION, count)},
        trials=trials.shape[1],
        trial_ratios=trials.mean(axis=0) / trials.std(axis=0, ddof=1),
        trial_active=trials,
        leaks="clean",
        leak_findings=(),
        degeneracies=(),
        drift_alarms=(),
        purges=(Purge(date(2010, 12, 30), sessions[0].astype(date), sessions[-1].astype(date)),),
    )
    return replace(evidence, **changes)
