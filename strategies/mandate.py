"""An allocation under an account's mandate: pure arithmetic, every change of a weight recorded with its reason.

Weights keep the model's proportions wherever no limit binds. What a limit cuts flows to the other stocks in
proportion, until they meet limits of their own; what then has no place stays in cash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.money import WEIGHT_STEP, ZERO, Weight

Floats = npt.NDArray[np.float64]
UNKNOWN_SECTOR = "sector unknown"
_ONE = Decimal(1)
# Differences below a hundredth of a percent are rounding to a person.
_TOLD_FROM = 1e-4


@dataclass(frozen=True)
class Limits:
    """What the mandate allows. `excluded` names the reason for each instrument that the account must not hold."""

    cash_weight_min: Decimal
    position_weight_max: Decimal
    sector_weight_max: Decimal
    excluded: Mapping[int, str]


@dataclass(frozen=True)
class Projection:
    """Weights that sum to one with `cash_weight`, and what was changed on the way from the model's weights."""

    weights: dict[int, Weight]
    cash_weight: Weight
    adjustments: list[dict[str, Any]]


def project(weights: Mapping[int, Decimal], *, sectors: Mapping[int, str | None], limits: Limits) -> Projection:
    """The model's `weights` (instrument -> share of the portfolio; the rest is cash) under `limits`.

    Stocks without a sector count as one sector of their own. The stocks together get the model's share of the
    portfolio, at most what the least cash leaves.
    """
    if sum(weights.values(), ZERO) > _ONE or any(weight < 0 for weight in weights.values()):
        raise InputError("an allocation's weights must be non-negative and sum to one at most")
    wanted = sum(weights.values(), ZERO)
    total = min(wanted, _ONE - limits.cash_weight_min)
    allowed = {key: weight for key, weight in sorted(weights.items()) if key not in limits.excluded and weight > 0}
    groups = [sectors.get(key) or UNKNOWN_SECTOR for key in allowed]
    filled, bound = _fill(
        np.array([float(weight) for weight in allowed.values()]),
        groups,
        float(total),
        float(limits.position_weight_max),
        float(limits.sector_weight_max),
    )
    final = {key: weight for key, weight in zip(allowed, map(_round_down, filled.tolist()), strict=True) if weight > 0}
    placed = sum(final.values(), ZERO)
    adjustments = [
        *_exclusions(weights, limits),
        *_cash_floor(wanted, total),
        *_sector_caps(allowed, final, groups, bound, limits),
        *_position_caps(allowed, final, limits),
        *_unplaced(total, placed),
    ]
    return Projection(weights=final, cash_weight=_ONE - placed, adjustments=adjustments)


def _round_down(weight: float) -> Decimal:
    # A hair is added first, so that a limit met exactly does not lose its last digit to binary fractions.
    return Decimal(repr(weight + 1e-13)).quantize(WEIGHT_STEP, ROUND_DOWN)


def _fill(
    proportions: Floats, groups: list[str], total: float, position_max: float, sector_max: float
) -> tuple[Floats, set[str]]:
    """Weights in proportion under both caps, summing to `total` where the caps allow; and the sectors that bind.

    A sector once over its cap stays over it, because every later step only raises the others: so each round binds
    at least one sector more, and the rounds end.
    """
    weights = np.zeros(len(proportions))
    names = np.array(groups, dtype=object)
    bound: set[str] = set()
    while True:
        free = ~np.isin(names, list(bound)) if bound else np.ones(len(names), dtype=bool)
        weights[free] = _fill_capped(proportions[free], total - sector_max * len(bound), position_max)
        over = {
            name
            for name in dict.fromkeys(names[free].tolist())
            if weights[free & (names == name)].sum() > sector_max + 1e-12
        }
        if not over:
            return weights, bound
        for name in over:
            members = names == name
            weights[members] = _fill_capped(proportions[members], sector_max, position_max)
        bound |= over


def _fill_capped(proportions: Floats, total: float, position_max: float) -> Floats:
    """Weights in proportion, none above the cap, summing to `total` or to what the caps hold."""
    weights = np.zeros(len(proportions))
    if total <= 0 or not len(proportions):
        return weights
    if len(proportions) * position_max <= total:
        return np.full(len(proportions), position_max)
    capped = np.zeros(len(proportions), dtype=bool)
    while True:
        room = total - position_max * capped.sum()
        weights[~capped] = proportions[~capped] * (room / proportions[~capped].sum())
        over = ~capped & (weights > position_max)
        if not over.any():
            return weights
        capped |= over
        weights[capped] = position_max


def _adjustment(kind: str, before: Decimal, after: Decimal, reason: str, **subject: Any) -> dict[str, Any]:
    return {"kind": kind, **subject, "before": str(before), "after": str(after), "reason": reason}


def _exclusions(weights: Mapping[int, Decimal], limits: Limits) -> list[dict[str, Any]]:
    return [
        _adjustment("excluded", weight, ZERO, f"the account excludes {limits.excluded[key]}", instrument_id=key)
        for key, weight in sorted(weights.items())
        if key in limits.excluded and weight > 0
    ]


def _cash_floor(wanted: Decimal, total: Decimal) -> list[dict[str, Any]]:
    if total >= wanted:
        return []
    reason = f"the mandate keeps at least {_ONE - total:.2%} in cash"
    return [_adjustment("cash_floor", _ONE - wanted, _ONE - total, reason)]


def _sector_caps(
    allowed: Mapping[int, Decimal], final: Mapping[int, Decimal], groups: list[str], bound: set[str], limits: Limits
) -> list[dict[str, Any]]:
    before: dict[str, Decimal] = dict.fromkeys(sorted(bound), ZERO)
    after = dict(before)
    for (key, weight), group in zip(allowed.items(), groups, strict=True):
        if group in bound:
            before[group] += weight
            after[group] += final.get(key, ZERO)
    reason = f"no sector may exceed {limits.sector_weight_max:.2%}"
    return [_adjustment("sector_cap", before[name], after[name], reason, sector=name) for name in before]


def _position_caps(
    allowed: Mapping[int, Decimal], final: Mapping[int, Decimal], limits: Limits
) -> list[dict[str, Any]]:
    reason = f"no position may exceed {limits.position_weight_max:.2%}"
    return [
        _adjustment("position_cap", weight, final.get(key, ZERO), reason, instrument_id=key)
        for key, weight in allowed.items()
        if final.get(key, ZERO) == limits.position_weight_max.quantize(WEIGHT_STEP, ROUND_DOWN)
    ]


def _unplaced(total: Decimal, placed: Decimal) -> list[dict[str, Any]]:
    if float(total - placed) < _TOLD_FROM:
        return []
    reason = f"the limits leave no place for {total - placed:.2%}: it stays in cash"
    return [_adjustment("to_cash", _ONE - total, _ONE - placed, reason)]
