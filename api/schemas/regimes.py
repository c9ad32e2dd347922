"""Market regimes."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from database.tables.regimes import LABELS

LABEL = "One of bull, bear, high_volatility, low_volatility, sideways."


class DriverOut(BaseModel):
    """One input that the detector looked at."""

    name: str = Field(examples=["vix"])
    value: float | None = Field(description="Null where it was not known on the day.")
    sentence: str = Field(examples=["The VIX stands at 57.1: in panic."])


def _drivers(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return [{"name": name, **told} for name, told in value.items()]


def _in_order(value: Any) -> Any:
    # The database keeps JSON's content, not its order.
    return {label: value[label] for label in LABELS if label in value} if isinstance(value, Mapping) else value


Drivers = Annotated[list[DriverOut], BeforeValidator(_drivers), Field(description="What was looked at, in words.")]
Probabilities = Annotated[
    dict[str, float], BeforeValidator(_in_order), Field(description="Smoothed, by label; they sum to one.")
]


class RegimeOut(BaseModel):
    """What one detector said of one session."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    detector: str
    label: str = Field(description=LABEL)
    raw_label: str = Field(description="The likeliest label of the day alone, before smoothing.")
    probabilities: Probabilities
    drivers: Drivers
    detector_version: str


class FollowedOut(BaseModel):
    """The strategy that the night followed, and why."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    strategy: str
    reason: str


class RegimeNowOut(RegimeOut):
    """The regime that is acted on: what it is, since when, what the other detectors say, what follows from it."""

    as_of: date
    since_on: date = Field(description="First session of the stretch with this label.")
    sessions: int = Field(description="Sessions of that stretch so far.")
    others: dict[str, str] = Field(description="Label by detector that is not acted on.")
    followed: FollowedOut | None = Field(description="Null before the first night.")


class SpanOut(BaseModel):
    """Sessions in a row with one label: what a chart shades."""

    label: str
    from_on: date
    to_on: date
    sessions: int

    @classmethod
    def stretch(cls, days: list[date], labels: list[str]) -> list[Self]:
        """The spans of a history, in order."""
        spans: list[Self] = []
        for day, label in zip(days, labels, strict=True):
            if spans and spans[-1].label == label:
                spans[-1].to_on = day
                spans[-1].sessions += 1
            else:
                spans.append(cls(label=label, from_on=day, to_on=day, sessions=1))
        return spans


class RegimeHistoryOut(BaseModel):
    """A stretch of sessions in columns: every list is parallel to `sessions`."""

    detector: str
    from_on: date
    to_on: date
    sessions: list[date]
    labels: list[str]
    probabilities: dict[str, list[float]] = Field(description="By label.")
    index: list[float | None] = Field(description="The S&P 500 price index; null where it is not known.")
    strategies: list[str | None] = Field(description="The strategy that the night followed; null without a night.")
    spans: list[SpanOut]
