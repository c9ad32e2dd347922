"""A mandate's limits: what they mean, their defaults by risk tolerance, and what is refused."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from core.errors import InputError, UnknownName
from core.money import money, weight
from database.tables.accounts import Mandate

RISK_TOLERANCES = ("conservative", "balanced", "growth")
_WEIGHTS = ("cash_weight_min", "position_weight_max", "sector_weight_max", "drift_threshold")


@dataclass(frozen=True)
class Limits:
    """Weights are fractions of the account's value; `turnover_max` counts both sides of one night's trades."""

    cash_weight_min: Decimal
    position_weight_max: Decimal
    sector_weight_max: Decimal
    drift_threshold: Decimal
    turnover_max: Decimal
    trade_usd_min: Decimal
    preferred_strategy: str | None = None

    def as_row(self) -> dict[str, Any]:
        """Column values of the mandates table."""
        return asdict(self)


DEFAULT_LIMITS: Mapping[str, Limits] = {
    "conservative": Limits(
        cash_weight_min=Decimal("0.10"),
        position_weight_max=Decimal("0.05"),
        sector_weight_max=Decimal("0.30"),
        drift_threshold=Decimal("0.0100"),
        turnover_max=Decimal(2),
        trade_usd_min=Decimal("1000.00"),
    ),
    "balanced": Limits(
        cash_weight_min=Decimal("0.05"),
        position_weight_max=Decimal("0.06"),
        sector_weight_max=Decimal("0.35"),
        drift_threshold=Decimal("0.0075"),
        turnover_max=Decimal(2),
        trade_usd_min=Decimal("1000.00"),
    ),
    "growth": Limits(
        cash_weight_min=Decimal("0.02"),
        position_weight_max=Decimal("0.08"),
        sector_weight_max=Decimal("0.40"),
        drift_threshold=Decimal("0.0050"),
        turnover_max=Decimal(2),
        trade_usd_min=Decimal("500.00"),
    ),
}


def limits_of(mandate: Mandate) -> Limits:
    """The limits that a stored mandate holds."""
    return Limits(**{name: getattr(mandate, name) for name in Limits.__dataclass_fields__})


def changed_limits(base: Limits, changes: Mapping[str, Any], *, known_strategies: Collection[str]) -> Limits:
    """`base` with `changes`, checked.

    Raises InputError for an unknown field or a value out of its range, UnknownName for a strategy that is not in
    `known_strategies`.
    """
    unknown = set(changes) - set(Limits.__dataclass_fields__)
    if unknown:
        raise UnknownName("mandate field", sorted(unknown)[0], list(Limits.__dataclass_fields__))
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "preferred_strategy":
            if value is not None and value not in known_strategies:
                raise UnknownName("strategy", str(value), list(known_strategies))
            values[name] = value
        elif name == "trade_usd_min":
            values[name] = money(_number(name, value))
        else:
            values[name] = weight(_number(name, value))
    limits = replace(base, **values)
    _check(limits)
    return limits


def _number(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise InputError(f"{name} is {value!r}: give a number such as 0.05") from error
    if not number.is_finite():
        raise InputError(f"{name} is {value!r}: give a finite number such as 0.05")
    return number


def _check(limits: Limits) -> None:
    for name in _WEIGHTS:
        value = getattr(limits, name)
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}: give a fraction between 0 and 1 (5 % is 0.05)")
    for name in ("position_weight_max", "sector_weight_max", "turnover_max"):
        if getattr(limits, name) <= 0:
            raise InputError(f"{name} is {getattr(limits, name)}: give a fraction above 0")
    if limits.position_weight_max > limits.sector_weight_max:
        raise InputError(
            f"position_weight_max is {limits.position_weight_max}, above sector_weight_max"
            f" {limits.sector_weight_max}: a single position cannot be larger than its sector"
        )
    if limits.trade_usd_min < 0:
        raise InputError(f"trade_usd_min is {limits.trade_usd_min}: give an amount in USD of 0 or more")
