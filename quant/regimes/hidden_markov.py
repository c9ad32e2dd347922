"""Regimes by a hidden Markov model of fear, trend and momentum, fitted each year on the past alone."""

import numpy as np
import polars as pl
from scipy.special import softmax

from database.tables.regimes import LABELS
from quant.markov import Chain, Prior, fit_chain
from quant.regime import BEAR, BULL, HIGH_VOLATILITY, LOW_VOLATILITY, SIDEWAYS, Detector, FloatArray, IntArray

_READS = ("vix", "trend", "quarter_return")
_STATES = len(LABELS)
# Two years: less holds no two kinds of market.
_TRAIN_SESSIONS_MIN = 504
# A chain that leaves a state every fifty days forgets its start within a year.
_WARM_UP_SESSIONS = 252
_ITERATIONS_MAX = 60
_GAIN_MIN_PER_SESSION = 1e-5
_STAY = 0.98
_SCALE_MIN = 1e-9
# Where the search starts, in standard deviations of (log VIX, trend, quarter return), in the order of LABELS. A fixed
# start makes the fit repeatable, and keeps each state near its name from one year's fit to the next.
_ARCHETYPES = np.array(
    [
        [0.0, 0.9, 0.9],
        [1.4, -1.6, -1.5],
        [0.9, -0.2, -0.1],
        [-1.0, 0.4, 0.3],
        [-0.3, -0.3, -0.3],
    ]
)


def filter_probabilities(inputs: pl.DataFrame) -> FloatArray:
    """Each session's state probabilities given that session and earlier ones, by the model of its calendar year.

    The model of a year is fitted on all complete sessions before that year and is named anew by its statistics.
    Sessions of years with less than two years of history before them stay NaN.
    """
    vix, *others = (inputs[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in _READS)
    values = np.column_stack([np.log(vix), *others])
    years = inputs["session_on"].dt.year().to_numpy()
    complete = np.flatnonzero(np.isfinite(values).all(axis=1))
    values, years = values[complete], years[complete]
    found = np.full((len(inputs), _STATES), np.nan)
    for year in np.unique(years):
        start, stop = np.searchsorted(years, [year, year + 1])
        if start < _TRAIN_SESSIONS_MIN:
            continue
        warm = max(0, start - _WARM_UP_SESSIONS)
        found[complete[start:stop]] = _fit_and_filter(values[:start], values[warm:stop])[start - warm :]
    return found


def _fit_and_filter(past: FloatArray, wanted: FloatArray) -> FloatArray:
    """Probabilities of LABELS for the rows of `wanted` by a model fitted on `past`."""
    centre, scale = past.mean(axis=0), np.maximum(past.std(axis=0), _SCALE_MIN)
    model = _fit((past - centre) / scale)
    order = name_states(model.means)
    likelihood = model.log_densities((wanted - centre) / scale)
    probabilities = np.empty((len(wanted), _STATES))
    state = np.full(_STATES, 1 / _STATES)
    for row, emission in enumerate(softmax(likelihood, axis=1)):
        state = state @ model.moves * emission
        state /= state.sum()
        probabilities[row] = state
    return probabilities[:, order]


def _fit(past: FloatArray) -> Chain:
    moves = np.full((_STATES, _STATES), (1 - _STAY) / (_STATES - 1))
    np.fill_diagonal(moves, _STAY)
    shape = np.eye(past.shape[1]) / 2
    begun = Chain(np.full(_STATES, 1 / _STATES), moves, _ARCHETYPES, np.tile(shape, (_STATES, 1, 1)))
    # One day's worth of belief in each archetype: a state that no day belongs to keeps its shape.
    prior = Prior(_ARCHETYPES, mean_weight=1.0, covariance=shape, covariance_weight=1.0, moves_weight=1.01)
    return fit_chain(past, begun, prior, iterations_max=_ITERATIONS_MAX, gain_min=_GAIN_MIN_PER_SESSION * len(past))


def name_states(means: FloatArray) -> IntArray:
    """Which state bears each label, in the order of LABELS, from the states' mean (log VIX, trend, quarter return).

    The weakest trend is the bear; of the rest the highest VIX is high volatility; then the lowest VIX is low
    volatility; then the strongest trend is the bull; what remains goes sideways.
    """
    fear, trend = means[:, 0], means[:, 1]
    left = list(range(_STATES))
    order = np.empty(_STATES, dtype=np.int64)
    for label, worth in (
        (BEAR, -trend),
        (HIGH_VOLATILITY, fear),
        (LOW_VOLATILITY, -fear),
        (BULL, trend),
        (SIDEWAYS, trend),
    ):
        order[label] = max(left, key=lambda state: worth[state])
        left.remove(int(order[label]))
    return order


HIDDEN_MARKOV = Detector(
    name="hidden_markov",
    label="Hidden Markov model",
    version="hidden_markov 2",
    reads=_READS,
    probabilities=filter_probabilities,
)
