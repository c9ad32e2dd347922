"""A mandate's limits: what they mean, their defaults by risk tolerance, and what is refused."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from core.errors import InputError, UnknownName
from core.money import ZERO, money, weight
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


@dataclass(frozen=True)
class Held:
    """One holding as the limits see it. `restriction` says by which restriction it must not be held."""

    symbol: str
    sector: str | None
    value_usd: Decimal
    restriction: str | None = None


@dataclass(frozen=True)
class Breach:
    """A limit that an account does not keep: what was measured, what is allowed."""

    limit: str
    subject: str
    measured: Decimal
    allowed: Decimal
    sentence: str


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


def find_breaches(limits: Limits, *, cash_usd: Decimal, holdings: Sequence[Held]) -> list[Breach]:
    """Every limit on weights that an account does not keep as it stands, and every holding that it must not have.

    A stock of unknown sector belongs to none. An account without value keeps every limit.
    """
    value = cash_usd + sum((held.value_usd for held in holdings), ZERO)
    if value <= 0:
        return []
    found: list[Breach] = []
    cash = weight(cash_usd / value)
    if cash < limits.cash_weight_min:
        told = f"cash is {cash:.2%} of the account, the mandate keeps at least {limits.cash_weight_min:.2%}"
        found.append(Breach("cash_weight_min", "cash", cash, limits.cash_weight_min, told))
    sectors: dict[str, Decimal] = defaultdict(Decimal)
    for held in sorted(holdings, key=lambda held: (-held.value_usd, held.symbol)):
        share = weight(held.value_usd / value)
        if held.sector is not None:
            sectors[held.sector] += held.value_usd
        if held.restriction is not None:
            told = f"{held.symbol} must not be held ({held.restriction}): it is sold on the next night"
            found.append(Breach("restriction", held.symbol, share, ZERO, told))
        elif share > limits.position_weight_max:
            told = f"{held.symbol} is {share:.2%} of the account, the mandate allows {limits.position_weight_max:.2%}"
            found.append(Breach("position_weight_max", held.symbol, share, limits.position_weight_max, told))
    for sector, sector_usd in sorted(sectors.items(), key=lambda item: (-item[1], item[0])):
        share = weight(sector_usd / value)
        if share > limits.sector_weight_max:
            told = f"{sector} is {share:.2%} of the account, the mandate allows {limits.sector_weight_max:.2%}"
            found.append(Breach("sector_weight_max", sector, share, limits.sector_weight_max, told))
    return found
