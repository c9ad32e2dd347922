"""The gate: how much noise it lets through beside the usual test, and what its statistics cost beside a library."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from skfolio.utils.bootstrap import stationary_bootstrap

from benchmarks.claim import Claim, at_most, side_by_side
from quant.bootstrap import BLOCK_MIN_SESSIONS, ratio_interval
from quant.sharpe import measure_moments, probabilistic_ratio
from registry.gate import CONFIDENCE, judge
from tests.factories.evidence import make_evidence, make_trials

SETS = 400
DRAWS = 200


def _passing_shares() -> tuple[float, float]:
    """Of sets of noise, the best put forward: let through by the gate, and by the usual test of its Sharpe ratio."""
    passed = np.zeros((SETS, 2))
    for seed in range(SETS):
        trials = make_trials(seed)
        chosen = int((trials.mean(axis=0) / trials.std(axis=0)).argmax())
        moments = measure_moments(trials[:, chosen])
        assert moments is not None
        verdict = judge(make_evidence(trials, chosen=chosen, seed=seed)).verdict
        passed[seed] = verdict == "pass", probabilistic_ratio(moments) >= CONFIDENCE
    gate, usual = passed.mean(axis=0).tolist()
    return gate, usual


def _peer(returns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same interval from the library's resampled paths."""
    paths = stationary_bootstrap(returns[:, None], DRAWS, block_size=BLOCK_MIN_SESSIONS, seed=0)[:, :, 0]
    interval: npt.NDArray[np.float64] = np.quantile(paths.mean(axis=1) / paths.std(axis=1, ddof=1), [0.05, 0.95])
    return interval


def measure() -> Iterator[Claim]:
    """How much luck is let through; CPU of an interval."""
    gate, usual = _passing_shares()
    yield at_most(
        f"best of 50 strategies of noise over 5 years, {SETS} sets: let through by the gate, against the usual test of"
        " a Sharpe ratio; the bar is 1 % of the sets",
        ours=gate,
        peer=usual,
        bar=0.01 / usual,
        unit="share of sets",
    )
    returns = make_trials(1)[:, 0]
    ours, peer = side_by_side(lambda: ratio_interval(returns, draws=DRAWS), lambda: _peer(returns))
    yield at_most(
        f"bootstrap interval of a Sharpe ratio, {len(returns)} sessions, {DRAWS} draws: CPU against skfolio's",
        ours=ours.cpu_s * 1000,
        peer=peer.cpu_s * 1000,
        bar=0.1,
        unit="ms",
    )
