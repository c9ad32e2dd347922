"""The inputs of a regime as plain sentences."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_QUIET = ((12.0, "very calm"), (16.0, "calm"), (20.0, "ordinary"), (28.0, "nervous"), (40.0, "fearful"))
_PANIC = "in panic"


def _mood(points: float) -> str:
    return next((word for limit, word in _QUIET if points < limit), _PANIC)


def _side(value: float, above: str, below: str) -> str:
    return above if value >= 0 else below


def _slope(short: str) -> Callable[[float], str]:
    return lambda v: (
        f"Ten-year Treasuries yield {abs(v):.2f} points {_side(v, 'more', 'less')} than {short}"
        f"{'.' if v >= 0 else ': the curve is inverted.'}"
    )


_SENTENCES: Mapping[str, Callable[[float], str]] = {
    "vix": lambda v: f"The VIX stands at {v:.1f}: {_mood(v)}.",
    "realised_volatility": lambda v: f"Over the last month the index moved at {v:.0f} % a year: {_mood(v)}.",
    "trend": lambda v: f"The index is {abs(v):.1%} {_side(v, 'above', 'below')} its 200-day average.",
    "quarter_return": lambda v: f"The index {_side(v, 'rose', 'fell')} {abs(v):.1%} over three months.",
    "drawdown": lambda v: f"The index is {abs(v):.1%} below its high of the last year.",
    "breadth": lambda v: f"{v:.0%} of the stocks are above their own 200-day average.",
    "net_new_highs": lambda v: f"New {_side(v, 'highs exceed new lows', 'lows exceed new highs')} by {abs(v):.1%}.",
    "rotation": lambda v: (
        f"Cyclical stocks {_side(v, 'lead', 'trail')} defensive ones by {abs(v):.1%} in three months."
    ),
    "slope_10y3m": _slope("three-month bills"),
    "slope_10y2y": _slope("two-year notes"),
}


def describe_drivers(names: Iterable[str], values: Mapping[str, float | None]) -> dict[str, dict[str, Any]]:
    """Input -> value and sentence, in the order of `names`; units as in `quant.regime_inputs`."""
    return {name: {"value": values[name], "sentence": _describe(name, values[name])} for name in names}


def _describe(name: str, value: float | None) -> str:
    return f"{name} is not known on this day." if value is None else _SENTENCES[name](value)
