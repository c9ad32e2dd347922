"""From preferences to weights that keep the limits: softmax, cash floor, position cap.

The same arithmetic runs in three places: here compiled for the environments, in `policy.py` as tensors for the
exported graph, and on the simple allocators' raw weights. A test holds them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

import numpy as np
import numpy.typing as npt
from numba import njit

from core.errors import InputError
from core.money import WEIGHT_STEP, ZERO, Weight

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ACTION_SCALE = 3.0


@dataclass(frozen=True)
class Limits:
    """What every allocation keeps, before a client's own mandate: largest position, least cash, as fractions."""

    position_weight_max: float = 0.08
    cash_weight_min: float = 0.02

    def __post_init__(self) -> None:
        if not 0.0 < self.position_weight_max <= 1.0:
            raise InputError(f"position_weight_max must lie in (0, 1], got {self.position_weight_max}")
        if not 0.0 <= self.cash_weight_min < 1.0:
            raise InputError(f"cash_weight_min must lie in [0, 1), got {self.cash_weight_min}")


STANDARD_LIMITS = Limits()


@njit(cache=True)
def project(preferences: Floats, mask: Flags, position_max: float, cash_min: float, weights: Floats) -> None:
    """Nearest proportional weights under the limits, one row at a time.

    preferences (e, n + 1) >= 0, the last column is cash; mask (e, n) tells which slots hold a stock. `weights`
    (e, n + 1) receives rows that sum to one: cash at least `cash_min`, the rest in the preferences' proportions with
    what exceeds `position_max` spread over the others; what no position may take stays cash.
    """
    rows, columns = preferences.shape
    count = columns - 1
    for e in range(rows):
        total = 0.0
        for k in range(count):
            weights[e, k] = 0.0
            if mask[e, k]:
                total += preferences[e, k]
        if total <= 0.0:
            weights[e, count] = 1.0
            continue
        cash = max(preferences[e, count] / (total + preferences[e, count]), cash_min)
        budget = 1.0 - cash
        capped = 0
        free = total
        settled = False
        while not settled and free > 0.0:
            scale = (budget - capped * position_max) / free
            settled = True
            for k in range(count):
                if mask[e, k] and weights[e, k] == 0.0 and preferences[e, k] * scale > position_max:
                    weights[e, k] = position_max
                    capped += 1
                    free -= preferences[e, k]
                    settled = False
        invested = 0.0
        for k in range(count):
            if mask[e, k] and weights[e, k] == 0.0:
                weights[e, k] = preferences[e, k] * scale
            invested += weights[e, k]
        weights[e, count] = max(1.0 - invested, 0.0)


@njit(cache=True)
def weigh_actions(actions: Floats, mask: Flags, position_max: float, cash_min: float, weights: Floats) -> None:
    """Actions (e, n + 1) in [-1, 1] -> softmax of `ACTION_SCALE` times them over the stocks there are -> `project`."""
    rows, columns = actions.shape
    preferences = np.zeros((rows, columns))
    for e in range(rows):
        for k in range(columns):
            if k == columns - 1 or mask[e, k]:
                preferences[e, k] = np.exp(ACTION_SCALE * min(max(actions[e, k], -1.0), 1.0))
    project(preferences, mask, position_max, cash_min, weights)


def limited(preferences: Floats, limits: Limits, *, cash: float = 0.0) -> Floats:
    """One row of stock preferences >= 0 (n) -> weights (n + 1) under the limits, cash last."""
    row = np.append(np.nan_to_num(np.maximum(preferences, 0.0)), cash)[None, :]
    weights = np.empty_like(row)
    mask = np.isfinite(preferences)[None, :]
    project(row, mask, limits.position_weight_max, limits.cash_weight_min, weights)
    result: Floats = weights[0]
    return result


def quantise(weights: Sequence[float] | Floats) -> tuple[list[Weight], Weight]:
    """Stock weights rounded down to 1e-8 and the cash weight that completes them to exactly one."""
    stocks = [Decimal(repr(float(value))).quantize(WEIGHT_STEP, ROUND_DOWN) for value in weights]
    return stocks, Decimal(1) - sum(stocks, ZERO)
